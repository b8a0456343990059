//! The files of a checkpoint as somebody looks through them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{id::CheckpointId, name::Name};

/// `GET /v1/checkpoints/{id}/tree`: one folder of a `files` component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FolderView {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The component.
    pub component: Name,
    /// The folder below the component, empty for the component itself; bytes that are not UTF-8 as `\xNN`.
    pub path: String,
    /// The same as bytes in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// Folders first, each by name.
    pub entries: Vec<EntryView>,
    /// Entries beyond the most that are listed.
    pub more: u64,
}

/// One entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EntryView {
    /// Its name; bytes that are not UTF-8 as `\xNN`.
    pub name: String,
    /// The bytes of its name in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// `file`, `dir`, `symlink`, `fifo`, `socket`, `dev`, `chardev`.
    pub kind: String,
    /// Bytes of a file; 0 of all else.
    pub size: u64,
    /// Permission bits: `0644`.
    pub mode: String,
    /// When its content was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
    /// Where a link points to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}
