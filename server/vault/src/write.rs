//! Writing: everything between a source and a sealed snapshot.
//!
//! ```text
//! walkers, streams ── chunk ──> store: hash, known? pack up, seal ──> open packs ──> uploaders ──> backend
//!          └── large files' chunks ──> queue ──> pool ──┘
//! ```
//! Whoever has a chunk takes it all the way into an open pack: nothing is handed over that need not be. Only chunks of
//! large files and of streams go through a queue to the pool, and when the queue is full their producer works on them
//! itself. The open packs' buffers are a fixed number: when the backend is slow, everybody waits for a free one.
//!
//! A blob counts as known from the moment that one worker has claimed it. So an error between the claim and the pack
//! ends the whole writer: the first error is kept, every later step gives it again, and a seal is refused.

mod assembly;
mod core;
mod packer;
mod pool;
mod seal;
mod stream;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::index::PackJson;
use crate::lock::Lock;
use crate::pack::{Blob, BlobKind};
use crate::vault::Opened;
use crate::{Archived, Cancel, Error, Id, Meter, Node, SnapshotDraft, SnapshotId, Source, TreeId, archive, node};

pub(crate) use assembly::Assembly;
pub(crate) use core::{Core, Cruncher, Tally};
pub(crate) use seal::{Ground, Listed};
pub use stream::{Stream, Streamed};

/// How a stream is cut into blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunking {
    /// About 1 MiB on average: few blobs, for files.
    Files,
    /// About 32 KiB on average: scattered changes of a database dump store little again.
    Dump,
}

/// What a seal published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Bytes that the whole writer added to the vault: packs, index and snapshot.
    pub stored: u64,
}

/// Writes into a vault, under restic's shared lock, until it is sealed, abandoned or dropped.
///
/// Several components may write at once, each from its own thread. Nothing that was written is part of any snapshot
/// before [`Writer::seal`] returns.
pub struct Writer {
    core: Arc<Core>,
    pool: pool::Pool,
    lock: Arc<Lock>,
    /// Of the index, at the start: if it grows, something relied upon may have gone.
    losses: u64,
}

impl Writer {
    pub(crate) fn start(vault: Arc<Opened>, cancel: Cancel) -> Result<Writer, Error> {
        cancel.check()?;
        let lock = Arc::new(Lock::take(&vault, false)?);
        {
            let _turn = vault.reload_turn();
            vault.reload_index()?;
        }
        Writer::under(vault, cancel, lock)
    }

    /// Writes under a lock that is held already, by the index as it is known.
    pub(crate) fn under(vault: Arc<Opened>, cancel: Cancel, lock: Arc<Lock>) -> Result<Writer, Error> {
        let losses = vault.index().losses();
        let (core, ends) = Core::new(vault, cancel);
        let core = Arc::new(core);
        let pool = pool::Pool::start(&core, &ends)?;
        Ok(Writer { core, pool, lock, losses })
    }

    /// Archives a directory. What cannot be read is in [`Archived::skipped`].
    ///
    /// # Errors
    /// If the root itself cannot be read, [`Error::Cancelled`], [`Error::NoSpace`], and failures of the backend.
    pub fn archive(&self, source: &Source, meter: &Meter) -> Result<Archived, Error> {
        archive::run(&self.core, source, meter)
    }

    /// Opens a stream of unknown length into the vault.
    pub fn stream(&self, chunking: Chunking, meter: &Meter) -> Stream {
        Stream::new(self.core.clone(), chunking, meter)
    }

    /// Writes a directory of these entries, in any order.
    ///
    /// # Errors
    /// [`Error::Refused`] if two have one name or a name cannot be one; and as for [`Writer::archive`].
    pub fn put_tree(&self, mut nodes: Vec<Node>) -> Result<TreeId, Error> {
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = nodes.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Refused(format!("two entries of the name {}", pair[0].name.display())));
        }
        if let Some(node) = nodes.iter().find(|node| !node.has_safe_name()) {
            return Err(Error::Refused(format!("{:?} cannot be a name", node.name)));
        }
        if let Some(node) = nodes.iter().find(|node| node.is_dir() != node.subtree.is_some()) {
            return Err(Error::Refused(format!(
                "{} is a directory without a tree, or the reverse",
                node.name.display()
            )));
        }
        self.put_raw_tree(&node::write_tree(&nodes))
    }

    /// Stores any bytes as a tree, unseen: what somebody with the vault's password and a program of his own could do.
    /// Tests of all that reads trees need it; nothing else calls it.
    #[doc(hidden)]
    pub fn put_raw_tree(&self, json: &[u8]) -> Result<TreeId, Error> {
        let mut cruncher = Cruncher::new(&self.core)?;
        let tally = Tally::new(&Meter::new());
        self.core.store(&mut cruncher, BlobKind::Tree, json, &tally)
    }

    /// Publishes: packs, then index, then, if our lock still stands and nothing relied upon has gone, the snapshot.
    ///
    /// # Errors
    /// The first error of any worker; [`Error::VaultChanged`]; then no snapshot was written.
    pub fn seal(self, draft: SnapshotDraft) -> Result<Sealed, Error> {
        seal::seal(self, draft)
    }

    /// Adds a sealed blob as it is, whether the vault has it or not: how blobs move from pack to pack.
    /// Gives the bytes that it takes.
    pub(crate) fn copy(&self, blob: &Blob, sealed: &[u8]) -> Result<u64, Error> {
        self.core.packer.append(&self.core, blob.kind, blob.id, sealed, blob.packed_from)
    }

    /// Bytes that have become durable, in packs.
    pub(crate) fn stored(&self) -> u64 {
        self.core.stored.load(Ordering::Relaxed)
    }

    /// Names the packs that are durable by now in an index, so that what was done until here is not done again.
    pub(crate) fn list_finished(&self, listed: &mut Listed) -> Result<(), Error> {
        seal::list_finished(self, listed)
    }

    /// Makes all packs durable and names them in an index, without a snapshot. Gives the packs' bytes.
    pub(crate) fn finish(self, listed: &mut Listed) -> Result<u64, Error> {
        seal::finish(self, listed)
    }

    /// Gives up, but names in an index what is durable.
    pub(crate) fn salvage(self, listed: &mut Listed) -> Result<(), Error> {
        seal::salvage(self, listed)
    }

    /// Publishes packs and index, verified, without a snapshot.
    pub(crate) fn publish(self) -> Result<Vec<PackJson>, Error> {
        seal::publish(self)
    }

    /// Gives up. Nothing is published, the lock goes. Dropping does the same.
    pub fn abandon(self) {
        drop(self);
    }

    /// Whether a blob is in the vault or on its way.
    fn knows(&self, kind: BlobKind, id: &Id) -> bool {
        self.core.knows(kind, id)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.core.fail(Error::Cancelled);
        self.pool.stop(&self.core);
    }
}
