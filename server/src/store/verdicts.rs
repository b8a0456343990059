//! What drills and verifications found. A drill's row is never overwritten; the newest one speaks.

use std::collections::HashSet;

use holdfast_model::{
    drill::DrillReport,
    id::{CheckpointId, DrillId, RunId, VaultId},
    state::Integrity,
};

use super::{
    Claim, Store, StoreError,
    facts::NewFact,
    queue::hold,
    value::{Columns as _, column, fresh, from_json, json, micros},
    write::Write,
};

impl Write {
    /// A drill's row; one of that id stays as it is.
    pub(super) async fn drill(
        &mut self,
        id: &str,
        checkpoint: &CheckpointId,
        run: &RunId,
        report: &DrillReport,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into drill (id, checkpoint, run, verdict, started_at, duration_ms, report) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing",
        )
        .bind(id.to_owned())
        .bind(checkpoint.as_str().to_owned())
        .bind(run.as_str().to_owned())
        .bind(report.verdict.as_str())
        .bind(micros(report.started_at))
        .bind(column(report.duration_ms))
        .bind(json("drill report", report)?)
        .execute(self.on())
        .await?;
        Ok(())
    }

    /// A drill's verdict becomes the checkpoint's proof, unless a newer drill has spoken: one that began earlier and
    /// ends later does not speak over it.
    pub(super) async fn speak(&mut self, checkpoint: &CheckpointId, report: &DrillReport) -> Result<(), StoreError> {
        sqlx::query(
            "update checkpoint set proof = $1, proof_at = $2, recovery_ms = $3 \
             where id = $4 and coalesce(proof_at, 0) <= $2",
        )
        .bind(report.verdict.as_str())
        .bind(micros(report.started_at))
        .bind(column(report.duration_ms))
        .bind(checkpoint.as_str())
        .execute(self.on())
        .await?;
        Ok(())
    }
}

impl Store {
    /// Keeps a drill's report, and its verdict as the checkpoint's proof and the run's gate.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn record_drill(
        &self,
        claim: &Claim,
        checkpoint: &CheckpointId,
        report: &DrillReport,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let now = write.now();
        let id = fresh(now, DrillId::from_parts)?;
        write.drill(id.as_str(), checkpoint, claim.id(), report).await?;
        write.fact(checkpoint, &claim.run.view.created_by, NewFact::Drill(&id)).await?;
        write.speak(checkpoint, report).await?;
        sqlx::query("update run set gate_open = $1 where id = $2")
            .bind(i64::from(report.verdict.opens_gate()))
            .bind(claim.id().as_str())
            .execute(write.on())
            .await?;
        write
            .audit(&claim.run.view.created_by, "checkpoint.drill", checkpoint.as_str(), report.verdict.as_str())
            .await?;
        write.commit().await
    }

    /// A checkpoint's drills, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drills(&self, id: &CheckpointId) -> Result<Vec<DrillReport>, StoreError> {
        let rows = sqlx::query("select report from drill where checkpoint = $1 order by started_at desc, id desc")
            .bind(id.as_str())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| from_json("drill report", &row.text("report")?)).collect()
    }

    /// How long the newest drill of the checkpoint's environment took, in milliseconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_drill_ms(
        &self,
        environment: &holdfast_model::id::EnvironmentId,
    ) -> Result<Option<u64>, StoreError> {
        let row: Option<i64> = sqlx::query_scalar(
            "select d.duration_ms from drill d join checkpoint c on c.id = d.checkpoint where c.environment = $1 \
             order by d.started_at desc, d.id desc limit 1",
        )
        .bind(environment.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(super::value::count))
    }

    /// Keeps whether the bytes of a checkpoint's copy are as they were written. The message says what is damaged.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn record_integrity(
        &self,
        claim: &Claim,
        checkpoint: &CheckpointId,
        vault: &VaultId,
        integrity: Integrity,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let now = write.now();
        sqlx::query(
            "update checkpoint_copy set integrity = $1, checked_at = $2, message = $3 \
             where checkpoint = $4 and vault = $5",
        )
        .bind(integrity.as_str())
        .bind(now)
        .bind(message.map(ToOwned::to_owned))
        .bind(checkpoint.as_str())
        .bind(vault.as_str())
        .execute(write.on())
        .await?;
        write
            .audit(&claim.run.view.created_by, "checkpoint.integrity", checkpoint.as_str(), integrity.as_str())
            .await?;
        write.commit().await
    }

    /// Packs of a vault that were read whole and hashed within so many seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fresh_packs(&self, vault: &VaultId, seconds: i64) -> Result<HashSet<String>, StoreError> {
        let since = self.now().await? - seconds.saturating_mul(1_000_000);
        let packs: Vec<String> = sqlx::query_scalar("select pack from pack_read where vault = $1 and read_at > $2")
            .bind(vault.as_str())
            .bind(since)
            .fetch_all(&self.pool)
            .await?;
        Ok(packs.into_iter().collect())
    }

    /// These packs were just read whole and every blob in them hashed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn record_packs(&self, claim: &Claim, vault: &VaultId, packs: &[String]) -> Result<(), StoreError> {
        if packs.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let now = write.now();
        for pack in packs {
            sqlx::query(
                "insert into pack_read (vault, pack, read_at) values ($1, $2, $3) \
                 on conflict (vault, pack) do update set read_at = excluded.read_at",
            )
            .bind(vault.as_str())
            .bind(pack)
            .bind(now)
            .execute(write.on())
            .await?;
        }
        write.commit().await
    }

    /// What was found to be damaged in a vault is not fresh any more, however lately it was read.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn distrust_packs(&self, vault: &VaultId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("delete from pack_read where vault = $1").bind(vault.as_str()).execute(write.on()).await?;
        write.commit().await
    }
}
