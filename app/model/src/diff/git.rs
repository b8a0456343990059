//! A repository: its refs, the commits that only one side has, and its work tree.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{BeforeAfter, FileChanges};

/// A text on both sides, where there is one.
pub type Texts = BeforeAfter<Option<String>>;

/// A yes or no on both sides.
pub type Flags = BeforeAfter<bool>;

/// What is not the same in a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GitChanges {
    /// The commit that HEAD resolves to, if any.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub head: Texts,
    /// The branch that HEAD names, if any.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub branch: Texts,
    /// Whether there was uncommitted work.
    #[cfg_attr(feature = "schema", schema(inline))]
    pub uncommitted: Flags,
    /// By name; Holdfast's own refs for staged and uncommitted work are not among them.
    pub refs: Vec<RefChange>,
    /// Commits that HEAD, a branch or a tag of the second reaches, and none of the first; newest first.
    pub added: Vec<Commit>,
    /// The other way round.
    pub removed: Vec<Commit>,
    /// Commits of both directions beyond the most that are listed.
    pub more: u64,
    /// The files of the work tree as they stood, uncommitted work included; of a bare repository those of HEAD.
    pub worktree: FileChanges,
}

/// One ref.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RefChange {
    /// In full: `refs/heads/main`.
    pub name: String,
    /// The object that it names in the first one.
    pub before: Option<String>,
    /// The object that it names in the second one.
    pub after: Option<String>,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Commit {
    /// Its hash in full.
    pub id: String,
    /// The first line of its message.
    pub title: String,
    /// The author's name.
    pub author: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
}

impl GitChanges {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.before == self.head.after
            && self.branch.before == self.branch.after
            && self.uncommitted.before == self.uncommitted.after
            && self.refs.is_empty()
            && self.added.is_empty()
            && self.removed.is_empty()
            && self.more == 0
            && self.worktree.is_empty()
    }
}
