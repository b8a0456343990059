//! What is asked of the REST API.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    name::Name,
    secret::Sent,
    state::{Checksum, LockMode, Trigger},
    table::TableMode,
};

/// Stands for how things are now in a comparison, and is the tag of the checkpoint that is taken for it, without a drill.
/// Whoever asks for the newest checkpoint is not given such a one: it may be the state that they want to leave.
pub const LIVE: &str = "live";

/// `POST /v1/checkpoints`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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

/// `POST /v1/checkpoints/{id}/restore`, and the same body to `…/restore/plan`.
///
/// It goes to where it came from, unless one of `to`, `to_dir` and `to_url` says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RestoreCheckpoint {
    /// Only these (name, kind or type); all when empty.
    #[serde(default)]
    pub components: Vec<String>,
    /// Whether a safety checkpoint is taken first.
    #[serde(default = "yes")]
    pub backup: bool,
    /// Only what matches one of these patterns, in the dialect of `exclude`; of `files` components. All else stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Another environment: `name` (of the same project), `project/name` or `env_…`.
    #[serde(default, alias = "target_app", skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// For an environment that does not exist yet: each component's place there, a path, a database's name on the
    /// same server, or a database's URL.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub map: BTreeMap<Name, Sent>,
    /// Whether it may go to places that another environment uses.
    #[serde(default)]
    pub overlap: bool,
    /// Into this folder of the server's host, which is empty or not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>))]
    pub to_dir: Option<PathBuf>,
    /// One PostgreSQL component into the database of this URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_url: Option<Sent>,
    /// Whether the database of `to_url` may hold something; it is kept under another name.
    #[serde(default)]
    pub replace_database: bool,
    /// Only these tables of one PostgreSQL component, as `schema.table`; all else stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// How they are put back; `insert`, which destroys nothing, when not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TableMode>,
    /// Whether devices, and set-uid and set-gid bits and capabilities of files, are put back too.
    #[serde(default)]
    pub privileged: bool,
}

/// `POST /v1/vaults`. It has no `Debug`: it holds a password.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddVault {
    /// Where it shall be: `s3://bucket/prefix`, or a path on the server's host.
    pub location: String,
    /// How to get into the bucket, where it is one.
    #[serde(default)]
    pub bucket: Option<BucketAccess>,
}

/// `POST /v1/vaults/{project}/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PruneVault {
    /// Which of the project's vaults; the primary one when not said.
    #[serde(default)]
    pub location: Option<String>,
}

/// `POST /v1/vaults/{project}/check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckVault {
    /// Which of the project's vaults; the primary one when not said.
    #[serde(default)]
    pub location: Option<String>,
    /// How much of it is read.
    pub depth: Depth,
}

/// How much of a vault a check reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Depth {
    /// Index, trees, names, sizes and headers.
    Structure,
    /// The same and one share of the data.
    Part {
        /// From 1 to `of`.
        part: u32,
        /// Into how many shares the data is divided.
        of: u32,
    },
    /// The same and all data.
    All,
}

/// `POST /v1/vaults/{project}/repair`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RepairVault {
    /// Which of the project's vaults; the primary one when not said.
    #[serde(default)]
    pub location: Option<String>,
    /// Whether every pack is read whole, and not only its header.
    #[serde(default)]
    pub read_data: bool,
    /// Whether what was removed from a bucket that keeps versions is brought back first.
    #[serde(default)]
    pub undelete: bool,
}

/// `POST /v1/vaults/{project}/copy`. It has no `Debug`: it may hold a credential.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CopyVault {
    /// Where the copy is, or shall be made: `s3://bucket/prefix`, or a path on the server's host.
    pub location: String,
    /// How to get into the bucket, where it is one that is not known yet.
    #[serde(default)]
    pub bucket: Option<BucketAccess>,
    /// Whether it takes the primary one's place when everything is there; else it is kept as a mirror.
    #[serde(default, rename = "move")]
    pub moves: bool,
}

/// How to get into a bucket. It has no `Debug`: it holds a credential.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
    /// Whether what is sealed is locked in the bucket, which must have object lock.
    #[serde(default)]
    pub lock: Option<ObjectLock>,
}

/// For how long, and how firmly, what is sealed cannot be removed from its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ObjectLock {
    /// From a checkpoint's seal on, in days.
    pub days: u16,
    /// How firmly.
    pub mode: LockMode,
}

/// `POST /v1/catalogue/copies`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CopyCatalogue {
    /// The project into whose vault this and all later copies go; as before when none is given.
    #[serde(default)]
    pub to: Option<Name>,
}

/// restic's key file, as a recovery kit has it.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its name below `keys/`.
    pub name: String,
    /// Its content.
    pub content: String,
}

impl Default for RestoreCheckpoint {
    fn default() -> Self {
        Self {
            components: Vec::new(),
            backup: true,
            paths: Vec::new(),
            to: None,
            map: BTreeMap::new(),
            overlap: false,
            to_dir: None,
            to_url: None,
            replace_database: false,
            tables: Vec::new(),
            mode: None,
            privileged: false,
        }
    }
}

const fn yes() -> bool {
    true
}
