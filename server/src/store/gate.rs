//! Which run a pipeline's request asked for. A repeat joins that run; whether it is one, and the new run where it is
//! none, are decided in one transaction, so that two equal requests at once never make two runs.

use holdfast_model::id::RunId;

use super::{NewRun, Store, StoreError, queue::queue, value::Columns as _, write::Write};

/// How long an `Idempotency-Key` is remembered, in microseconds: 24 h.
const KEY_KEPT: i64 = 24 * 3600 * 1_000_000;
/// How long after the end of its run a request without a key is a repeat, in microseconds: 2 min.
const REPEAT: i64 = 120 * 1_000_000;

/// By what a repeat is known, together with the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateAsked {
    /// The caller's stable identity.
    pub caller: String,
    /// The checkpoint's tag.
    pub tag: String,
    /// The request's `Idempotency-Key`.
    pub key: Option<String>,
}

impl Store {
    /// The run that this request means: that of an equal request before it, or else the given one, which is queued.
    ///
    /// With a key, requests are equal for 24 hours; without one, until 2 minutes after the run's end.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the caller has used the key for another environment or tag; otherwise as
    /// [`Store::enqueue`].
    pub async fn enqueue_or_join(&self, asked: &GateAsked, run: NewRun) -> Result<RunId, StoreError> {
        let mut write = self.write().await?;
        let same = match &asked.key {
            Some(key) => format!("key {} {key}", asked.caller),
            None => format!("tag {} {} {}", asked.caller, run.on.id(), asked.tag),
        };
        write.in_turn(&same).await?;
        forget(&mut write).await?;
        let known = match &asked.key {
            Some(key) => with_key(&mut write, asked, run.on.id(), key).await?,
            None => without_key(&mut write, asked, run.on.id()).await?,
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let environment = run.on.id().to_owned();
        let id = queue(&mut write, run).await?;
        sqlx::query(
            "insert into gate (caller, environment, tag, key, run, at) values ($1, $2, $3, $4, $5, $6) \
             on conflict (caller, environment, tag, key) do update set run = excluded.run, at = excluded.at",
        )
        .bind(&asked.caller)
        .bind(environment)
        .bind(&asked.tag)
        .bind(asked.key.clone().unwrap_or_default())
        .bind(id.as_str())
        .bind(write.now())
        .execute(write.on())
        .await?;
        write.commit().await?;
        Ok(id)
    }
}

/// Rows that can join nothing any more.
async fn forget(write: &mut Write) -> Result<(), StoreError> {
    sqlx::query(
        "delete from gate where at < $1 and not exists (select 1 from run r where r.id = gate.run \
         and (r.state in ('queued', 'running') or r.ended_at >= $2))",
    )
    .bind(write.now() - KEY_KEPT)
    .bind(write.now() - REPEAT)
    .execute(write.on())
    .await?;
    Ok(())
}

async fn with_key(
    write: &mut Write,
    asked: &GateAsked,
    environment: &str,
    key: &str,
) -> Result<Option<RunId>, StoreError> {
    let row = sqlx::query(
        "select environment, tag, run from gate where caller = $1 and key = $2 and at >= $3 order by at desc limit 1",
    )
    .bind(&asked.caller)
    .bind(key.to_owned())
    .bind(write.now() - KEY_KEPT)
    .fetch_optional(write.on())
    .await?;
    let Some(row) = row else { return Ok(None) };
    if row.text("environment")? != environment || row.text("tag")? != asked.tag {
        return Err(StoreError::Refused(
            "this Idempotency-Key was used for another environment or tag within the last 24 hours; send a new one"
                .into(),
        ));
    }
    row.word("run").map(Some)
}

async fn without_key(write: &mut Write, asked: &GateAsked, environment: &str) -> Result<Option<RunId>, StoreError> {
    let row = sqlx::query(
        "select g.run from gate g join run r on r.id = g.run \
         where g.caller = $1 and g.environment = $2 and g.tag = $3 and g.key = '' \
         and (r.state in ('queued', 'running') or r.ended_at >= $4)",
    )
    .bind(&asked.caller)
    .bind(environment.to_owned())
    .bind(&asked.tag)
    .bind(write.now() - REPEAT)
    .fetch_optional(write.on())
    .await?;
    row.map(|row| row.word("run")).transpose()
}
