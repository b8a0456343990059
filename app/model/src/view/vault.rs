//! Vaults: which there are, one that is made, adopted or pruned, and what is needed without Holdfast.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::EnvironmentRef;
use crate::name::Name;

/// `GET /v1/vaults`: a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultView {
    /// The project that owns it.
    pub project: Name,
    /// Where it is, in restic's syntax.
    pub location: String,
    /// Bytes in it.
    pub stored: u64,
    /// Whether somebody has confirmed to have its recovery kit.
    pub recovery_kit_confirmed: bool,
}

/// `POST /v1/vaults/{project}/prune`: what a prune did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Whether it came to its end; else it goes on the next time.
    pub whole: bool,
    /// Bytes freed now.
    pub freed: u64,
    /// Bytes that are not needed and are freed once their grace is over.
    pub waiting: u64,
    /// When the first of these may go.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next: Option<OffsetDateTime>,
    /// Bytes that checkpoints need.
    pub used: u64,
    /// Packs that hold damage and stay as they are.
    pub damaged: Vec<String>,
    /// The same in one sentence.
    pub message: String,
}

/// One thing that a storage was tried with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// What adding a vault showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedVault {
    /// The vault.
    pub vault: VaultView,
    /// What its storage was tried with.
    pub trials: Vec<Trial>,
}

/// What adopting a vault brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct AdoptedEnvironment {
    /// Where it stands.
    pub environment: EnvironmentRef,
    /// Whether somebody has to look at its definition first.
    pub to_confirm: bool,
}

/// What is needed to read a vault without Holdfast.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
