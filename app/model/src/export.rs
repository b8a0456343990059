//! `metadata.json`: what an exported checkpoint says of itself. It is the first of the export's files, and it lists all
//! others with their sizes and hashes, so that whoever reads the export can check each while it passes.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::manifest::{Manifest, Skipped};

/// The version of this format; a reader refuses a newer one.
pub const FORMAT: u32 = 1;
/// What [`Origin::system`] says of an export of ours.
pub const SYSTEM: &str = "holdfast";
/// The name of this file.
pub const METADATA: &str = "metadata.json";
/// The list that `sha256sum -c` reads.
pub const SUMS: &str = "SHA256SUMS";

/// The whole of `metadata.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// [`FORMAT`].
    pub format: u32,
    /// Where it comes from.
    pub origin: Origin,
    /// What a person should know who finds this: which files hold secrets, how they are read.
    pub notes: Vec<String>,
    /// Every other file, in the order in which they come.
    pub files: Vec<ExportedFile>,
    /// What the checkpoint holds and no file of the export can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Skipped>,
    /// What was sealed: components, facts and ledgers.
    pub manifest: Manifest,
}

/// Where a checkpoint was made that came from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Origin {
    /// The program that made it: [`SYSTEM`], `hop3`, …
    pub system: String,
    /// Its id there.
    pub id: String,
    /// The program's version.
    pub version: String,
    /// The moment that it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExportedFile {
    /// Its path within the export: `services/postgres_shop.dump`.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// The components that it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
}

/// Keys of a checkpoint's open map that keep where it came from.
pub mod keys {
    /// [`super::Origin::system`].
    pub const SYSTEM: &str = "origin_system";
    /// [`super::Origin::id`], by which the checkpoint can be found here too.
    pub const ID: &str = "origin_id";
    /// [`super::Origin::version`].
    pub const VERSION: &str = "origin_version";
    /// [`super::Origin::time`], by RFC 3339.
    pub const TIME: &str = "origin_time";
}
