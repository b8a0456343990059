//! Vaults: which there are, one that is made or adopted, and what is needed without Holdfast.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{EnvironmentRef, RunView};
use crate::{name::Name, state::VaultRole};

/// `GET /v1/vaults`: a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VaultView {
    /// The project that owns it.
    pub project: Name,
    /// Where it is, in restic's syntax.
    pub location: String,
    /// Bytes in it.
    pub stored: u64,
    /// Bytes that its storage has room for, where it can say.
    pub free: Option<u64>,
    /// Whether checkpoints are written here first, copied here, or no longer written here.
    pub role: VaultRole,
    /// Checkpoints of the project that are in it, and how many it has in all.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<u64>))]
    pub checkpoints: (u64, u64),
    /// When it was last checked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub checked_at: Option<OffsetDateTime>,
    /// Damaged places that the newest check found.
    pub damaged: u64,
    /// Whether somebody has confirmed to have its recovery kit.
    pub recovery_kit_confirmed: bool,
}

/// One thing that a storage was tried with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Trial {
    /// `put`, `list`, …
    pub name: String,
    /// Whether it works.
    pub works: bool,
    /// Whether a vault cannot do without it.
    pub required: bool,
    /// What was seen, and the mend where it failed.
    pub message: String,
}

/// `POST /v1/vaults/{project}/copy`: what came of asking for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StartedCopy {
    /// What the storage of a new vault was tried with; empty for one that is known.
    pub trials: Vec<Trial>,
    /// The run that copies.
    pub run: RunView,
}

/// What adding a vault showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AddedVault {
    /// The vault.
    pub vault: VaultView,
    /// What its storage was tried with.
    pub trials: Vec<Trial>,
}

/// What adopting a vault brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Adopted {
    /// The project that it is the vault of now.
    pub project: Name,
    /// Where it is.
    pub location: String,
    /// The environments of its checkpoints.
    pub environments: Vec<AdoptedEnvironment>,
    /// Checkpoints in it.
    pub checkpoints: u64,
    /// Those of them that were new here.
    pub new_checkpoints: u64,
    /// Drills that were new here.
    pub new_drills: u64,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// An environment that came with a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AdoptedEnvironment {
    /// Where it stands.
    pub environment: EnvironmentRef,
    /// Whether somebody has to look at its definition first.
    pub to_confirm: bool,
}

/// What is needed to read a vault without Holdfast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecoveryKit {
    /// The project.
    pub project: Name,
    /// Where it is, in restic's syntax.
    pub repository: String,
    /// Its password.
    pub password: String,
    /// The name of restic's key file, `keys/<name>`.
    pub key_name: String,
    /// Its content.
    pub key_file: String,
    /// What to type.
    pub commands: Vec<String>,
}
