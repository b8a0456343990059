//! Copies of checkpoints in vaults: which vault lacks which, and which one takes the primary one's place.

use std::collections::HashMap;

use holdfast_model::{
    id::{CheckpointId, ProjectId, VaultId},
    state::{Integrity, RunKind, VaultRole},
    view::CopyView,
};

use sqlx::any::AnyRow;

use super::{Claim, NewVault, Store, StoreError, VaultRow, queue::hold, value::Columns as _, vaults::New};
use crate::keys::KeyError;

/// One copy of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRow {
    /// The vault that holds it.
    pub vault: VaultId,
    /// The root of it.
    pub tree: String,
    /// What the API shows of it.
    pub view: CopyView,
}

/// A copy that a vault lacks: the checkpoint, and where it can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The primary vault.
    pub vault: VaultId,
    /// Its snapshot there.
    pub snapshot: String,
    /// The root of it, the same in every vault.
    pub tree: String,
}

impl Store {
    /// A mirror of a project that is about to be made, in state `creating`; one that was begun there and not completed
    /// is that one. Audited.
    ///
    /// # Errors
    /// When the database or `wrap` fails.
    pub async fn begin_mirror(
        &self,
        by: &str,
        project: &ProjectId,
        location: &str,
        wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
    ) -> Result<VaultRow, StoreError> {
        let mut write = self.write().await?;
        let new = New { action: "vault.mirror", project, location, role: VaultRole::Mirror, ready: false };
        write.vault(by, new, wrap).await?;
        write.commit().await?;
        self.vault_of(project, Some(location)).await
    }

    /// A vault that is there already is kept as a mirror from now on. Audited where it was not.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when it is the primary one.
    pub async fn mirror_again(&self, by: &str, id: &VaultId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let role: String =
            sqlx::query_scalar("select role from vault where id = $1").bind(id.as_str()).fetch_one(write.on()).await?;
        if role == VaultRole::Primary.as_str() {
            return Err(StoreError::Refused("this is the project's own vault; a copy lies elsewhere".into()));
        }
        if role == VaultRole::Former.as_str() {
            sqlx::query("update vault set role = 'mirror' where id = $1").bind(id.as_str()).execute(write.on()).await?;
            write.audit(by, "vault.mirror", id.as_str(), "").await?;
        }
        write.commit().await
    }

    /// Every copy of a checkpoint, the primary vault's first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn copies_of(&self, id: &CheckpointId) -> Result<Vec<CopyRow>, StoreError> {
        let rows = sqlx::query(
            "select y.vault, v.location, v.role, y.snapshot, y.tree, y.integrity, y.checked_at from checkpoint_copy y \
             join vault v on v.id = y.vault where y.checkpoint = $1 \
             order by case v.role when 'primary' then 0 when 'mirror' then 1 else 2 end, v.created_at, v.id",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?;
        let copy = |row: &AnyRow| {
            Ok(CopyRow {
                vault: row.word("vault")?,
                tree: row.text("tree")?,
                view: CopyView {
                    repository: row.text("location")?,
                    role: row.word("role")?,
                    snapshot: row.text("snapshot")?,
                    integrity: row.word("integrity")?,
                    integrity_at: row.maybe_at("checked_at")?,
                },
            })
        };
        rows.iter().map(copy).collect()
    }

