//! How a checkpoint goes: out of the catalogue if the rules allow it, and out of its vaults afterwards.

use holdfast_model::id::{CheckpointId, RunId, VaultId};

use super::{
    CheckpointRow, Refusal, Standing, Store, StoreError, facts::NewFact, may_delete, value::Columns as _, write::Write,
};

impl Store {
    /// Whether it may be deleted now, and if not, why.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn may_delete(&self, id: &CheckpointId) -> Result<Result<(), Refusal>, StoreError> {
        let checkpoint = self.checkpoint(id).await?;
        let mut write = self.write().await?;
        let standing = standing(&mut write, &checkpoint).await?;
        Ok(may_delete(&checkpoint, &standing))
    }

    /// Takes a checkpoint out of the catalogue if the rules allow it; audited. Its snapshot is forgotten afterwards,
    /// and [`Self::unforgotten`] names it until that has happened.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the reason; [`StoreError::NotFound`].
    pub async fn delete_checkpoint(&self, id: &CheckpointId, by: &str) -> Result<(), StoreError> {
        let checkpoint = self.checkpoint(id).await?;
        let mut write = self.write().await?;
        // One deletion at a time per environment, so that two cannot each leave the other as the newest proven one.
        sqlx::query("update environment set name = name where id = $1")
            .bind(checkpoint.environment.id.as_str())
            .execute(write.on())
            .await?;
        let standing = standing(&mut write, &checkpoint).await?;
        may_delete(&checkpoint, &standing)
            .map_err(|refusal| StoreError::Refused(format!("{id} cannot be deleted: {refusal}")))?;
        let now = write.now();
        let gone =
            sqlx::query("update checkpoint set deleted_at = $1, deleted_by = $2 where id = $3 and deleted_at is null")
                .bind(now)
                .bind(by)
                .bind(id.as_str())
                .execute(write.on())
                .await?;
        if gone.rows_affected() != 1 {
            return Err(StoreError::not_found("checkpoint", id.as_str()));
        }
        write.fact(id, by, NewFact::Deleted).await?;
        write.audit(by, "checkpoint.delete", id.as_str(), &checkpoint.snapshot).await?;
        write.commit().await
    }

    /// Copies of deleted checkpoints whose snapshots are still in their vaults: checkpoint, vault, snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unforgotten(&self) -> Result<Vec<(CheckpointId, VaultId, String)>, StoreError> {
        let rows = sqlx::query(
            "select y.checkpoint, y.vault, y.snapshot from checkpoint_copy y join checkpoint c on c.id = y.checkpoint \
             join vault v on v.id = y.vault and v.role <> 'former' \
             where c.deleted_at is not null and y.forgotten_at is null",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.word("checkpoint")?, row.word("vault")?, row.text("snapshot")?))).collect()
    }

    /// A deleted checkpoint's snapshot has left its vault.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forgotten(&self, id: &CheckpointId, vault: &VaultId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        sqlx::query("update checkpoint_copy set forgotten_at = $1 where checkpoint = $2 and vault = $3")
            .bind(now)
            .bind(id.as_str())
            .bind(vault.as_str())
            .execute(write.on())
            .await?;
        write.commit().await
    }
}

async fn standing(write: &mut Write, checkpoint: &CheckpointRow) -> Result<Standing, StoreError> {
    let newest: Option<String> = sqlx::query_scalar(
        "select c.id from checkpoint c where c.environment = $1 and c.proof = 'proven' and c.deleted_at is null \
         and exists (select 1 from checkpoint_copy s where s.checkpoint = c.id and s.integrity <> 'damaged') \
         order by c.created_at desc, c.id desc limit 1",
    )
    .bind(checkpoint.environment.id.as_str())
    .fetch_optional(write.on())
    .await?;
    let in_use: Option<String> = sqlx::query_scalar(
        "select id from run where checkpoint = $1 and state in ('queued', 'running') order by created_at limit 1",
    )
    .bind(checkpoint.id.as_str())
    .fetch_optional(write.on())
    .await?;
    Ok(Standing {
        newest_proven: newest.as_deref() == Some(checkpoint.id.as_str()),
        in_use: in_use
            .map(|id| id.parse::<RunId>().map_err(|error| StoreError::corrupt("run id", error)))
            .transpose()?,
    })
}
