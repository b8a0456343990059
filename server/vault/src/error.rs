//! Everything that can go wrong, told apart by what a caller can do about it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::BackendError;
use crate::cancel::Cancelled;

/// An error of the vault. Cheap to clone, for one failure may end several threads' work.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No key of the vault opens with this password: try another one.
    #[error("wrong password: no key of this vault opens with it")]
    WrongPassword,
    /// There is no `config` at this place: check the location, or initialise a vault there.
    #[error("there is no vault at {location}")]
    NotAVault {
        /// Where a vault was looked for.
        location: String,
    },
    /// A vault is there already: open it instead.
    #[error("there is a vault at {location} already")]
    AlreadyAVault {
        /// Where it is.
        location: String,
    },
    /// Another process holds a lock that excludes ours: wait for it, or remove the lock if that process is dead.
    #[error("the vault is locked by {by}")]
    Locked {
        /// Process, host, user and time of the other lock.
        by: String,
    },
    /// Something stored is not what it was: run a check, restore from another copy.
    #[error("damaged: {what}")]
    Damaged {
        /// Which file or blob, and what is wrong with it.
        what: String,
    },
    /// The path does not exist in this tree.
    #[error("no such path: {missing} in {path}")]
    NoSuchPath {
        /// What was asked for.
        path: PathBuf,
        /// The first part of it that is not there.
        missing: PathBuf,
    },
    /// There is no snapshot of this name.
    #[error("no such snapshot: {0}")]
    NoSuchSnapshot(crate::SnapshotId),
    /// Snapshots that should be there are not in the vault's list: look at the storage before anything is cleaned up.
    #[error("the vault's list of snapshots lacks {}", names(missing))]
    SnapshotsMissing {
        /// Which ones.
        missing: Vec<crate::SnapshotId>,
    },
    /// The place that the vault lies in, or the restore's target, is full: free some space and run again.
    #[error("no space left at {place}")]
    NoSpace {
        /// The vault's location or the target.
        place: String,
    },
    /// Cancelled; nothing was published.
    #[error("cancelled")]
    Cancelled,
    /// The lock was lost, or data that the snapshot relies on has gone before the seal: run again.
    #[error("the vault changed before the seal: {why}")]
    VaultChanged {
        /// What was gone.
        why: String,
    },
    /// The target of a restore is not empty, and replacing was not asked for.
    #[error("{} is not empty", path.display())]
    TargetNotEmpty {
        /// The target.
        path: PathBuf,
    },
    /// A request that cannot be met as it stands (two nodes of one name, a tree that was never written, …).
    #[error("{0}")]
    Refused(String),
    /// The vault's storage failed.
    #[error(transparent)]
    Backend(BackendError),
    /// A file outside of the vault could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

fn names(ids: &[crate::SnapshotId]) -> String {
    const SHOWN: usize = 10;
    let mut text = ids.iter().take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if ids.len() > SHOWN {
        text.push_str(&format!(" and {} more", ids.len() - SHOWN));
    }
    text
}

impl Error {
    pub(crate) fn damaged(what: impl Into<String>) -> Error {
        Error::Damaged { what: what.into() }
    }

    /// An error about `path`; a full disk is told apart.
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Error {
        let (path, source) = (path.into(), source.into());
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Error::NoSpace { place: path.display().to_string() };
        }
        Error::Io { path, source: Arc::new(source) }
    }

    /// The vault's error inside of an `io::Error` that a [`crate::Stream`] or [`crate::FileReader`] gave, if there is one.
    pub fn from_io(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Error {
        Error::Cancelled
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Error {
        match error {
            BackendError::NoSpace { place } => Error::NoSpace { place },
            other => Error::Backend(other),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match &error {
            Error::NoSpace { .. } => io::ErrorKind::StorageFull,
            Error::Damaged { .. } => io::ErrorKind::InvalidData,
            Error::NoSuchPath { .. } | Error::NoSuchSnapshot(_) => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// One thing found wrong by a check or a restore: a value, for there may be many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, for people.
    pub what: String,
    /// The path concerned, relative to the tree.
    pub path: Option<PathBuf>,
    /// The pack concerned.
    pub pack: Option<crate::PackId>,
    /// The blob concerned.
    pub blob: Option<crate::Id>,
    /// The snapshot concerned.
    pub snapshot: Option<crate::SnapshotId>,
}

impl Problem {
    pub(crate) fn new(what: impl Into<String>) -> Problem {
        Problem { what: what.into(), path: None, pack: None, blob: None, snapshot: None }
    }

    pub(crate) fn path(mut self, path: impl Into<PathBuf>) -> Problem {
        self.path = Some(path.into());
        self
    }

    pub(crate) fn pack(mut self, pack: crate::PackId) -> Problem {
        self.pack = Some(pack);
        self
    }

    pub(crate) fn blob(mut self, blob: crate::Id) -> Problem {
        self.blob = Some(blob);
        self
    }

    pub(crate) fn snapshot(mut self, snapshot: crate::SnapshotId) -> Problem {
        self.snapshot = Some(snapshot);
        self
    }
}
