//! `manifest.json`: what a sealed checkpoint says of itself. Immutable, and served byte for byte.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    id::{CheckpointId, EnvironmentId, RunId},
    ledger::Ledger,
    name::Name,
    state::{Kind, Trigger},
};

/// The version of this format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;

/// The whole of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Holdfast that wrote it.
    pub holdfast: String,
    /// The tools that took part, with their versions: `pg_dump`, `git`, …
    pub tools: BTreeMap<String, String>,
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The run that took it.
    pub run: RunId,
    /// Which attempt of the run sealed it, from 1.
    pub attempt: u32,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Its description, if it was given one.
    pub description: Option<String>,
    /// The tags that it was created with.
    pub tags: Vec<String>,
    /// The project's name.
    pub project: Name,
    /// The environment's name.
    pub environment: Name,
    /// The environment's id in the catalogue that wrote this.
    pub environment_id: EnvironmentId,
    /// The moment that the components were held.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Who or what asked for it.
    pub created_by: String,
    /// What caused it.
    pub trigger: Trigger,
    /// The open map: `git_commit`, `git_branch`, `deploy_id`, …
    pub metadata: BTreeMap<String, String>,
    /// Milliseconds between the first and the last component's instant.
    pub skew_ms: u64,
    /// Logical bytes of all components.
    pub total: u64,
    /// Bytes that the components' data added to the vault.
    pub stored: u64,
    /// In the order of the definition.
    pub components: Vec<ManifestComponent>,
    /// Components of the definition that this checkpoint was told to leave out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// The environment's checkpoint before this one and the SHA-256 of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
}

/// The link to the checkpoint before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Previous {
    /// That checkpoint.
    pub checkpoint: CheckpointId,
    /// SHA-256 of its `manifest.json`, in hexadecimal.
    pub manifest: String,
}

/// One component as it was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ManifestComponent {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// The host that it was captured on.
    pub host: String,
    /// Its place in the checkpoint's tree: `files/uploads`.
    pub place: String,
    /// The instant that its content belongs to.
    #[serde(with = "time::serde::rfc3339")]
    pub instant: OffsetDateTime,
    /// Logical bytes.
    pub size: u64,
    /// Bytes that it added to the vault.
    pub stored: u64,
    /// Files, refs, variables or tables: how many, in the kind's own unit.
    pub items: u64,
    /// What a drill compares with, for databases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ledger: Option<Ledger>,
    /// What a restore or drill needs to know: server version, roles, extensions, HEAD, refs, patterns left out …
    #[serde(default)]
    pub facts: Facts,
    /// What was meant to be captured and was not, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// What this kind of capture does not cover, said plainly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<String>,
}

/// Facts by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Facts {
    /// Nothing beyond the common ones.
    #[default]
    None,
    /// A directory or file.
    Files {
        /// The path that was captured.
        path: String,
        /// The patterns that left something out.
        exclude: Vec<String>,
        /// Regular files, directories, and all else.
        files: u64,
        /// Directories.
        dirs: u64,
        /// Links, fifos, sockets, devices.
        others: u64,
        /// Files that were equal to the checkpoint before and not read again.
        unchanged: u64,
    },
    /// A git repository.
    Git {
        /// The path that was captured.
        path: String,
        /// The branch that HEAD names, if any.
        branch: Option<String>,
        /// The commit that HEAD resolves to, if any.
        head: Option<String>,
        /// Every ref and the object that it names, `refs/holdfast/…` included.
        refs: BTreeMap<String, String>,
        /// Whether there was uncommitted work.
        dirty: bool,
    },
    /// Variables.
    Config {
        /// Their names, each with its origin; values are only in the component's own file in the vault.
        variables: BTreeMap<String, String>,
    },
    /// A PostgreSQL database.
    Postgres {
        /// The database's name.
        database: String,
        /// `server_version`.
        server: String,
        /// Major version.
        major: u32,
        /// The version of `pg_dump`.
        dump: String,
        /// Owner of the database.
        owner: String,
        /// Every role that the archive names; a drill creates them without login.
        roles: Vec<String>,
        /// Extension to version.
        extensions: BTreeMap<String, String>,
        /// Encoding and locale of the database, for its re-creation.
        encoding: String,
        /// `lc_collate`.
        collate: String,
        /// `lc_ctype`.
        ctype: String,
        /// Whether `globals.sql` could be taken, and how.
        globals: String,
    },
    /// A SQLite database.
    Sqlite {
        /// The path that was captured.
        path: String,
        /// The library's version.
        version: String,
        /// `journal_mode` of the source.
        journal: String,
    },
}

/// Something that was meant to be captured and was not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Skipped {
    /// The component.
    pub component: String,
    /// A path, table or other name within it; bytes that are not UTF-8 are shown as `\xNN`.
    pub name: String,
    /// A short word: `unreadable`, `unsettled`, `extension`, `not_compared`, …
    pub reason: String,
    /// A sentence.
    pub message: String,
}
