//! Vaults as rows: the wrapped password stands here before the repository is made, so that a crash in between leaves
//! something that can be completed, never something that nobody can open.

use holdfast_model::{
    id::{CheckpointId, ProjectId, VaultId},
    name::Name,
    state::VaultRole,
};
use sqlx::any::AnyRow;

use super::{
    Checked, Claim, NewVault, Store, StoreError, VaultRow,
    environments::project,
    queue::hold,
    value::{Columns as _, column, fresh},
    write::Write,
};
use crate::keys::KeyError;

fn vault_row(row: &AnyRow) -> Result<VaultRow, StoreError> {
    Ok(VaultRow {
        id: row.word("id")?,
        project: row.word("project")?,
        location: row.text("location")?,
        password: row.text("password")?,
        access: row.maybe_text("access")?,
        role: row.word("role")?,
        stored: row.count("stored")?,
        free: row.maybe_number("free")?.and_then(|free| u64::try_from(free).ok()),
        checked_at: row.maybe_at("checked_at")?,
        damaged: row.count("damaged")?,
        ready: row.text("state")? == "ready",
        kit_confirmed: row.maybe_number("kit_confirmed_at")?.is_some(),
    })
}

impl Store {
    /// The project's primary vault, if it has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn primary_vault(&self, project: &ProjectId) -> Result<Option<VaultRow>, StoreError> {
        let row = sqlx::query(
            "select id, project, role, location, password, access, stored, free, checked_at, damaged, state, \
             kit_confirmed_at from vault \
             where project = $1 and role = 'primary'",
        )
        .bind(project.as_str())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(vault_row).transpose()
    }

    /// All vaults.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vaults(&self) -> Result<Vec<VaultRow>, StoreError> {
        let rows = sqlx::query(
            "select id, project, role, location, password, access, stored, free, checked_at, damaged, state, \
             kit_confirmed_at from vault order by created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(vault_row).collect()
    }

    /// Keeps a vault that is about to be made, in state `creating`; where another process was faster, gives that one.
    /// `wrap` wraps its secrets for the vault's id.
    ///
    /// # Errors
    /// When the database or `wrap` fails.
    pub async fn begin_vault(
        &self,
        project: &ProjectId,
        location: &str,
        wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
    ) -> Result<VaultRow, StoreError> {
        let mut write = self.write().await?;
        write.vault("server", primary("vault.create", project, location, false), wrap).await?;
        write.commit().await?;
        self.primary_vault(project).await?.ok_or_else(|| StoreError::not_found("vault", project.as_str()))
    }

    /// The same at a place that somebody chose; the project is made where there is none.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the project has a vault already.
    pub async fn add_vault(
        &self,
        by: &str,
        name: &Name,
        location: &str,
        wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
    ) -> Result<VaultRow, StoreError> {
        let mut write = self.write().await?;
        let project = project(&mut write, name).await?;
        let new = write.vault(by, primary("vault.add", &project, location, false), wrap).await?;
        write.commit().await?;
        let row = self.primary_vault(&project).await?;
        let row = row.ok_or_else(|| StoreError::not_found("vault", name.as_str()))?;
        // One that was begun there and not completed goes on.
        if new || (row.location == location && !row.ready) { Ok(row) } else { Err(has_one(name, &row)) }
    }

    /// A vault that exists already, as the project's primary one. The same location once more is the same vault.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the project has another one.
    pub async fn adopt_vault(
        &self,
        by: &str,
        name: &Name,
        location: &str,
        wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
    ) -> Result<VaultRow, StoreError> {
        let mut write = self.write().await?;
        let project = project(&mut write, name).await?;
        write.vault(by, primary("vault.adopt", &project, location, true), wrap).await?;
        write.commit().await?;
        let row = self.primary_vault(&project).await?;
        let row = row.ok_or_else(|| StoreError::not_found("vault", name.as_str()))?;
        if row.location == location { Ok(row) } else { Err(has_one(name, &row)) }
    }

    /// A vault lies elsewhere now, or is reached in another way; audited.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn move_vault(
        &self,
        by: &str,
        id: &VaultId,
        location: &str,
        access: Option<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update vault set location = $1, access = $2 where id = $3")
            .bind(location)
            .bind(access)
            .bind(id.as_str())
            .execute(write.on())
            .await?;
        write.audit(by, "vault.move", id.as_str(), location).await?;
        write.commit().await
    }

    /// The repository was made completely.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vault_ready(&self, id: &VaultId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update vault set state = 'ready' where id = $1").bind(id.as_str()).execute(write.on()).await?;
        write.commit().await
    }

    /// How many bytes lie in a vault now, and for how many more its storage has room, where it can say.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vault_holds(&self, id: &VaultId, stored: u64, free: Option<u64>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update vault set stored = $1, free = $2 where id = $3")
            .bind(column(stored))
            .bind(free.map(column))
            .bind(id.as_str())
            .execute(write.on())
            .await?;
        write.commit().await
    }

    /// Vaults whose last prune to the end is more than so many seconds ago, or that were made that long ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vaults_to_prune(&self, seconds: i64) -> Result<Vec<VaultId>, StoreError> {
        let before = self.now().await? - seconds.saturating_mul(1_000_000);
        let rows = sqlx::query(
            "select id from vault where state = 'ready' and role <> 'former' and coalesce(pruned_at, created_at) < $1 \
             order by created_at, id",
        )
        .bind(before)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| row.word("id")).collect()
    }

    /// Snapshots that a vault must hold: those of checkpoints that exist.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshots_of(&self, id: &VaultId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(
            "select y.snapshot from checkpoint_copy y join checkpoint c on c.id = y.checkpoint \
             where y.vault = $1 and c.deleted_at is null",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?)
    }

    /// Vaults whose last check is more than so many seconds ago, or that were made that long ago, each with the share of
    /// its data that is next.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vaults_to_check(&self, seconds: i64) -> Result<Vec<(VaultId, u32)>, StoreError> {
        let before = self.now().await? - seconds.saturating_mul(1_000_000);
        let rows = sqlx::query(
            "select id, next_part from vault where state = 'ready' and role <> 'former' \
             and coalesce(checked_at, created_at) < $1 order by created_at, id",
        )
        .bind(before)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.word("id")?, u32::try_from(row.number("next_part")?).unwrap_or(1)))).collect()
    }

    /// A vault of a project: the one at this location, else the primary one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it has no such vault.
    pub async fn vault_of(&self, project: &ProjectId, location: Option<&str>) -> Result<VaultRow, StoreError> {
        let all = self.vaults().await?;
        let found = all.into_iter().filter(|row| &row.project == project).find(|row| match location {
            Some(location) => row.location.trim_end_matches('/') == location.trim_end_matches('/'),
            None => row.role == VaultRole::Primary,
        });
        found.ok_or_else(|| StoreError::not_found("vault", location.unwrap_or("of the project: it has none yet")))
    }

    /// Copies of checkpoints that exist in a vault: checkpoint and snapshot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn copies_in(&self, id: &VaultId) -> Result<Vec<(CheckpointId, String)>, StoreError> {
        let rows = sqlx::query(
            "select y.checkpoint, y.snapshot from checkpoint_copy y join checkpoint c on c.id = y.checkpoint \
             where y.vault = $1 and c.deleted_at is null order by c.created_at, c.id",
        )
        .bind(id.as_str())
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| Ok((row.word("checkpoint")?, row.text("snapshot")?))).collect()
    }

    /// A check has ended.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn checked(&self, claim: &Claim, id: &VaultId, found: &Checked) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let now = write.now();
        sqlx::query(
            "update vault set checked_at = $1, damaged = $2, next_part = coalesce($3, next_part) where id = $4",
        )
        .bind(now)
        .bind(column(found.damaged))
        .bind(found.next_part.map(i64::from))
        .bind(id.as_str())
        .execute(write.on())
        .await?;
        write.commit().await
    }

    /// Whether a run of the vault's project wants to write into it or read from it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn wants_vault(&self, id: &VaultId) -> Result<bool, StoreError> {
        let run: Option<String> = sqlx::query_scalar(
            "select r.id from run r join environment e on e.id = r.environment join vault v on v.project = e.project \
             where v.id = $1 and r.state in ('queued', 'running') and r.kind in ('create', 'restore') limit 1",
        )
        .bind(id.as_str())
        .fetch_optional(&self.pool)
        .await?;
        Ok(run.is_some())
    }

    /// A prune has ended, of its own accord or early; audited.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held.
    pub async fn pruned(&self, claim: &Claim, id: &VaultId, whole: bool, told: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, claim).await?;
        let now = write.now();
        if whole {
            sqlx::query("update vault set pruned_at = $1 where id = $2")
                .bind(now)
                .bind(id.as_str())
                .execute(write.on())
                .await?;
        }
        write.audit(&claim.run.view.created_by, "vault.prune", id.as_str(), told).await?;
        write.commit().await
    }

    /// Somebody has stored the vault's recovery kit; audited.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_kit(&self, id: &VaultId, by: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        sqlx::query("update vault set kit_confirmed_at = $1, kit_confirmed_by = $2 where id = $3")
            .bind(now)
            .bind(by)
            .bind(id.as_str())
            .execute(write.on())
            .await?;
        write.audit(by, "recovery_kit.confirm", id.as_str(), "").await?;
        write.commit().await
    }
}

