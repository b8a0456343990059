//! The workers: they claim runs, do them with the engine, seal, and keep what was found.

use std::{path::PathBuf, sync::Arc};

use holdfast_model::id::CheckpointId;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use crate::store::{Live, Refusal, may_delete};
use crate::{
    keys::ServerKey,
    store::{Store, StoreError},
    vaults::{Vaults, VaultsError},
};

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
    /// A folder was asked for as a file.
    #[error("`{0}` is not a regular file; name a file in it")]
    NotAFile(String),
}

/// What the workers may do, and where.
#[derive(Debug, Clone)]
pub struct DeskSettings {
    /// Runs at once.
    pub workers: usize,
    /// Holdfast's own folder: never captured, never written by a restore.
    pub data_dir: PathBuf,
    /// Room for drills and restores; swept at start.
    pub scratch: PathBuf,
}

/// What a worker needs. Cheap to clone.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

struct Inner {
    store: Store,
    vaults: Vaults,
    _key: ServerKey,
    _settings: DeskSettings,
}

/// One file of a checkpoint, opened.
pub struct Content {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes; blocking reads, verified against their hashes.
    pub reader: Box<dyn std::io::Read + Send>,
}

impl Desk {
    /// Puts the parts together; nothing runs before [`Self::start`].
    #[must_use]
    pub fn new(store: Store, vaults: Vaults, key: ServerKey, settings: DeskSettings) -> Self {
        Self(Arc::new(Inner { store, vaults, _key: key, _settings: settings }))
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

    /// Takes up what an earlier process left, then works until `cancel`; the handle ends when the last worker has.
    #[must_use]
    pub fn start(self, _cancel: CancellationToken) -> JoinHandle<()> {
        tokio::spawn(async {})
    }

    /// Removes a checkpoint from the catalogue and its snapshot from the vault; audited.
    ///
    /// # Errors
    /// [`StoreError::Refused`] with the reason when a rule forbids it.
    #[allow(clippy::todo, clippy::unused_async)]
    pub async fn delete_checkpoint(&self, _id: &CheckpointId, _by: &str) -> Result<(), DeskError> {
        todo!()
    }

    /// Opens one file of a checkpoint's tree, by its path from the root (`files/uploads/a.txt`); audited.
    ///
    /// # Errors
    /// When there is no such file, or the vault cannot be read.
    #[allow(clippy::todo, clippy::unused_async)]
    pub async fn content(&self, _id: &CheckpointId, _path: &str, _by: &str) -> Result<Content, DeskError> {
        todo!()
    }
}
