//! Snapshots: the small files that make trees reachable. Writing one is the commit point of the vault.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::{SnapshotId, TreeId};

/// A snapshot as it stands in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its file's name.
    pub id: SnapshotId,
    /// When it was taken, in UTC.
    pub time: OffsetDateTime,
    /// Its root.
    pub tree: TreeId,
    /// The paths that it says it was made from.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The snapshot that it was compared with when it was made.
    pub parent: Option<SnapshotId>,
    /// Where it was taken.
    pub hostname: String,
    /// By whom.
    pub username: String,
    /// What wrote it, if it says so.
    pub program_version: String,
}

/// What a seal makes a snapshot of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotDraft {
    /// Its root; every blob below it was written by this writer or stood in the vault before.
    pub tree: TreeId,
    /// When it was taken.
    pub time: OffsetDateTime,
    /// The paths that it was made from.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The snapshot that it was compared with.
    pub parent: Option<SnapshotId>,
    /// This host.
    pub hostname: String,
    /// Who asked for it.
    pub username: String,
    /// What writes it: `holdfast 0.1.0`.
    pub program_version: String,
}

/// The JSON of a snapshot file.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotJson {
    #[serde(with = "rfc3339")]
    pub time: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SnapshotId>,
    pub tree: TreeId,
    #[serde(default, deserialize_with = "nullable")]
    pub paths: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub excludes: Vec<String>,
    /// The snapshot that this one was copied from or made of, however often that has happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SnapshotId>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program_version: String,
}

impl SnapshotJson {
    pub(crate) fn of(draft: SnapshotDraft) -> SnapshotJson {
        SnapshotJson {
            time: draft.time,
            parent: draft.parent,
            tree: draft.tree,
            paths: draft.paths,
            hostname: draft.hostname,
            username: draft.username,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            tags: draft.tags,
            excludes: Vec::new(),
            original: None,
            program_version: draft.program_version,
        }
    }

    pub(crate) fn named(self, id: SnapshotId) -> Snapshot {
        Snapshot {
            id,
            time: in_utc(self.time),
            tree: self.tree,
            paths: self.paths,
            tags: self.tags,
            parent: self.parent,
            hostname: self.hostname,
            username: self.username,
            program_version: self.program_version,
        }
    }
}

/// The same instant in UTC. Within a day of the ends of what can be written the clock is kept instead.
pub(crate) fn in_utc(time: OffsetDateTime) -> OffsetDateTime {
    let utc = time.checked_to_offset(time::UtcOffset::UTC).filter(|utc| (0..=9999).contains(&utc.year()));
    utc.unwrap_or_else(|| time.replace_offset(time::UtcOffset::UTC))
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Times as Go writes and reads them.
pub(crate) mod rfc3339 {
    use super::{Deserialize, OffsetDateTime, Rfc3339};

    pub fn serialize<S: serde::Serializer>(time: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
        let text = time.format(&Rfc3339).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&text)
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<OffsetDateTime, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom)
    }
}
