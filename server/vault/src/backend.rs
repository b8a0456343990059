//! Where a vault's files lie: a few verbs that a disk and a bucket both have.

mod local;
mod s3;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

pub use local::{DirEntry, Disk, LocalBackend, SystemDisk};
pub use s3::{
    Checksum, Encryption, NotABucket, Object, Retention, RetentionMode, S3Backend, S3Options, SecretKey, SelfTest,
    Undeleted, Upload,
};

/// What a file of the vault is for; each kind has a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// The one file `config`; its name is ignored.
    Config,
    /// `keys/<id>`
    Key,
    /// `locks/<id>`
    Lock,
    /// `snapshots/<id>`
    Snapshot,
    /// `index/<id>`
    Index,
    /// `data/<two digits>/<id>`
    Pack,
}

impl FileKind {
    /// For people: "pack 1a2b…".
    pub fn word(self) -> &'static str {
        match self {
            FileKind::Config => "config",
            FileKind::Key => "key",
            FileKind::Lock => "lock",
            FileKind::Snapshot => "snapshot",
            FileKind::Index => "index",
            FileKind::Pack => "pack",
        }
    }
}

/// Storage for a vault.
///
/// Every write is durable and whole when it returns: a reader sees all of a file or none of it. Writing the same name
/// twice is harmless, for a name tells the content.
pub trait Backend: Send + Sync + 'static {
    /// For people, in restic's own syntax: what `restic -r` takes.
    fn location(&self) -> String;

    /// Names and sizes in bytes of all files of a kind, in no order. Only names that are ids.
    ///
    /// # Errors
    /// Whenever the list may not be complete: an error is never an empty list.
    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError>;

    /// A whole file.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] and whatever the storage says.
    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError>;

    /// Exactly `len` bytes from `offset` on.
    ///
    /// # Errors
    /// Also when the file is shorter than that.
    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError>;

    /// Writes a file, durably and at once.
    ///
    /// # Errors
    /// [`BackendError::NoSpace`] and whatever the storage says; then nothing of that name was written.
    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError>;

    /// As [`Backend::write`], with a large buffer that may be sent as it lies. It is given back as it was, or empty.
    ///
    /// # Errors
    /// As for [`Backend::write`].
    fn write_buffer(&self, kind: FileKind, name: &str, buffer: &mut Vec<u8>) -> Result<(), BackendError> {
        self.write(kind, name, buffer)
    }

    /// Removes a file; that it was not there is no error.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError>;

    /// Makes sure that a power cut brings back nothing of a kind that is gone, and takes nothing that can be seen: what
    /// others have written or removed becomes durable a moment later, or never, if they ended in between. Called before
    /// something that relies on it. Nothing to do where all that can be seen is durable.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn settle(&self, kind: FileKind) -> Result<(), BackendError> {
        let _ = kind;
        Ok(())
    }

    /// Takes back what a newer file has replaced or what should never have been seen: as [`Backend::remove`], but what
    /// is held may be hidden instead, and its bytes stay until their time.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn withdraw(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.remove(kind, name)
    }

    /// Removes the bytes of withdrawn index files that are held no more, and gives the number of files.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn tidy(&self) -> Result<u64, BackendError> {
        Ok(0)
    }

    /// For how long what is written is held against being removed, if the storage does that.
    fn retention(&self) -> Option<Duration> {
        None
    }

    /// Until when a file is held.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] and whatever the storage says.
    fn held_until(&self, _kind: FileKind, _name: &str) -> Result<Option<OffsetDateTime>, BackendError> {
        Ok(None)
    }

    /// Holds a file until then, which is never earlier than it was.
    ///
    /// # Errors
    /// Where the storage cannot hold anything, [`BackendError::NotFound`], and whatever the storage says.
    fn retain(&self, kind: FileKind, name: &str, _until: OffsetDateTime) -> Result<(), BackendError> {
        let source = io::Error::new(io::ErrorKind::Unsupported, "this storage holds nothing against being removed");
        Err(BackendError::Failed { what: format!("{} {name}", kind.word()), source: Arc::new(source) })
    }

    /// Bytes that are free for more; none where nobody can say.
    ///
    /// # Errors
    /// Whatever the storage says.
    fn free(&self) -> Result<Option<u64>, BackendError> {
        Ok(None)
    }

    /// How many writes are worth having in flight at once.
    fn connections(&self) -> usize {
        2
    }
}

/// What a storage can fail with.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// No such file.
    #[error("{what} is not there")]
    NotFound {
        /// Kind and name.
        what: String,
    },
    /// The storage is full.
    #[error("no space left at {place}")]
    NoSpace {
        /// The location.
        place: String,
    },
    /// The storage holds it until then: it can be removed afterwards.
    #[error("{what} is held by the bucket's object lock until {until}; it can be removed afterwards")]
    Held {
        /// Kind and name.
        what: String,
        /// Until when.
        until: OffsetDateTime,
    },
    /// The storage refused or failed.
    #[error("{what}: {source}")]
    Failed {
        /// What was tried.
        what: String,
        /// What it said.
        source: Arc<io::Error>,
    },
}

impl BackendError {
    /// Sorts an `io::Error` into the variants.
    pub fn from_io(what: impl Into<String>, source: impl Into<io::Error>) -> BackendError {
        let (what, source) = (what.into(), source.into());
        match source.kind() {
            io::ErrorKind::NotFound => BackendError::NotFound { what },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BackendError::NoSpace { place: what },
            _ => BackendError::Failed { what, source: Arc::new(source) },
        }
    }
}