const fn primary<'a>(action: &'a str, project: &'a ProjectId, location: &'a str, ready: bool) -> New<'a> {
    New { action, project, location, role: VaultRole::Primary, ready }
}

fn has_one(name: &Name, row: &VaultRow) -> StoreError {
    StoreError::Refused(format!(
        "project `{name}` has a vault already, at {}; choose another project's name",
        row.location
    ))
}

/// A vault that the catalogue is to keep.
pub(super) struct New<'a> {
    /// The audited word for it.
    pub action: &'a str,
    pub project: &'a ProjectId,
    pub location: &'a str,
    pub role: VaultRole,
    /// Whether its repository is there already.
    pub ready: bool,
}

impl Write {
    /// A vault of a project, unless it has one in this place or role; whether it was new. Audited.
    pub(super) async fn vault(
        &mut self,
        by: &str,
        vault: New<'_>,
        wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let id = fresh(now, VaultId::from_parts)?;
        let NewVault { password, access } = wrap(&id)?;
        let New { action, project, location, role, ready } = vault;
        let new = sqlx::query(
            "insert into vault (id, project, role, state, location, password, access, created_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing",
        )
        .bind(id.as_str())
        .bind(project.as_str())
        .bind(role.as_str())
        .bind(if ready { "ready" } else { "creating" })
        .bind(location)
        .bind(password)
        .bind(access)
        .bind(now)
        .execute(self.on())
        .await?
        .rows_affected();
        if new == 1 {
            self.audit(by, action, id.as_str(), location).await?;
        }
        Ok(new == 1)
    }
}
