//! The workers: they claim runs, do them with the engine, seal, and keep what was found.
//!
//! | room | what it holds |
//! |---|---|
//! | [`worker`], [`hold`], [`recorder`] | one run in a worker's hands: lease, cancellation, events, and its end |
//! | [`create`], [`seal`], [`lock`], [`drill`], [`verify`], [`restore`] | what each kind of run does |
//! | [`export`] | a checkpoint on its way out |
//! | [`import`] | a checkpoint on its way in |
//! | [`facts`] | what became true after a seal, on its way into the vault |
//! | [`prune`], [`check`], [`repair`], [`copy`] | what is done with a vault as a whole |
//! | [`upkeep`] | when these are due |
//! | [`catalogue`] | the catalogue's own daily copy |
//! | [`care`] | what an earlier process left, leases, samples |

use std::{path::PathBuf, sync::Arc};

use holdfast_engine::{Allow, ExportError, Tools};
use holdfast_model::{id::CheckpointId, name::Name, view::CatalogueCopied};
use holdfast_vault::{TreeId, Vault};
use tokio::{
    sync::{Mutex, MutexGuard},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

mod care;
mod catalogue;
mod check;
mod choose;
mod copy;
mod create;
mod drill;
mod export;
mod facts;
mod hold;
mod import;
mod job;
mod lock;
mod prune;
mod recorder;
mod repair;
mod restore;
mod seal;
mod upkeep;
mod verify;
mod worker;

pub use crate::store::{Live, Refusal, may_delete};
use crate::{
    catalogue::CopyError,
    keys::ServerKey,
    store::{Lane, Store, StoreError},
    vaults::{OpenVault, Vaults, VaultsError, blocking},
};
pub use choose::choose;
pub(crate) use copy::Asked as CopyAsked;
pub use export::Outgoing;
pub(crate) use restore::{Goal, Told, request as restore_request};

/// Why something asked of the desk was not done.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The catalogue, or one of its rules.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault.
    #[error(transparent)]
    Vaults(#[from] VaultsError),
    /// The checkpoint has no such file.
    #[error("the checkpoint holds nothing at `{0}`")]
    NoSuchPath(String),
    /// It cannot be exported as it is.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The scratch folder.
    #[error("the scratch folder {0}")]
    Scratch(String),
    /// A folder was asked for as a file.
    #[error("`{0}` is not a regular file; name a file in it")]
    NotAFile(String),
    /// What was asked for does not fit the checkpoint; the text says why, and the mend.
    #[error("{0}")]
    Unfit(String),
}

/// What the workers may do, and where.
#[derive(Debug, Clone)]
pub struct DeskSettings {
    /// Runs at once.
    pub workers: usize,
    /// Holdfast's own folder: never captured, never written by a restore.
    pub data_dir: PathBuf,
    /// Room for drills and restores; what earlier runs left in it is swept at start.
    pub scratch: PathBuf,
    /// Commands of definitions that a restore may run.
    pub allow: Allow,
}

/// What a worker needs. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    store: Store,
    vaults: Vaults,
    key: ServerKey,
    tools: Arc<Tools>,
    settings: DeskSettings,
    /// Held while facts are appended to a vault.
    facts: Mutex<()>,
}

/// One file of a checkpoint, opened.
pub struct Content {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes; reading blocks, and verifies each part against its hash.
    pub reader: Box<dyn std::io::Read + Send>,
}

impl Desk {
    /// Puts the parts together; nothing runs before [`Self::start`].
    #[must_use]
    pub fn new(store: Store, vaults: Vaults, key: ServerKey, tools: Arc<Tools>, settings: DeskSettings) -> Self {
        Self(Arc::new(Inner { store, vaults, key, tools, settings, facts: Mutex::new(()) }))
    }

    /// The catalogue.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The vaults.
    #[must_use]
    pub fn vaults(&self) -> &Vaults {
        &self.0.vaults
    }

    /// The live stream of stored events.
    #[must_use]
    pub fn live(&self) -> &Live {
        self.0.store.live()
    }

    pub(crate) fn key(&self) -> &ServerKey {
        &self.0.key
    }

    pub(crate) fn tools(&self) -> &Tools {
        &self.0.tools
    }

