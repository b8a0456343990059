//! Each project's vault: made on first use, opened once, its password wrapped by the server key.

use std::path::PathBuf;

use holdfast_model::{id::VaultId, name::Name, view::RecoveryKit};
use holdfast_vault::Vault;

use crate::{
    keys::{KeyError, ServerKey},
    store::{ProjectRow, Store, StoreError},
};

/// Why a vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultsError {
    /// The vault itself.
    #[error("the vault {location}: {source}")]
    Vault {
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: holdfast_vault::Error,
    },
    /// Its folder.
    #[error("the vault {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The project has none yet.
    #[error("project `{0}` has no vault yet; its first checkpoint makes one")]
    None(Name),
    /// A blocking thread was lost.
    #[error("a worker thread of the vault stopped: {0}")]
    Thread(String),
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
pub struct Vaults {}

impl Vaults {
    /// Vaults under `<data_dir>/vaults/<project>`.
    #[must_use]
    pub fn new(_store: Store, _key: ServerKey, _data_dir: PathBuf) -> Self {
        Self {}
    }

    /// The project's primary vault; made where there is none.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    #[allow(clippy::todo, clippy::unused_async)]
    pub async fn of_project(&self, _project: &ProjectRow) -> Result<OpenVault, VaultsError> {
        todo!()
    }

    /// What is needed to read the project's vault without Holdfast: secret.
    ///
    /// # Errors
    /// When the project has no vault yet, or it cannot be opened.
    #[allow(clippy::todo, clippy::unused_async)]
    pub async fn recovery_kit(&self, _project: &ProjectRow, _by: &str) -> Result<RecoveryKit, VaultsError> {
        todo!()
    }

    /// Somebody has stored the recovery kit; audited.
    ///
    /// # Errors
    /// When the project has no vault yet.
    #[allow(clippy::todo, clippy::unused_async)]
    pub async fn confirm_kit(&self, _project: &ProjectRow, _by: &str) -> Result<(), VaultsError> {
        todo!()
    }
}
