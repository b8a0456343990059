//! What is asked of the REST API.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    name::Name,
    state::{Checksum, Trigger},
};

/// `POST /v1/checkpoints`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateCheckpoint {
    /// `name`, `project/name` or `env_…`.
    #[serde(alias = "app", alias = "database")]
    pub environment: String,
    /// For people.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// More patterns to leave out, for every `files` component.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Only these (name, kind or type); all when empty.
    #[serde(default)]
    pub components: Vec<String>,
    /// All but these (name, kind or type).
    #[serde(default)]
    pub without: Vec<String>,
    /// The open map: `git_commit`, `git_branch`, `deploy_id`, …
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// Whether a drill follows the seal.
    #[serde(default = "yes")]
    pub drill: bool,
    /// What caused it; `api` unless the caller says otherwise.
    #[serde(default)]
    pub trigger: Option<Trigger>,
}

/// `POST /v1/checkpoints/{id}/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreCheckpoint {
    /// Only these (name, kind or type); all when empty.
    #[serde(default)]
    pub components: Vec<String>,
    /// Whether a safety checkpoint is taken first.
    #[serde(default = "yes")]
    pub backup: bool,
}

/// `POST /v1/vaults`. It has no `Debug`: it holds a password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptVault {
    /// Where the vault is, in restic's syntax; a path is one on the server's host.
    pub location: String,
    /// What opens it.
    pub password: String,
    /// How to get into the bucket, where it is one.
    #[serde(default)]
    pub bucket: Option<BucketAccess>,
    /// The project that it becomes the vault of; the one that its checkpoints name when none is given.
    #[serde(default)]
    pub project: Option<Name>,
    /// Name and content of restic's key file, put back where the vault has lost it.
    #[serde(default)]
    pub key: Option<KeyFile>,
}

/// `POST /v1/vaults/{project}`. It has no `Debug`: it may hold a credential.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddVault {
    /// Where it shall be: `s3://bucket/prefix`, or a path on the server's host.
    pub location: String,
    /// How to get into the bucket, where it is one.
    #[serde(default)]
    pub bucket: Option<BucketAccess>,
}

/// How to get into a bucket. It has no `Debug`: it holds a credential.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketAccess {
    /// `https://s3.example.org`; AWS's own when none is given.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// `us-east-1` when none is given.
    #[serde(default)]
    pub region: Option<String>,
    /// The access key's id.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The bucket's name in the path, or in the host's name; what suits the endpoint when not said.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// The checksum that goes with every upload.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// Certificates in PEM that alone are trusted; the system's when none are given.
    #[serde(default)]
    pub ca: Option<String>,
}

/// restic's key file, as a recovery kit has it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its name below `keys/`.
    pub name: String,
    /// Its content.
    pub content: String,
}

impl Default for RestoreCheckpoint {
    fn default() -> Self {
        Self { components: Vec::new(), backup: true }
    }
}

const fn yes() -> bool {
    true
}
