//! Requests that carry an `Idempotency-Key`: a repeat is answered with the run that the first one has started. Whether
//! it is one, and the new run where it is none, are decided in one transaction.

use holdfast_model::id::RunId;

use super::{
    NewRun, Store, StoreError,
    queue::queue,
    value::{Columns as _, json},
    write::Write,
};

/// How long a key is remembered, in microseconds: 24 h.
const KEPT: i64 = 24 * 3600 * 1_000_000;

/// What a repeat is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    /// The caller's stable identity.
    pub caller: String,
    /// The request's `Idempotency-Key`.
    pub key: String,
}

impl Store {
    /// Puts a run into the queue, or gives the run that an equal request with this key has put there within the last
    /// 24 hours, whatever has become of it.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the caller has used the key for something else; otherwise as [`Store::enqueue`].
    pub async fn enqueue_once(&self, asked: &RequestKey, run: NewRun) -> Result<RunId, StoreError> {
        let mut write = self.write().await?;
        write.in_turn(&format!("request {} {}", asked.caller, asked.key)).await?;
        sqlx::query("delete from request_key where at < $1").bind(write.now() - KEPT).execute(write.on()).await?;
        if let Some(known) = known(&mut write, asked, &run).await? {
            return Ok(known);
        }
        let id = queue(&mut write, run).await?;
        sqlx::query("insert into request_key (caller, key, run, at) values ($1, $2, $3, $4)")
            .bind(&asked.caller)
            .bind(&asked.key)
            .bind(id.as_str())
            .bind(write.now())
            .execute(write.on())
            .await?;
        write.commit().await?;
        Ok(id)
    }
}

/// The run that this key stands for, if it does the same to the same.
async fn known(write: &mut Write, asked: &RequestKey, run: &NewRun) -> Result<Option<RunId>, StoreError> {
    let row = sqlx::query(
        "select r.id, r.kind, r.environment, r.vault, r.checkpoint, r.request from request_key k \
         join run r on r.id = k.run where k.caller = $1 and k.key = $2",
    )
    .bind(&asked.caller)
    .bind(&asked.key)
    .fetch_optional(write.on())
    .await?;
    let Some(row) = row else { return Ok(None) };
    let same = row.text("kind")? == run.kind.as_str()
        && row.maybe_text("environment")?.as_deref() == run.on.environment().map(|id| id.as_str())
        && row.maybe_text("vault")?.as_deref() == run.on.vault().map(|id| id.as_str())
        // A create has made its own.
        && (run.kind.makes_checkpoint()
            || row.maybe_text("checkpoint")?.as_deref() == run.checkpoint.as_ref().map(|id| id.as_str()))
        && row.text("request")? == json("request", &run.request)?;
    if same {
        return row.word("id").map(Some);
    }
    Err(StoreError::Refused(
        "this Idempotency-Key was sent with another request within the last 24 hours; send a new one".into(),
    ))
}
