//! What is not the same in two checkpoints: configuration, files, schema, rows and git in one value.
//!
//! The direction is always the second minus the first, as they were given: what only the second has was *added*, and
//! where a value stands on both sides, `before` is the first one's and `after` the second one's.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{id::CheckpointId, manifest::Skipped, name::Name, state::Kind, view::EnvironmentRef};

mod config;
mod database;
mod file;
mod files;
mod git;

pub use config::{ConfigChanges, VariableChange};
pub use database::{
    Cell, DatabaseChanges, ObjectChange, RowChange, RowChanges, SequenceChange, TableChange, TableRows,
};
pub use file::{DiffLine, FileBody, FileFacts, FileView, Hunk, LineChange, LineEnd, Span};
pub use files::{FileChange, FileChangeKind, FileChanges, FileCounts, Lines};
pub use git::{Commit, Flags, GitChanges, RefChange, Texts};

/// The same thing in the first and in the second checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeforeAfter<T> {
    /// The first one's.
    pub before: T,
    /// The second one's.
    pub after: T,
}

/// Of each type it is another one, so it has no name of its own and stands where it is used.
#[cfg(feature = "schema")]
impl<T: utoipa::PartialSchema> utoipa::PartialSchema for BeforeAfter<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .property("before", T::schema())
            .required("before")
            .property("after", T::schema())
            .required("after")
            .into()
    }
}

#[cfg(feature = "schema")]
impl<T: utoipa::PartialSchema> utoipa::ToSchema for BeforeAfter<T> {}

/// Bytes on both sides.
pub type Sizes = BeforeAfter<u64>;

/// `GET /v1/checkpoints/{first}/diff/{second}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Diff {
    /// What is compared with.
    pub first: Side,
    /// What is compared.
    pub second: Side,
    /// In the second one's order, then those that only the first one has.
    pub components: Vec<ComponentDiff>,
    /// Of the checkpoints as a whole.
    pub size: SizeDiff,
}

/// One of the two checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Side {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Where it was taken.
    pub environment: EnvironmentRef,
    /// The moment that its components were held.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
}

/// Bytes of both checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SizeDiff {
    /// Logical bytes of all components.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub logical: Sizes,
    /// Bytes that each checkpoint added to its vault when it was sealed.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub stored: Sizes,
}

/// One component in both checkpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComponentDiff {
    /// Its name.
    pub name: Name,
    /// Its kind; a component that became another kind is told twice, once for each.
    pub kind: Kind,
    /// Which checkpoint has it.
    pub presence: Presence,
    /// What is not the same.
    pub changes: Changes,
    /// Logical bytes; 0 where it is not there.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub size: Sizes,
    /// What could not be compared, and what either checkpoint itself could not capture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
}

/// Which checkpoint has a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// Both.
    Both,
    /// Only the first: it was removed.
    First,
    /// Only the second: it was added.
    Second,
}

/// What is not the same in one component. A later kind adds a variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum Changes {
    /// Nothing differs.
    Same,
    /// Variables.
    Configuration(ConfigChanges),
    /// Files and folders.
    Files(FileChanges),
    /// A repository.
    Git(GitChanges),
    /// Schema and rows.
    Database(DatabaseChanges),
    /// They could not be compared.
    Unknown {
        /// A sentence.
        why: String,
    },
}

/// What became of a thing: `+`, `-` or `~`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, and it is not the same.
    Changed,
}

impl Change {
    /// The sign in front of a line.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }

    /// What became of a thing by which sides have it; none where neither does.
    #[must_use]
    pub const fn between(before: bool, after: bool) -> Option<Self> {
        match (before, after) {
            (false, false) => None,
            (false, true) => Some(Self::Added),
            (true, false) => Some(Self::Removed),
            (true, true) => Some(Self::Changed),
        }
    }
}

impl Changes {
    /// Whether nothing differs; what could not be compared may differ.
    #[must_use]
    pub fn is_same(&self) -> bool {
        match self {
            Self::Same => true,
            Self::Configuration(changes) => changes.is_empty(),
            Self::Files(changes) => changes.is_empty(),
            Self::Git(changes) => changes.is_empty(),
            Self::Database(changes) => changes.is_empty(),
            Self::Unknown { .. } => false,
        }
    }
}

impl Diff {
    /// Whether all that could be compared is the same, and all could be compared.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.components.iter().all(|part| part.presence == Presence::Both && part.changes.is_same())
    }
}
