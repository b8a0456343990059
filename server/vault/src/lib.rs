//! Holdfast's vault: a restic repository of format version 2, read and written.
//!
//! Stock restic (0.14 and newer) lists, checks, restores and writes the same repository beside us. The format is restic's
//! `doc/design.rst`; this page tells it in the order in which a reader of the code needs it, with what we hold to.
//!
//! # Names and files
//! An [`Id`] is a SHA-256. A *blob* is named by the hash of its plain content, a *file* of the vault by the hash of its
//! own bytes; only `config` has a fixed name. Files are written once, whole and durable, and never changed
//! ([`Backend`], [`LocalBackend`], [`S3Backend`]):
//!
//! | file | holds |
//! |---|---|
//! | `config` | version 2, the vault's id, the chunker polynomial (it seeds our FastCDC table) |
//! | `keys/…` | the vault's random key, sealed by a password through scrypt; plain JSON |
//! | `data/xx/…` | packs of blobs, about 16 MiB; data and trees never share one |
//! | `index/…` | which pack holds which blob, and where |
//! | `snapshots/…` | a tree, a time, tags: what makes a tree reachable |
//! | `locks/…` | who is at work, shared or exclusive |
//!
//! # Sealing bytes
//! `IV ‖ AES-256-CTR ‖ Poly1305-AES` over every blob, every pack's header and every file but the keys. Index, snapshots
//! and locks carry a leading 2 and zstd inside the seal; a blob is packed by zstd where that saves something, and then
//! its plain length stands in header and index.
//!
//! # Packs
//! Sealed blobs one after the other, the sealed header (type, length, plain length, id of each), the header's length in
//! four bytes. So each blob can be read alone, and an index can be made again from the packs.
//!
//! # Trees
//! A directory is a blob of JSON: its entries sorted by name, with all their metadata ([`Node`]). Names are quoted as Go
//! quotes strings, so that every byte survives. A file lists its data blobs; a directory names its tree. Equal
//! directories are equal bytes and so one blob: the JSON is written byte for byte as restic writes it.
//!
//! # Writing
//! [`Writer`] takes the shared lock, and then: chunk, hash, known already?, compress, seal, pack, write. A file that
//! stands unchanged in the parent (size, mtime, ctime, inode) costs one `statx`; an unchanged directory keeps its tree.
//! Memory is bounded by [`VaultOptions::memory`], but for the index, which grows with the vault.
//!
//! [`Writer::seal`] publishes in this order, each step durable before the next: packs, index, snapshot. Directly before
//! the snapshot it makes sure that our lock still stands and that no index file has vanished, or that everything the
//! tree needs is there all the same; else [`Error::VaultChanged`]. Until then nothing of it can be reached, and whatever
//! ends the writer leaves at most packs that a prune removes.
//!
//! # Pruning
//! [`Vault::prune`] takes out what no snapshot needs: packs leave the index first, remembered there in rustic's field
//! `packs_to_delete`, and the storage a grace later, when all snapshots have been read again. A writer that stood still
//! meanwhile refuses its seal or finds everything there; what a stopped restic relied on comes back.
//!
//! # Checking and repairing
//! [`Vault::check`] believes no memory: it follows all snapshots and holds packs against the index, wholly or a share
//! a day, and names the snapshots that damage touches. [`Vault::repair`] makes the index anew from the packs, saves what
//! is sound in damaged ones, and lists, replaces or forgets what cannot be whole again. Neither removes a pack.
//!
//! # Copying
//! [`Vault::copy_to`] brings snapshots into another vault, which has another key: every blob is opened, verified and
//! sealed anew, still compressed, and whatever the other vault has is not sent again. The order of writing is the same
//! there; index files are written on the way, so an interrupted copy goes on where it was. A copy's `original` names the
//! snapshot that it began with, as restic's own `copy` has it, so nobody copies it twice. What is damaged here is
//! reported, and everything else goes over.
//!
//! # Holding
//! In a bucket with object lock ([`S3Options::retention`]) everything but the locks is held from its writing on, and
//! [`Vault::retain`] holds for longer what a snapshot needs. So nobody who has our credential can take a held version
//! away; what he hides or overwrites comes back with [`S3Backend::undelete`]. We ourselves remove version by version,
//! so that nothing stays of what was free; a held pack waits, and a held index file that was replaced is hidden.
//!
//! # What always holds
//! - A snapshot names only trees that are durable, and these only blobs that are, in packs that an index lists.
//! - No byte is given out whose blob's hash was not verified.
//! - A list is whole or an error. A number read from the vault is bounded before anything is allocated by it.
//! - Nothing is written outside of a restore's target, and nothing there is removed: it makes way into a trash.
//! - What is promised rests on synced ground: a sync that failed is not tried again, and what others wrote is settled
//!   before a seal or a prune relies on it ([`Backend::settle`]).
//! - An error in any worker ends the writer; the first one is reported, and a seal is refused.
//!
//! `tests/faults` puts all of this to the test, call by call of [`Disk`]: lost power, failing calls, full disks, kill -9,
//! stopped processes and damage. `make test-faults` runs its long form and writes the figures to `FAULTS.md`.

mod archive;
mod backend;
mod cancel;
mod check;
mod chunk;
mod config;
mod copy;
mod crypto;
mod diff;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod id;
mod index;
mod key;
mod lock;
mod meter;
mod node;
mod pack;
mod password;
mod polynomial;
mod prune;
mod queue;
mod reach;
mod read;
mod repair;
mod restore;
mod retain;
mod snapshot;
mod unpacked;
mod vault;
mod write;
mod zip;

pub use archive::{Archived, Filter, SkipReason, Skipped, Source};
pub use backend::{
    Backend, BackendError, Checksum, DirEntry, Disk, Encryption, FileKind, LocalBackend, NotABucket, Object, Retention,
    RetentionMode, S3Backend, S3Options, SecretKey, SelfTest, SystemDisk, Undeleted, Upload,
};
pub use cancel::{Cancel, CancelOnDrop, Cancelled};
pub use check::{CheckReport, CheckScope, ReadBack};
pub use copy::{CopyOptions, CopyReport};
pub use diff::{Change, Root};
pub use error::{Error, Problem};
pub use id::{Id, NotAnId, PackId, SnapshotId, TreeId};
pub use key::put_key_back;
pub use meter::Meter;
pub use node::{Node, NodeKind, Tree, Xattr};
pub use password::Password;
pub use prune::{PruneOptions, PruneReport, Stopped};
pub use reach::{OutOfReach, Reach};
pub use read::FileReader;
pub use repair::{Broken, BrokenSnapshot, Mended, RepairOptions, RepairReport};
pub use restore::{Choice, Existing, RestoreOptions, Restored, Wanted};
pub use retain::Retained;
pub use snapshot::{Snapshot, SnapshotDraft};
pub use vault::{Stats, Vault, VaultOptions};
pub use write::{Chunking, Sealed, Stream, Streamed, Writer};
