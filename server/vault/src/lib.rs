//! Holdfast's vault: a restic repository of format version 2, read and written.

mod archive;
mod backend;
mod cancel;
mod check;
mod crypto;
mod error;
mod id;
mod meter;
mod node;
mod password;
mod read;
mod restore;
mod snapshot;
mod vault;
mod write;

pub use archive::{Archived, Filter, SkipReason, Skipped, Source};
pub use backend::{Backend, BackendError, FileKind, LocalBackend};
pub use cancel::{Cancel, Cancelled};
pub use check::{CheckReport, CheckScope, ReadBack};
pub use error::{Error, Problem};
pub use id::{Id, NotAnId, PackId, SnapshotId, TreeId};
pub use meter::Meter;
pub use node::{Node, NodeKind, Tree, Xattr};
pub use password::Password;
pub use read::FileReader;
pub use restore::{Existing, RestoreOptions, Restored};
pub use snapshot::{Snapshot, SnapshotDraft};
pub use vault::{Stats, Vault, VaultOptions};
pub use write::{Chunking, Sealed, Stream, Streamed, Writer};
