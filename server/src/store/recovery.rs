//! A catalogue that was a copy a moment ago, on a host that has lost everything else.

use holdfast_model::{
    id::{RunId, VaultId},
    state::RunState,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Store, StoreError, value::Columns as _, write::Write};

/// Why a run that the copy knows as begun has failed; by it one whose result is found in a vault is known again.
const LOST: &str = "its host was lost before it had ended, and the catalogue was recovered from a copy";

impl Store {
    /// What was true on the lost host only ends: nobody is signed in, its own credential opens nothing, its runs have
    /// failed. Every definition waits for somebody who looks at it. Audited. Gives how many runs had not ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_anew(
        &self,
        by: &str,
        vault: Option<&VaultId>,
        snapshot: &str,
        copied_at: OffsetDateTime,
    ) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        for gone in ["delete from session", "delete from sign_in_link", "delete from pending_action"] {
            sqlx::query(gone).execute(write.on()).await?;
        }
        sqlx::query("update credential set revoked_at = $1 where kind = 'host' and revoked_at is null")
            .bind(now)
            .execute(write.on())
            .await?;
        sqlx::query("update environment set to_confirm = 1").execute(write.on()).await?;
        let ended = sqlx::query(
            "update run set state = 'failed', message = $1, ended_at = $2, fence = fence + 1, worker = null, \
             lease_until = null where state in ('queued', 'running') returning id",
        )
        .bind(LOST)
        .bind(now)
        .fetch_all(write.on())
        .await?;
        for row in &ended {
            let run: RunId = row.word("id")?;
            write.state_event(&run, RunState::Failed, Some(LOST.to_owned())).await?;
        }
        let taken = copied_at.format(&Rfc3339).map_err(|error| StoreError::corrupt("time", error))?;
        let detail = format!("from the copy of {taken}, snapshot {snapshot}");
        write.audit(by, "catalogue.recover", vault.map_or("", VaultId::as_str), &detail).await?;
        write.commit().await?;
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }
}

/// A run that was given up for lost, and whose result lies in a vault, had come to its end all the same.
pub(super) async fn had_ended(write: &mut Write, run: &RunId, message: &str) -> Result<(), StoreError> {
    let known = sqlx::query("update run set state = 'succeeded', message = $1 where id = $2 and message = $3")
        .bind(message)
        .bind(run.as_str())
        .bind(LOST)
        .execute(write.on())
        .await?;
    if known.rows_affected() == 1 {
        write.state_event(run, RunState::Succeeded, Some(message.to_owned())).await?;
    }
    Ok(())
}