    /// The copy of a checkpoint that is read: the first that is not known to be damaged, else the first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn copy_to_read(&self, id: &CheckpointId) -> Result<CopyRow, StoreError> {
        let mut copies = self.copies_of(id).await?;
        let sound = copies.iter().position(|copy| copy.view.integrity != Integrity::Damaged).unwrap_or(0);
        match sound < copies.len() {
            true => Ok(copies.swap_remove(sound)),
            false => Err(StoreError::not_found("copy of the checkpoint", id.as_str())),
        }
    }

    /// For each vault: how many checkpoints of its project lie in it, and how many the project has.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn coverage(&self) -> Result<HashMap<VaultId, (u64, u64)>, StoreError> {
        let rows = sqlx::query(
            "select v.id, count(c.id) as everything, count(y.vault) as here from vault v \
             left join environment e on e.project = v.project \
             left join checkpoint c on c.environment = e.id and c.deleted_at is null \
             left join checkpoint_copy y on y.checkpoint = c.id and y.vault = v.id group by v.id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.word("id")?, (row.count("here")?, row.count("everything")?)))).collect()
    }

    /// Checkpoints that the project has and this vault has not, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lacking(&self, id: &VaultId) -> Result<Vec<Lacking>, StoreError> {
        let rows = sqlx::query(
            "select c.id, y.vault, y.snapshot, y.tree from vault m join environment e on e.project = m.project \
             join checkpoint c on c.environment = e.id and c.deleted_at is null \
             join checkpoint_copy y on y.checkpoint = c.id join vault v on v.id = y.vault and v.role = 'primary' \
             where m.id = $1 and not exists (select 1 from checkpoint_copy o where o.checkpoint = c.id \
             and o.vault = m.id) order by c.created_at, c.id",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?;
        let lacking = |row: &AnyRow| {
            Ok(Lacking {
                checkpoint: row.word("id")?,
                vault: row.word("vault")?,
                snapshot: row.text("snapshot")?,
                tree: row.text("tree")?,
            })
        };
        rows.iter().map(lacking).collect()
    }

    /// Mirrors that lack a checkpoint and for which no copy is queued.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mirrors_behind(&self) -> Result<Vec<VaultId>, StoreError> {
        let rows = sqlx::query(
            "select m.id from vault m where m.role = 'mirror' and exists (select 1 from environment e \
             join checkpoint c on c.environment = e.id and c.deleted_at is null where e.project = m.project \
             and not exists (select 1 from checkpoint_copy o where o.checkpoint = c.id and o.vault = m.id)) \
             and not exists (select 1 from run r where r.vault = m.id and r.kind = $1 and r.state = 'queued')",
        )
        .bind(RunKind::Copy.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| row.word("id")).collect()
    }

    /// A checkpoint lies in this vault too now; what is known of it is to be appended there as well.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn copied(
        &self,
        claim: &Claim,
        vault: &VaultId,
        lacking: &Lacking,
        snapshot: &str,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        sqlx::query(
            "insert into checkpoint_copy (checkpoint, vault, snapshot, tree, integrity) values ($1, $2, $3, $4, $5) \
             on conflict do nothing",
        )
        .bind(lacking.checkpoint.as_str())
        .bind(vault.as_str())
        .bind(snapshot)
        .bind(&lacking.tree)
        .bind(Integrity::Unchecked.as_str())
        .execute(write.on())
        .await?;
        sqlx::query(
            "insert into fact (id, vault, checkpoint, at, made_by, kind, drill) \
             select f.id, $1, f.checkpoint, f.at, f.made_by, f.kind, f.drill from fact f \
             where f.checkpoint = $2 and f.vault = $3 on conflict do nothing",
        )
        .bind(vault.as_str())
        .bind(lacking.checkpoint.as_str())
        .bind(lacking.vault.as_str())
        .execute(write.on())
        .await?;
        write.commit().await
    }

    /// Makes a mirror the primary vault, if it has everything that the project has and nothing is being written into
    /// the one before, which becomes a former one; whether that was so. Audited.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn take_place(&self, claim: &Claim, id: &VaultId) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let open: Option<String> = sqlx::query_scalar(
            "select c.id from vault m join environment e on e.project = m.project \
             join checkpoint c on c.environment = e.id and c.deleted_at is null where m.id = $1 \
             and not exists (select 1 from checkpoint_copy o where o.checkpoint = c.id and o.vault = m.id) \
             union all select r.id from vault m join environment e on e.project = m.project \
             join run r on r.environment = e.id where m.id = $1 and r.kind = $2 and r.state = 'running' limit 1",
        )
        .bind(id.as_str())
        .bind(RunKind::Create.as_str())
        .fetch_optional(write.on())
        .await?;
        if open.is_some() {
            return Ok(false);
        }
        sqlx::query(
            "update vault set role = 'former' where role = 'primary' and id <> $1 \
             and project = (select project from vault where id = $1)",
        )
        .bind(id.as_str())
        .execute(write.on())
        .await?;
        sqlx::query("update vault set role = 'primary' where id = $1").bind(id.as_str()).execute(write.on()).await?;
        write.audit(&claim.run.view.created_by, "vault.move", id.as_str(), "").await?;
        write.commit().await?;
        Ok(true)
    }
}
