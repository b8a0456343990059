//! What a bucket keeps locked: its files, and the checkpoints that stand on them.

use std::collections::HashMap;

use holdfast_model::{
    id::{CheckpointId, VaultId},
    state::Protection,
};
use time::OffsetDateTime;

use super::{
    Claim, Store, StoreError,
    queue::hold,
    value::{Columns as _, micros},
};

impl Store {
    /// Until when files of a vault are locked, as far as it is known here: by `kind/name`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn file_locks(&self, id: &VaultId) -> Result<HashMap<String, OffsetDateTime>, StoreError> {
        let rows = sqlx::query("select file, locked_until from file_lock where vault = $1")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((row.text("file")?, row.at("locked_until")?))).collect()
    }

    /// Files are locked until these times, and the checkpoint with them until `until`.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn locked(
        &self,
        claim: &Claim,
        vault: &VaultId,
        files: &[(String, OffsetDateTime)],
        checkpoint: &CheckpointId,
        until: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        for (file, until) in files {
            sqlx::query(
                "insert into file_lock (vault, file, locked_until) values ($1, $2, $3) \
                 on conflict (vault, file) do update set locked_until = excluded.locked_until",
            )
            .bind(vault.as_str())
            .bind(file)
            .bind(micros(*until))
            .execute(write.on())
            .await?;
        }
        // Files whose lock has ended are asked for again, if anybody needs them.
        let now = write.now();
        sqlx::query("delete from file_lock where vault = $1 and locked_until < $2")
            .bind(vault.as_str())
            .bind(now)
            .execute(write.on())
            .await?;
        sqlx::query(
            "update checkpoint set protection = $1, locked_until = $2 \
             where id = $3 and (locked_until is null or locked_until < $2)",
        )
        .bind(Protection::Locked.as_str())
        .bind(micros(until))
        .bind(checkpoint.as_str())
        .execute(write.on())
        .await?;
        write.audit(&claim.run.view.created_by, "checkpoint.lock", checkpoint.as_str(), &until.to_string()).await?;
        write.commit().await
    }
}
