//! Vaults as rows: the wrapped password stands here before the repository is made, so that a crash in between leaves
//! something that can be completed, never something that nobody can open.

use holdfast_model::{
    id::{ProjectId, VaultId},
    name::Name,
};
use sqlx::any::AnyRow;

use super::{
    NewVault, Store, StoreError, VaultRow,
    environments::project,
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
        stored: row.count("stored")?,
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
            "select id, project, location, password, access, stored, state, kit_confirmed_at from vault \
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
            "select id, project, location, password, access, stored, state, kit_confirmed_at from vault order by created_at, id",
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
        insert(&mut write, "server", "vault.create", project, location, "creating", wrap).await?;
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
        let new = insert(&mut write, by, "vault.add", &project, location, "creating", wrap).await?;
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
        insert(&mut write, by, "vault.adopt", &project, location, "ready", wrap).await?;
        write.commit().await?;
        let row = self.primary_vault(&project).await?;
        let row = row.ok_or_else(|| StoreError::not_found("vault", name.as_str()))?;
        if row.location == location { Ok(row) } else { Err(has_one(name, &row)) }
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

    /// How many bytes lie in a vault now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vault_holds(&self, id: &VaultId, stored: u64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update vault set stored = $1 where id = $2")
            .bind(column(stored))
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
            "select id from vault where state = 'ready' and coalesce(pruned_at, created_at) < $1 order by created_at, id",
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
    /// When the database fails.
    pub async fn pruned(&self, id: &VaultId, by: &str, whole: bool, told: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        if whole {
            sqlx::query("update vault set pruned_at = $1 where id = $2")
                .bind(now)
                .bind(id.as_str())
                .execute(write.on())
                .await?;
        }
        write.audit(by, "vault.prune", id.as_str(), told).await?;
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

fn has_one(name: &Name, row: &VaultRow) -> StoreError {
    StoreError::Refused(format!(
        "project `{name}` has a vault already, at {}; choose another project's name",
        row.location
    ))
}

/// A primary vault for a project that has none; whether it was new. Audited.
async fn insert(
    write: &mut Write,
    by: &str,
    action: &str,
    project: &ProjectId,
    location: &str,
    state: &str,
    wrap: impl FnOnce(&VaultId) -> Result<NewVault, KeyError> + Send,
) -> Result<bool, StoreError> {
    let now = write.now();
    let id = fresh(now, VaultId::from_parts)?;
    let NewVault { password, access } = wrap(&id)?;
    let new = sqlx::query(
        "insert into vault (id, project, role, state, location, password, access, created_at) \
         values ($1, $2, 'primary', $3, $4, $5, $6, $7) on conflict do nothing",
    )
    .bind(id.as_str())
    .bind(project.as_str())
    .bind(state)
    .bind(location)
    .bind(password)
    .bind(access)
    .bind(now)
    .execute(write.on())
    .await?
    .rows_affected();
    if new == 1 {
        write.audit(by, action, id.as_str(), location).await?;
    }
    Ok(new == 1)
}
