//! Each project's vault: made on first use, opened once, its password wrapped by the server key.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::{
    id::VaultId,
    name::Name,
    request::{BucketAccess, ObjectLock},
    view::Trial,
};
use holdfast_vault::{Backend, BackendError, Error as VaultError, FileKind, Password, Undeleted, Vault, VaultOptions};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::{
    keys::{KeyError, ServerKey},
    store::{NewVault, ProjectRow, Store, StoreError, VaultRow},
};
use place::Place;

pub(crate) mod contents;
pub(crate) mod foreign;
mod kit;
mod mirror;
pub(crate) mod place;
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
    /// Held while one is opened, so that two first checkpoints do not make it twice.
    open: Arc<Mutex<HashMap<VaultId, OpenVault>>>,
}

fn failures(trials: &[Trial]) -> String {
    let failed = trials.iter().filter(|trial| trial.required && !trial.works);
    failed.map(|trial| format!("{}: {}", trial.name, trial.message)).collect::<Vec<_>>().join("; ")
}

/// What a wrapped password is bound to.
fn purpose(id: &VaultId) -> String {
    format!("vault:{id}")
}

/// What the wrapped way into a bucket is bound to.
fn access_purpose(id: &VaultId) -> String {
    format!("vault-access:{id}")
}

impl Vaults {
    /// Vaults under `<data_dir>/vaults/<project>`, each opened with these bounds.
    #[must_use]
    pub fn new(store: Store, key: ServerKey, data_dir: impl AsRef<Path>, options: VaultOptions) -> Self {
        Self { store, key, folder: data_dir.as_ref().join("vaults"), options, open: Arc::default() }
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
            self.move_to(by, &row, &location, access).await?;
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
        location: &str,
        access: Option<&BucketAccess>,
    ) -> Result<(), VaultsError> {
        let mut access = access.cloned();
        // What is not said anew about the same bucket stays as it was; above all its lock.
        if let (Some(new), Some(known), true) = (&mut access, self.access(row)?, row.location == location) {
            new.path_style = new.path_style.or(known.path_style);
            new.checksum = new.checksum.or(known.checksum);
            new.ca = new.ca.take().or(known.ca);
            new.lock = new.lock.or(known.lock);
        }
        let access = access.as_ref().map(plain).transpose()?;
        let access = access.map(|access| self.key.wrap(&access_purpose(&row.id), &access)).transpose()?;
        Ok(self.store.move_vault(by, &row.id, location, access).await?)
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
        access: Option<&BucketAccess>,
        vault: Vault,
    ) -> Result<OpenVault, VaultsError> {
        let location = vault.location();
        let moved = self.same(project, password, &location, access).await?;
        if let Some(row) = &moved {
            self.move_to(by, row, &location, access).await?;
        }
        let access = access.map(plain).transpose()?;
        let wrap = |id: &VaultId| self.wrapped(id, password, access.as_ref().map(|plain| plain.as_slice()));
        let row = self.store.adopt_vault(by, project, &location, wrap).await?;
        let lock = self.access(&row)?.and_then(|access| access.lock);
        let mut open = self.open.lock().await;
        if moved.is_some() {
            open.remove(&row.id);
        }
        Ok(open.entry(row.id.clone()).or_insert(OpenVault { id: row.id, vault, lock }).clone())
    }

    /// Makes a new vault at a place of one's choice, for a project that has none; its storage is tried first.
    ///
    /// # Errors
    /// [`VaultsError::Unfit`] with all that it was tried with; when the project has a vault already.
    pub(crate) async fn add(
        &self,
        by: &str,
        project: &Name,
        place: Place,
        access: Option<&BucketAccess>,
    ) -> Result<(OpenVault, Vec<Trial>), VaultsError> {
        let location = place.location();
        let trials = self.try_out(place).await?;
        let password = Password::generate().map_err(|source| at(&location, source))?;
        let access = access.map(plain).transpose()?;
        let wrap = |id: &VaultId| self.wrapped(id, &password, access.as_ref().map(|plain| plain.as_slice()));
        let mut open = self.open.lock().await;
        let row = self.store.add_vault(by, project, &location, wrap).await?;
        let vault = self.enter(row).await?;
        open.insert(vault.id.clone(), vault.clone());
        Ok((vault, trials))
    }

    /// Tries whether a vault can be made at a place.
    async fn try_out(&self, place: Place) -> Result<Vec<Trial>, VaultsError> {
        let location = place.location();
        let begun = self.store.vaults().await?.iter().any(|row| row.location == location && !row.ready);
        let (trials, taken) = tokio::task::spawn_blocking(move || {
            let trials = place.trials()?;
            let fit = trials.iter().all(|trial| trial.works || !trial.required);
            // Whoever adds a vault where one lies would be left with one that nothing opens.
            Ok::<_, BackendError>((trials, fit && !begun && place.is_taken()?))
        })
        .await
        .map_err(|error| VaultsError::Thread(error.to_string()))?
        .map_err(|error| at(&location, error.into()))?;
        if trials.iter().any(|trial| trial.required && !trial.works) {
            return Err(VaultsError::Unfit { location, trials });
        }
        if taken {
            let source = VaultError::AlreadyAVault { location: location.clone() };
            return Err(at(&location, source));
        }
        Ok(trials)
    }

    /// The secrets of a vault as the catalogue keeps them.
    fn wrapped(&self, id: &VaultId, password: &Password, access: Option<&[u8]>) -> Result<NewVault, KeyError> {
        let access = match access {
            Some(access) => Some(self.key.wrap(&access_purpose(id), access)?),
            None => None,
        };
        Ok(NewVault { password: self.key.wrap(&purpose(id), password.expose().as_bytes())?, access })
    }

    /// Where a vault of the catalogue lies.
    fn place(&self, row: &VaultRow) -> Result<Place, VaultsError> {
        Place::read(&row.location, self.access(row)?.as_ref()).map_err(|source| at(&row.location, source))
    }

    /// The way into a vault's bucket, where it is in one.
    fn access(&self, row: &VaultRow) -> Result<Option<BucketAccess>, VaultsError> {
        let Some(wrapped) = &row.access else { return Ok(None) };
        let plain = self.key.unwrap(&access_purpose(&row.id), wrapped)?;
        Ok(Some(serde_json::from_slice(&plain).map_err(|_| VaultsError::NotText("access"))?))
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

    fn password(&self, row: &VaultRow) -> Result<Password, VaultsError> {
        let plain = self.key.unwrap(&purpose(&row.id), &row.password)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultsError::NotText("password"))?;
        Ok(Password::new(text.to_owned()))
    }
}

/// The way into a bucket, ready to be wrapped.
fn plain(access: &BucketAccess) -> Result<Zeroizing<Vec<u8>>, VaultsError> {
    serde_json::to_vec(access).map(Zeroizing::new).map_err(|_| VaultsError::NotText("access"))
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
