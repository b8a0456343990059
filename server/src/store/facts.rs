//! Facts: what became true of a checkpoint after its seal. They are kept here first, in the transaction that makes
//! them true; each waits until it has been appended to the vault as well.

use holdfast_model::{
    fact::{FORMAT, Fact, FactBody},
    id::{CheckpointId, DrillId, FactId, VaultId},
};
use sqlx::any::AnyRow;

use super::{
    Store, StoreError,
    value::{Columns as _, fresh, from_json},
    write::Write,
};

/// What a new fact says; the rest stands in the rows that it names.
pub(crate) enum NewFact<'a> {
    Drill(&'a DrillId),
    Deleted,
}

impl Write {
    /// A fact, for every vault that holds a copy of the checkpoint.
    pub(crate) async fn fact(
        &mut self,
        checkpoint: &CheckpointId,
        by: &str,
        fact: NewFact<'_>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let (kind, drill) = match fact {
            NewFact::Drill(drill) => ("drill", Some(drill.to_string())),
            NewFact::Deleted => ("deleted", None),
        };
        sqlx::query(
            "insert into fact (id, vault, checkpoint, at, made_by, kind, drill) \
             select $1, y.vault, y.checkpoint, cast($2 as bigint), $3, $4, $5 from checkpoint_copy y \
             join vault v on v.id = y.vault and v.role <> 'former' where y.checkpoint = $6",
        )
        .bind(fresh(now, FactId::from_parts)?.to_string())
        .bind(now)
        .bind(by.to_owned())
        .bind(kind)
        .bind(drill)
        .bind(checkpoint.as_str().to_owned())
        .execute(self.on())
        .await?;
        Ok(())
    }
}

fn fact(row: &AnyRow) -> Result<Fact, StoreError> {
    let kind = row.text("kind")?;
    let body = match kind.as_str() {
        "drill" => FactBody::Drill {
            run: row.word("run")?,
            report: Box::new(from_json("drill report", &row.text("report")?)?),
        },
        "deleted" => FactBody::Deleted,
        other => return Err(StoreError::corrupt("kind of a fact", other)),
    };
    Ok(Fact {
        format: FORMAT,
        id: row.word("id")?,
        checkpoint: row.word("checkpoint")?,
        at: row.at("at")?,
        by: row.text("made_by")?,
        fact: body,
    })
}

impl Store {
    /// Facts that are not in a vault yet, in the order in which they became true; at most so many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn waiting_facts(&self, vault: &VaultId, most: u32) -> Result<Vec<Fact>, StoreError> {
        let rows = sqlx::query(
            "select f.id, f.checkpoint, f.at, f.made_by, f.kind, d.run, d.report from fact f \
             left join drill d on d.id = f.drill where f.vault = $1 and f.snapshot is null order by f.id limit $2",
        )
        .bind(vault.as_str())
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(fact).collect()
    }

    /// Facts that stand in a vault, after this one in the order in which they became true; at most so many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn appended_facts(
        &self,
        vault: &VaultId,
        after: Option<&FactId>,
        most: u32,
    ) -> Result<Vec<Fact>, StoreError> {
        let rows = sqlx::query(
            "select f.id, f.checkpoint, f.at, f.made_by, f.kind, d.run, d.report from fact f \
             left join drill d on d.id = f.drill where f.vault = $1 and f.snapshot is not null and f.id > $2 \
             order by f.id limit $3",
        )
        .bind(vault.as_str())
        .bind(after.map_or("", FactId::as_str))
        .bind(i64::from(most))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(fact).collect()
    }

    /// All snapshots in a vault that hold facts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshots_of_facts(&self, vault: &VaultId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("select distinct snapshot from fact where vault = $1 and snapshot is not null")
            .bind(vault.as_str())
            .fetch_all(&self.pool)
            .await?)
    }

    /// The snapshots in a vault that hold facts of a checkpoint.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fact_snapshots(&self, id: &CheckpointId, vault: &VaultId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "select distinct snapshot from fact where checkpoint = $1 and vault = $2 and snapshot is not null",
        )
        .bind(id.as_str())
        .bind(vault.as_str())
        .fetch_all(&self.pool)
        .await?)
    }

    /// Vaults for which facts are waiting.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vaults_behind(&self) -> Result<Vec<VaultId>, StoreError> {
        let rows = sqlx::query(
            "select distinct f.vault from fact f join vault v on v.id = f.vault and v.role <> 'former' \
             where f.snapshot is null",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| row.word("vault")).collect()
    }

    /// These facts stand in a vault now, in that snapshot.
    ///
    /// # Errors
    /// When the database fails; then they wait on and are appended once more, which changes nothing.
    pub async fn facts_appended(&self, vault: &VaultId, facts: &[FactId], snapshot: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for id in facts {
            sqlx::query("update fact set snapshot = $1 where id = $2 and vault = $3")
                .bind(snapshot)
                .bind(id.as_str())
                .bind(vault.as_str())
                .execute(write.on())
                .await?;
        }
        write.commit().await
    }
}
