//! Each project's vault: made on first use, opened once, its password wrapped by the server key.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::{id::VaultId, name::Name, request::ObjectLock, view::Trial};
use holdfast_vault::{Error as VaultError, Password, Undeleted, Vault, VaultOptions};
use ipnet::IpNet;
use tokio::sync::Mutex;

use crate::{
    keys::{KeyError, ServerKey},
    store::{ProjectRow, Store, StoreError, VaultRow},
};
use place::Place;

mod add;
mod adopt;
pub(crate) mod contents;
pub(crate) mod foreign;
mod kit;
mod mirror;
pub(crate) mod place;
mod secrets;
pub(crate) mod tags;

pub(crate) use adopt::open_place;

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
    /// Its storage cannot do what a vault needs.
    #[error("{location} cannot hold a vault: {}", failures(.trials))]
    Unfit {
        /// Where it was to be.
        location: String,
        /// What it was tried with.
        trials: Vec<Trial>,
    },
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
    /// Whether and for how long its bucket locks what is sealed.
    pub lock: Option<ObjectLock>,
}

/// All vaults of this server. Cheap to clone.
#[derive(Clone)]
pub struct Vaults {
    store: Store,
    key: ServerKey,
    /// `<data_dir>/vaults`.
    folder: PathBuf,
    options: VaultOptions,
    /// Private networks in which a bucket may be that was not named by whoever owns the host.
    networks: Arc<[IpNet]>,
    /// Held while one is opened, so that two first checkpoints do not make it twice.
    open: Arc<Mutex<HashMap<VaultId, OpenVault>>>,
}

fn failures(trials: &[Trial]) -> String {
    let failed = trials.iter().filter(|trial| trial.required && !trial.works);
    failed.map(|trial| format!("{}: {}", trial.name, trial.message)).collect::<Vec<_>>().join("; ")
}

impl Vaults {
    /// Vaults under `<data_dir>/vaults/<project>`, each opened with these bounds.
    #[must_use]
    pub fn new(store: Store, key: ServerKey, data_dir: impl AsRef<Path>, options: VaultOptions) -> Self {
        Self {
            store,
            key,
            folder: data_dir.as_ref().join("vaults"),
            options,
            networks: Arc::default(),
            open: Arc::default(),
        }
    }

    /// The same, with private networks in which a bucket may be that was not named by whoever owns the host.
    #[must_use]
    pub fn with_networks(self, networks: &[IpNet]) -> Self {
        Self { networks: networks.into(), ..self }
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

    /// Opens a vault whose index may not be readable; what is open of it already is not that one.
    ///
    /// # Errors
    /// [`VaultsError::Unknown`], and when its key cannot be opened.
    pub(crate) async fn open_for_repair(&self, id: &VaultId) -> Result<Vault, VaultsError> {
        let row = self.store.vaults().await?.into_iter().find(|row| &row.id == id);
        let row = row.ok_or_else(|| VaultsError::Unknown(id.clone()))?;
        let (place, password, options) = (self.place(&row)?, self.password(&row)?, self.options.clone());
        tokio::task::spawn_blocking(move || Vault::open_for_repair(place.open()?, &password, options))
            .await
            .map_err(|error| VaultsError::Thread(error.to_string()))?
            .map_err(|source| at(&row.location, source))
    }

    /// Brings back what was removed from a vault's bucket, or overwritten in it, as far as the bucket keeps versions.
    ///
    /// # Errors
    /// [`VaultsError::Unknown`]; when it is in no bucket, or the bucket refuses.
    pub(crate) async fn undelete(&self, id: &VaultId) -> Result<Undeleted, VaultsError> {
        let row = self.store.vaults().await?.into_iter().find(|row| &row.id == id);
        let row = row.ok_or_else(|| VaultsError::Unknown(id.clone()))?;
        let place = self.place(&row)?;
        tokio::task::spawn_blocking(move || place.undelete())
            .await
            .map_err(|error| VaultsError::Thread(error.to_string()))?
            .map_err(|source| at(&row.location, source))
    }

    /// Whoever wants the vault next opens it anew.
    pub(crate) async fn close(&self, id: &VaultId) {
        self.open.lock().await.remove(id);
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
        Ok(self.store.begin_vault(&project.id, &location, |id| self.wrapped(id, &password, None)).await?)
    }

    /// Opens it; one whose making was interrupted is made completely first.
    async fn enter(&self, row: VaultRow) -> Result<OpenVault, VaultsError> {
        let password = self.password(&row)?;
        let lock = self.access(&row)?.and_then(|access| access.lock);
        let (place, options, ready) = (self.place(&row)?, self.options.clone(), row.ready);
        let vault = tokio::task::spawn_blocking(move || open_or_complete(&place, &password, options, ready))
            .await
            .map_err(|error| VaultsError::Thread(error.to_string()))?
            .map_err(|source| at(&row.location, source))?;
        if !row.ready {
            self.store.vault_ready(&row.id).await?;
        }
        Ok(OpenVault { id: row.id, vault, lock })
    }
}

fn at(location: &str, source: VaultError) -> VaultsError {
    VaultsError::Vault { location: location.to_owned(), source }
}

fn open_or_complete(
    place: &Place,
    password: &Password,
    options: VaultOptions,
    ready: bool,
) -> Result<Vault, VaultError> {
    if ready {
        return Vault::open(place.open()?, password, options);
    }
    // What an interrupted start left opens with the same password, or is begun again.
    let storage = place.create()?;
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
