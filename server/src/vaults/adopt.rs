//! Vaults that exist already: opened by their password alone, and made a project's own.

use std::sync::Arc;

use holdfast_model::{id::VaultId, name::Name, request::BucketAccess};
use holdfast_vault::{Backend, Error as VaultError, FileKind, Password, Vault, VaultOptions};

use super::{
    OpenVault, Vaults, VaultsError, at,
    place::Place,
    secrets::{access_purpose, plain},
};
use crate::store::VaultRow;

impl Vaults {
    /// Opens a vault that the catalogue may not know; a key file that it has lost is put back first.
    ///
    /// # Errors
    /// As [`open_place`].
    pub(crate) async fn open_unknown(
        &self,
        place: &Place,
        password: &Password,
        key: Option<(String, Vec<u8>)>,
    ) -> Result<Vault, VaultsError> {
        open_place(place, password, key, self.options.clone()).await
    }

    /// Notes that the vault of this password lies at this place now; gives it, unless the catalogue does not know it.
    ///
    /// # Errors
    /// When the catalogue fails.
    pub(crate) async fn found_at(
        &self,
        by: &str,
        password: &Password,
        place: &Place,
        access: Option<&BucketAccess>,
    ) -> Result<Option<VaultRow>, VaultsError> {
        let rows = self.store.vaults().await?;
        let Some(row) = rows.into_iter().find(|row| self.is_opened_by(row, password)) else { return Ok(None) };
        let location = place.location();
        if row.location != location || access.is_some() {
            self.move_to(by, &row, place, access).await?;
        }
        Ok(Some(row))
    }

    /// Whether it is the vault that this password was made for: no two have the same one.
    fn is_opened_by(&self, row: &VaultRow, password: &Password) -> bool {
        self.password(row).is_ok_and(|own| own.expose() == password.expose())
    }

    async fn move_to(
        &self,
        by: &str,
        row: &VaultRow,
        place: &Place,
        access: Option<&BucketAccess>,
    ) -> Result<(), VaultsError> {
        let location = place.location();
        let mut access = access.cloned();
        // What is not said anew about the same bucket stays as it was; above all its lock.
        if let (Some(new), Some(known), true) = (&mut access, self.access(row)?, row.location == location) {
            new.path_style = new.path_style.or(known.path_style);
            new.checksum = new.checksum.or(known.checksum);
            new.ca = new.ca.take().or(known.ca);
            new.lock = new.lock.or(known.lock);
        }
        let access = access.map(|access| plain(&access, place)).transpose()?;
        let access = access.map(|access| self.key.wrap(&access_purpose(&row.id), &access)).transpose()?;
        Ok(self.store.move_vault(by, &row.id, &location, access).await?)
    }

    /// The project's vault, when this password opens it, and it is this one: reached in a new way, or at a new place
    /// because nothing is at the old one any more.
    async fn same(
        &self,
        project: &Name,
        password: &Password,
        location: &str,
        access: Option<&BucketAccess>,
    ) -> Result<Option<VaultRow>, VaultsError> {
        let projects = self.store.projects().await?;
        let Some(project) = projects.into_iter().find(|row| &row.name == project) else { return Ok(None) };
        let row = self.store.primary_vault(&project.id).await?;
        let Some(row) = row.filter(|row| row.ready && self.is_opened_by(row, password)) else { return Ok(None) };
        if row.location == location {
            return Ok(access.is_some().then_some(row));
        }
        let place = self.place(&row)?;
        let there = tokio::task::spawn_blocking(move || matches!(place.is_taken(), Ok(true)))
            .await
            .map_err(|error| VaultsError::Thread(error.to_string()))?;
        Ok((!there).then_some(row))
    }

    /// Makes a vault that was opened the project's own.
    ///
    /// Its own one, which lies elsewhere now, goes on from there.
    ///
    /// # Errors
    /// When the project has another one already.
    pub(crate) async fn adopt(
        &self,
        by: &str,
        project: &Name,
        password: &Password,
        (place, access): (&Place, Option<&BucketAccess>),
        vault: Vault,
    ) -> Result<OpenVault, VaultsError> {
        let location = vault.location();
        let moved = self.same(project, password, &location, access).await?;
        if let Some(row) = &moved {
            self.move_to(by, row, place, access).await?;
        }
        let access = access.map(|access| plain(access, place)).transpose()?;
        let wrap = |id: &VaultId| self.wrapped(id, password, access.as_ref().map(|plain| plain.as_slice()));
        let row = self.store.adopt_vault(by, project, &location, wrap).await?;
        let lock = self.access(&row)?.and_then(|access| access.lock);
        let mut open = self.open.lock().await;
        if moved.is_some() {
            open.remove(&row.id);
        }
        Ok(open.entry(row.id.clone()).or_insert(OpenVault { id: row.id, vault, lock }).clone())
    }
}

/// Opens a vault at any place; a key file that it has lost is put back first.
///
/// # Errors
/// When there is no vault, the password opens none of its keys, or the key file cannot be one.
pub(crate) async fn open_place(
    place: &Place,
    password: &Password,
    key: Option<(String, Vec<u8>)>,
    options: VaultOptions,
) -> Result<Vault, VaultsError> {
    let (place, password, location) = (place.clone(), password.clone(), place.location());
    tokio::task::spawn_blocking(move || {
        let storage = place.open()?;
        match (Vault::open(storage.clone(), &password, options.clone()), key) {
            (Err(locked), Some(key)) if is_locked(&locked) => open_with(&storage, &password, &key, options, locked),
            (opened, _) => opened,
        }
    })
    .await
    .map_err(|error| VaultsError::Thread(error.to_string()))?
    .map_err(|source| at(&location, source))
}

fn is_locked(error: &VaultError) -> bool {
    matches!(error, VaultError::WrongPassword | VaultError::Damaged { .. })
}

/// Opens a vault with a key file that it has lost. One that is another vault's does not stay there.
fn open_with(
    storage: &Arc<dyn Backend>,
    password: &Password,
    (name, content): &(String, Vec<u8>),
    options: VaultOptions,
    locked: VaultError,
) -> Result<Vault, VaultError> {
    if storage.list(FileKind::Key)?.iter().any(|(there, _)| there == name) {
        return Err(locked);
    }
    holdfast_vault::put_key_back(&**storage, name, content)?;
    match Vault::open(storage.clone(), password, options) {
        Err(error) if is_locked(&error) => {
            storage.remove(FileKind::Key, name)?;
            Err(locked)
        }
        opened => opened,
    }
}
