//! Files and folders of a component, or of a repository's work tree.

use serde::{Deserialize, Serialize};

/// What is not the same in a tree of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileChanges {
    /// Of all changes, those that are not listed included.
    pub counts: FileCounts,
    /// By path, a directory before what is in it.
    pub entries: Vec<FileChange>,
    /// Changes beyond the most that are listed.
    pub more: u64,
}

/// How many, of everything but directories that only one side has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileCounts {
    /// Other content, other link target, or another kind of entry.
    pub modified: u64,
    /// Only the second has it.
    pub added: u64,
    /// Only the first has it.
    pub deleted: u64,
    /// The same content under another path; neither added nor deleted.
    pub renamed: u64,
    /// The same content with another mode, owner, group or attribute. A time alone is no change.
    pub metadata: u64,
    /// Directories that only one side has; listed, and in none of the other counts.
    pub directories: u64,
}

/// One entry of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FileChange {
    /// Its path below the component, in the second one where it is there; bytes that are not UTF-8 as `\xNN`. It may hold
    /// any other character, line ends included.
    pub path: String,
    /// The path's bytes in hexadecimal, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// What became of it.
    pub change: FileChangeKind,
    /// What of its metadata differs, one phrase each: `mode 0644 → 0600`, `owner root → app`, `attribute user.note`.
    /// Metadata alone makes the change [`FileChangeKind::Metadata`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<String>,
    /// `file`, `dir`, `symlink`, `fifo`, `socket`, `dev`, `chardev`, `submodule`; `file → dir` where it became another.
    pub kind: String,
    /// Bytes in the first one, if it is there.
    pub before: Option<u64>,
    /// Bytes in the second one, if it is there.
    pub after: Option<u64>,
    /// For text that was modified, unless it is too long, or there is too much of it to say so at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Lines>,
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum FileChangeKind {
    /// Other content, other link target, or another kind of entry.
    Modified,
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Deleted,
    /// The first has the same content under another path.
    Renamed {
        /// That path, as it is shown.
        from: String,
    },
    /// The same content with other metadata.
    Metadata,
}

impl FileChangeKind {
    /// The letter in front of a line: `M`, `A`, `D`, `R`, and `*` for metadata alone.
    #[must_use]
    pub const fn letter(&self) -> char {
        match self {
            Self::Modified => 'M',
            Self::Added => 'A',
            Self::Deleted => 'D',
            Self::Renamed { .. } => 'R',
            Self::Metadata => '*',
        }
    }
}

/// How many lines of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Lines {
    /// Only in the second one.
    pub added: u64,
    /// Only in the first one.
    pub removed: u64,
}

impl FileChanges {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.more == 0
    }
}
