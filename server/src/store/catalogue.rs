//! What the catalogue remembers of its own copies: the vault that they go into, and when the last one was made.

use std::path::Path;

use holdfast_model::{id::VaultId, state::VaultRole, view::Attention};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{
    Sight, Store, StoreError, VaultRow,
    value::{Columns as _, from_json, json, moment},
    write::Write,
};

/// The vault that somebody chose.
const INTO: &str = "catalogue_copies_into";
/// The last copy.
const LAST: &str = "catalogue_copied";
/// A catalogue whose newest copy is older than this asks for attention.
const OLD: time::Duration = time::Duration::days(3);

/// The last copy of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueCopy {
    /// When it was taken.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The vault that it lies in.
    pub vault: String,
    /// The snapshot that it is.
    pub snapshot: String,
}

impl Store {
    /// The file that holds the catalogue; none when a database server holds it.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The vault that copies of the catalogue go into: the one that was chosen, or else the oldest primary one that is
    /// ready.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn vault_of_copies(&self) -> Result<Option<VaultRow>, StoreError> {
        let chosen = self.setting(INTO).await?;
        let vaults = self.vaults().await?;
        // Where the chosen one has given its place to another one, that one is meant.
        let project =
            vaults.iter().find(|vault| Some(vault.id.as_str()) == chosen.as_deref()).map(|vault| &vault.project);
        let primary: Vec<_> = vaults.iter().filter(|vault| vault.ready && vault.role == VaultRole::Primary).collect();
        let chosen = primary.iter().find(|vault| Some(&vault.project) == project).or(primary.first());
        Ok(chosen.map(|vault| (*vault).clone()))
    }

    /// The last copy, if there has been one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn last_copy(&self) -> Result<Option<CatalogueCopy>, StoreError> {
        self.setting(LAST).await?.map(|text| from_json("copy of the catalogue", &text)).transpose()
    }

    /// Whether a day has gone by since the last copy, or there is none, and there is a vault for one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn copy_is_due(&self, every: time::Duration) -> Result<bool, StoreError> {
        let now = moment(self.now().await?)?;
        let recent = self.last_copy().await?.is_some_and(|last| now - last.at < every);
        Ok(!recent && self.vault_of_copies().await?.is_some())
    }

    /// What the overview asks for when no copy is recent, though there has been a vault for one.
    pub(super) async fn copies_want(&self) -> Result<Option<Attention>, StoreError> {
        // It belongs to no project.
        if self.file.is_none() || self.sight != Sight::everything() {
            return Ok(None);
        }
        let since =
            sqlx::query("select min(created_at) as since from vault where state = 'ready' and role = 'primary'")
                .fetch_one(&self.pool);
        let Some(since) = since.await?.maybe_at("since")? else { return Ok(None) };
        let last = self.last_copy().await?.map(|last| last.at);
        let now = moment(self.now().await?)?;
        Ok((now - last.unwrap_or(since) > OLD).then(|| Attention {
            message: match last {
                Some(last) => format!(
                    "The newest copy of the catalogue is {} days old: a lost server loses all that its vaults do not know",
                    (now - last).whole_days()
                ),
                None => "There is no copy of the catalogue: a lost server loses all that its vaults do not know".into(),
            },
            action: "Run holdfast catalogue copy on the server's host; it says what is in the way".into(),
            href: "/projects".into(),
            urgent: false,
        }))
    }

    /// A copy was made; audited. `chosen`: all later ones go into the same vault.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn catalogue_copied(
        &self,
        by: &str,
        vault: &VaultId,
        at: OffsetDateTime,
        snapshot: &str,
        chosen: bool,
    ) -> Result<(), StoreError> {
        let copy = CatalogueCopy { at, vault: vault.to_string(), snapshot: snapshot.to_owned() };
        let mut write = self.write().await?;
        put_setting(&mut write, LAST, &json("copy of the catalogue", &copy)?).await?;
        if chosen {
            put_setting(&mut write, INTO, vault.as_str()).await?;
        }
        write.audit(by, "catalogue.copy", vault.as_str(), snapshot).await?;
        write.commit().await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("select value from setting where name = $1")
            .bind(name)
            .fetch_optional(&self.pool)
            .await?)
    }
}

async fn put_setting(write: &mut Write, name: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query(
        "insert into setting (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(write.on())
    .await?;
    Ok(())
}
