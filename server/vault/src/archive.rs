//! A directory on disk becomes a tree in the vault.
//!
//! Several walkers share one stack of tasks: directories to list, and batches of files to read. The stack is taken from
//! the top, so the walk goes deep before it goes wide and little is open at once. A directory's tree is written when its
//! last task is done, by whoever did it.

mod files;
mod meta;

mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Node, TreeId};

pub(crate) use meta::{Meta, xattrs_of};
pub(crate) use walk::run;

/// Says of a path relative to the source's root, and whether it is a directory, if it is taken.
pub type Filter = Arc<dyn Fn(&Path, bool) -> bool + Send + Sync>;

/// A directory to archive.
#[derive(Clone)]
pub struct Source {
    /// Where it is.
    pub root: PathBuf,
    /// What of it is taken; a directory that is not taken is not entered.
    pub filter: Filter,
    /// The tree of the same directory in an earlier snapshot: files that stand unchanged in it are not read again.
    pub parent: Option<TreeId>,
}

impl Source {
    /// All of `root`, read anew.
    pub fn new(root: impl Into<PathBuf>) -> Source {
        Source { root: root.into(), filter: Arc::new(|_, _| true), parent: None }
    }
}

/// What came of archiving a [`Source`].
#[derive(Debug, Clone)]
pub struct Archived {
    /// The root directory with its metadata and subtree; its name is for the caller to set.
    pub node: Node,
    /// The root's tree.
    pub tree: TreeId,
    /// Regular files in the tree.
    pub files: u64,
    /// Directories in the tree, the root among them.
    pub dirs: u64,
    /// Links, pipes, sockets and devices in the tree.
    pub others: u64,
    /// Files of these that were not read because the parent has them.
    pub unchanged: u64,
    /// Logical bytes of all files.
    pub bytes: u64,
    /// Bytes that this call added to the vault's packs.
    pub stored: u64,
    /// What is missing from the tree or not certain in it, sorted by path.
    pub skipped: Vec<Skipped>,
}

/// An entry of the source that the tree does not hold, or not for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Relative to the source's root.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
    /// What the system said.
    pub message: String,
}

/// Why an entry is [`Skipped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// It could not be opened or read; the tree does not hold it.
    Unreadable,
    /// It changed each time that it was read; the tree holds what was read last.
    Unsettled,
    /// A part of it has no place in the format (the message says which); the tree holds the rest.
    Unsupported,
}
