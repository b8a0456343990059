//! Vaults as rows: the wrapped password stands here before the repository is made, so that a crash in between leaves
//! something that can be completed, never something that nobody can open.

use holdfast_model::id::{ProjectId, VaultId};
use sqlx::any::AnyRow;

use super::{
    Store, StoreError, VaultRow,
    value::{Columns as _, column, fresh},
};

fn vault_row(row: &AnyRow) -> Result<VaultRow, StoreError> {
    Ok(VaultRow {
        id: row.word("id")?,
        project: row.word("project")?,
        location: row.text("location")?,
        password: row.text("password")?,
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
            "select id, project, location, password, state, kit_confirmed_at from vault \
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
            "select id, project, location, password, state, kit_confirmed_at from vault order by created_at, id",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(vault_row).collect()
    }

    /// Keeps a vault that is about to be made, in state `creating`; where another process was faster, gives that one.
    /// `wrap` wraps the password for the vault's id.
    ///
    /// # Errors
    /// When the database or `wrap` fails.
    pub async fn begin_vault(
        &self,
        project: &ProjectId,
        location: &str,
        wrap: impl FnOnce(&VaultId) -> Result<String, crate::keys::KeyError> + Send,
    ) -> Result<VaultRow, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let id = fresh(now, VaultId::from_parts)?;
        let password = wrap(&id)?;
        let new = sqlx::query(
            "insert into vault (id, project, role, state, location, password, created_at) \
             values ($1, $2, 'primary', 'creating', $3, $4, $5) on conflict do nothing",
        )
        .bind(id.as_str())
        .bind(project.as_str())
        .bind(location)
        .bind(password)
        .bind(now)
        .execute(write.on())
        .await?
        .rows_affected();
        if new == 1 {
            write.audit("server", "vault.create", id.as_str(), location).await?;
        }
        write.commit().await?;
        self.primary_vault(project).await?.ok_or_else(|| StoreError::not_found("vault", project.as_str()))
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