    pub(crate) async fn facts_turn(&self) -> MutexGuard<'_, ()> {
        self.0.facts.lock().await
    }

    pub(crate) fn settings(&self) -> &DeskSettings {
        &self.0.settings
    }

    /// Takes up what an earlier process left, then works until `cancel`; the handle ends when the last worker has.
    ///
    /// A run that is going when `cancel` comes is put back and goes on after the next start; a restore is brought to
    /// its end.
    #[must_use]
    pub fn start(self, cancel: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async move {
            care::take_over(&self).await;
            let mut tasks = JoinSet::new();
            tasks.spawn(care::keep(self.clone(), cancel.clone()));
            tasks.spawn(catalogue::keep(self.clone(), cancel.clone()));
            for number in 1..=self.0.settings.workers.max(1) {
                let name = format!("{}/{number}", std::process::id());
                tasks.spawn(worker::work(self.clone(), Lane::Environments, name, cancel.clone()));
            }
            let name = format!("{}/vaults", std::process::id());
            tasks.spawn(worker::work(self.clone(), Lane::Vaults, name, cancel.clone()));
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "a worker stopped");
                }
            }
        })
    }

    /// What is never captured and never written by a restore: our own folders, and every vault on this host.
    pub(crate) async fn forbidden(&self) -> Result<Vec<PathBuf>, StoreError> {
        let settings = self.settings();
        let mut own = vec![settings.data_dir.clone(), settings.scratch.clone()];
        let vaults = self.store().vaults().await?;
        own.extend(vaults.into_iter().map(|vault| PathBuf::from(vault.location)).filter(|place| place.is_absolute()));
        Ok(own)
    }

    /// Removes a checkpoint from the catalogue and its snapshot from the vault; audited.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the reason when a rule forbids it.
    pub async fn delete_checkpoint(&self, id: &CheckpointId, by: &str) -> Result<(), DeskError> {
        self.store().delete_checkpoint(id, by).await?;
        care::forget(self).await;
        facts::append_all(self).await;
        self.store().sample().await?;
        Ok(())
    }

    /// Keeps how full a vault is.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn measure(&self, open: &OpenVault) -> Result<(), DeskError> {
        Ok(upkeep::measure(self, open).await?)
    }

    /// Copies the catalogue into a vault: that of `to`, which is remembered, or else the one that copies go into; audited.
    ///
    /// # Errors
    /// When there is no such vault, it cannot be written, or the catalogue is in a database server.
    pub async fn copy_catalogue(&self, by: &str, to: Option<&Name>) -> Result<CatalogueCopied, CopyError> {
        catalogue::copy(self, by, to).await
    }

    /// The vault that holds a sound copy of a checkpoint, and the checkpoint's root in it.
    pub(crate) async fn sealed(&self, id: &CheckpointId) -> Result<(Vault, TreeId), DeskError> {
        let copy = self.store().copy_to_read(id).await?;
        let open = self.vaults().get(&copy.vault).await?;
        let root = copy.tree.parse().map_err(|error| StoreError::corrupt("tree id", error))?;
        Ok((open.vault, root))
    }

    /// Opens one file of a checkpoint's tree, by its path from the root (`files/uploads/a.txt`); audited.
    ///
    /// # Errors
    /// When there is no such file, or the vault cannot be read.
    pub async fn content(&self, id: &CheckpointId, path: &str, by: &str) -> Result<Content, DeskError> {
        let (vault, root) = self.sealed(id).await?;
        let wanted = PathBuf::from(path.trim_start_matches('/'));
        let node = match blocking(vault.clone(), move |vault| vault.find(&root, &wanted)).await {
            Err(VaultsError::Vault { source: holdfast_vault::Error::NoSuchPath { .. }, .. }) => {
                return Err(DeskError::NoSuchPath(path.to_owned()));
            }
            found => found?,
        };
        if !node.is_file() {
            return Err(DeskError::NotAFile(path.to_owned()));
        }
        self.store().audit(by, "checkpoint.read", id.as_str(), path).await?;
        let size = node.size;
        let reader = blocking(vault, move |vault| vault.read(&node)).await?;
        Ok(Content { size, reader: Box::new(reader) })
    }
}
