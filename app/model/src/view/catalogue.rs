//! The catalogue's own copies: one that was made, what is needed to go back to one, and what that brought.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{EnvironmentRef, RecoveryKit};
use crate::name::Name;

/// `POST /v1/catalogue/copies`: a copy that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CatalogueCopied {
    /// The project in whose vault it lies.
    pub project: Name,
    /// Where that is.
    pub location: String,
    /// When it was taken.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The snapshot that it is.
    pub snapshot: String,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes that it added to the vault.
    pub stored: u64,
    /// Older copies that it made superfluous, and that were forgotten.
    pub forgotten: u64,
}

/// `GET /v1/catalogue/kit`: what `holdfast recover` needs. It opens every project, and has no `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CatalogueKit {
    /// What opens the vault in which the copies lie; its commands are those of a recovery.
    #[serde(flatten)]
    pub vault: RecoveryKit,
    /// The server key, 64 hexadecimal characters. It lies in no vault.
    pub server_key: String,
}

/// What `holdfast recover` brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Recovered {
    /// The data directory that it wrote.
    pub data_dir: String,
    /// When the copy was taken.
    #[serde(with = "time::serde::rfc3339")]
    pub copied_at: OffsetDateTime,
    /// The snapshot that it is.
    pub snapshot: String,
    /// Newer copies that could not be used, each with the reason.
    pub passed_over: Vec<String>,
    /// Environments; each waits for somebody who looks at its definition.
    pub environments: Vec<EnvironmentRef>,
    /// Checkpoints that are there now.
    pub checkpoints: u64,
    /// Those of them that are newer than the copy.
    pub new_checkpoints: u64,
    /// Drills that are newer than the copy.
    pub new_drills: u64,
    /// Runs that had not ended when the copy was taken.
    pub ended_runs: u64,
    /// Vaults that are not where the catalogue knows them.
    pub missing_vaults: Vec<MissingVault>,
    /// What could not be read in vaults that are there.
    pub problems: Vec<String>,
}

/// A vault that cannot be opened where the catalogue knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MissingVault {
    /// Its project.
    pub project: Name,
    /// Where it was.
    pub location: String,
    /// What was found there instead.
    pub reason: String,
}
