//! Each project's vault: made on first use, opened once, its password wrapped by the server key.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::{id::VaultId, name::Name};
use holdfast_vault::{Backend, Error as VaultError, LocalBackend, Password, Vault, VaultOptions};
use tokio::sync::Mutex;

use crate::{
    keys::{KeyError, ServerKey},
    store::{ProjectRow, Store, StoreError, VaultRow},
};

pub(crate) mod contents;
pub(crate) mod foreign;
mod kit;
pub(crate) mod tags;

/// Why a vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultsError {
    /// The vault itself.
    #[error("the vault {location}: {source}")]
    Vault {
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: VaultError,
    },
    /// The project has none yet.
    #[error("project `{0}` has no vault yet; its first checkpoint makes one")]
    None(Name),
    /// A vault that the catalogue does not know.
    #[error("the catalogue knows no vault {0}")]
    Unknown(VaultId),
    /// A blocking thread was lost.
    #[error("a thread of the vault stopped: {0}")]
    Thread(String),
    /// What is stored for it cannot be shown.
    #[error("the vault's {0} is not text")]
    NotText(&'static str),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// An open vault and its place in the catalogue.
#[derive(Clone)]
pub struct OpenVault {
    /// Its id.
    pub id: VaultId,
    /// The open repository.
    pub vault: Vault,
}

/// All vaults of this server. Cheap to clone.
#[derive(Clone)]
pub struct Vaults {
    store: Store,
    key: ServerKey,
    /// `<data_dir>/vaults`.
    folder: PathBuf,
    options: VaultOptions,
    /// Held while one is opened, so that two first checkpoints do not make it twice.
    open: Arc<Mutex<HashMap<VaultId, OpenVault>>>,
}

/// What a wrapped password is bound to.
fn purpose(id: &VaultId) -> String {
    format!("vault:{id}")
}

impl Vaults {
    /// Vaults under `<data_dir>/vaults/<project>`.
    #[must_use]
    pub fn new(store: Store, key: ServerKey, data_dir: impl AsRef<Path>) -> Self {
        Self {
            store,
            key,
            folder: data_dir.as_ref().join("vaults"),
            options: VaultOptions::default(),
            open: Arc::default(),
        }
    }

    /// The project's primary vault; made where there is none.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub async fn of_project(&self, project: &ProjectRow) -> Result<OpenVault, VaultsError> {
        let mut open = self.open.lock().await;
        let row = match self.store.primary_vault(&project.id).await? {
            Some(row) => row,
            None => self.begin(project).await?,
        };
        if let Some(vault) = open.get(&row.id) {
            return Ok(vault.clone());
        }
        let vault = self.enter(row).await?;
        open.insert(vault.id.clone(), vault.clone());
        Ok(vault)
    }

    /// Whether the project's primary vault is open already; opening, and above all making one, takes a moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_open(&self, project: &ProjectRow) -> Result<bool, VaultsError> {
        let row = self.store.primary_vault(&project.id).await?;
        let open = self.open.lock().await;
        Ok(row.is_some_and(|row| open.contains_key(&row.id)))
    }

    /// A vault by its id.
    ///
    /// # Errors
    /// [`VaultsError::Unknown`], and when it cannot be opened.
    pub async fn get(&self, id: &VaultId) -> Result<OpenVault, VaultsError> {
        let mut open = self.open.lock().await;
        if let Some(vault) = open.get(id) {
            return Ok(vault.clone());
        }
        let row = self.store.vaults().await?.into_iter().find(|row| &row.id == id);
        let vault = self.enter(row.ok_or_else(|| VaultsError::Unknown(id.clone()))?).await?;
        open.insert(vault.id.clone(), vault.clone());
        Ok(vault)
    }

    /// Opens a vault that the catalogue may not know; a key file that it has lost is put back first.
    ///
    /// # Errors
    /// When there is no vault, the password opens none of its keys, or the key file cannot be one.
    pub async fn open_unknown(
        &self,
        location: &str,
        password: &Password,
        key: Option<(String, Vec<u8>)>,
    ) -> Result<Vault, VaultsError> {
        let (place, password, options) = (location.to_owned(), password.clone(), self.options.clone());
        tokio::task::spawn_blocking(move || {
            let storage: Arc<dyn Backend> = Arc::new(LocalBackend::open(&place)?);
            if let Some((name, content)) = key {
                holdfast_vault::put_key_back(&*storage, &name, &content)?;
            }
            Vault::open(storage, &password, options)
        })
        .await
        .map_err(|error| VaultsError::Thread(error.to_string()))?
        .map_err(|source| at(location, source))
    }

    /// Makes a vault that was opened the project's own.
    ///
    /// # Errors
    /// When the project has another one already.
    pub async fn adopt(
        &self,
        by: &str,
        project: &Name,
        location: &str,
        password: &Password,
        vault: Vault,
    ) -> Result<OpenVault, VaultsError> {
        let wrap = |id: &VaultId| self.key.wrap(&purpose(id), password.expose().as_bytes());
        let row = self.store.adopt_vault(by, project, location, wrap).await?;
        let mut open = self.open.lock().await;
        Ok(open.entry(row.id.clone()).or_insert(OpenVault { id: row.id, vault }).clone())
    }

    /// Removes the locks that dead processes of this host left in any vault; gives how many.
    ///
    /// # Errors
    /// When a vault cannot be opened; the others have been looked at all the same.
    pub async fn remove_dead_locks(&self) -> Result<usize, VaultsError> {
        let (mut removed, mut failed) = (0, None);
        for row in self.store.vaults().await?.into_iter().filter(|row| row.ready) {
            let gone = match self.get(&row.id).await {
                Ok(open) => blocking(open.vault, Vault::remove_dead_locks).await,
                Err(error) => Err(error),
            };
            match gone {
                Ok(count) => removed += count,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(removed), Err)
    }

    /// The wrapped password stands in the catalogue before anything is made on disk.
    async fn begin(&self, project: &ProjectRow) -> Result<VaultRow, VaultsError> {
        let location = self.folder.join(project.name.as_str());
        let location = location.display().to_string();
        let password = Password::generate().map_err(|source| at(&location, source))?;
        let row = self
            .store
            .begin_vault(&project.id, &location, |id| self.key.wrap(&purpose(id), password.expose().as_bytes()))
            .await?;
        Ok(row)
    }

    /// Opens it; one whose making was interrupted is made completely first.
    async fn enter(&self, row: VaultRow) -> Result<OpenVault, VaultsError> {
        let password = self.password(&row)?;
        let (location, options, ready) = (row.location.clone(), self.options.clone(), row.ready);
        let vault = tokio::task::spawn_blocking(move || open_or_complete(&location, &password, options, ready))
            .await
            .map_err(|error| VaultsError::Thread(error.to_string()))?
            .map_err(|source| at(&row.location, source))?;
        if !row.ready {
            self.store.vault_ready(&row.id).await?;
        }
        Ok(OpenVault { id: row.id, vault })
    }

    fn password(&self, row: &VaultRow) -> Result<Password, VaultsError> {
        let plain = self.key.unwrap(&purpose(&row.id), &row.password)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultsError::NotText("password"))?;
        Ok(Password::new(text.to_owned()))
    }
}

fn at(location: &str, source: VaultError) -> VaultsError {
    VaultsError::Vault { location: location.to_owned(), source }
}

fn open_or_complete(
    location: &str,
    password: &Password,
    options: VaultOptions,
    ready: bool,
) -> Result<Vault, VaultError> {
    let backend = |found: Result<LocalBackend, _>| -> Result<Arc<dyn Backend>, VaultError> { Ok(Arc::new(found?)) };
    if ready {
        return Vault::open(backend(LocalBackend::open(location))?, password, options);
    }
    // What an interrupted start left opens with the same password, or is begun again.
    let storage = backend(LocalBackend::create(location))?;
    match Vault::init(storage.clone(), password, options.clone()) {
        Err(VaultError::AlreadyAVault { .. }) => Vault::open(storage, password, options),
        made => made,
    }
}

/// Does a vault's blocking work off the async threads.
///
/// # Errors
/// What the work gives, or that its thread was lost.
pub async fn blocking<T: Send + 'static>(
    vault: Vault,
    work: impl FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultsError> {
    let location = vault.location();
    tokio::task::spawn_blocking(move || work(&vault))
        .await
        .map_err(|error| VaultsError::Thread(error.to_string()))?
        .map_err(|source| at(&location, source))
}
