//! Copying snapshots into another vault, which has another key and may lie anywhere else.
//!
//! ```text
//! walk: the snapshots' trees, here ── what is not there? ──> packs and places, here
//! carry: ranges of packs, in parallel ── open, verify, seal by the other key ──> the writer there
//! publish: packs, index, snapshots, oldest first
//! ```
//! Snapshots go in batches, so that many small ones share their packs. An index file is written there from time to
//! time: whatever interrupts a copy, the next one finds what is there by the index and goes on.
//!
//! A blob is copied only if its content is what its id says; what was compressed stays so. Chunks are not cut anew, so
//! files that both vaults have of old share nothing, unless the vaults' seeds are the same.
//!
//! Snapshots are written as restic's own `copy` writes them: all fields as they were, without `parent`, and `original`
//! names the snapshot that it all began with. So either program knows what the other one has copied.

mod carry;
mod known;
mod run;
mod touch;
mod walk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::{Cancel, Error, Meter, Problem, SnapshotId, Vault};

/// A cancelled copy is left to end by itself after this time: a request under way cannot be called back.
const PATIENCE: Duration = Duration::from_millis(700);
/// How often the caller's thread looks whether it was cancelled.
const LOOK: Duration = Duration::from_millis(50);

/// How a copy works. Memory and threads are those of the target's [`crate::VaultOptions`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyOptions {
    /// Bytes after which an index file names what was written until then, and what an interrupted copy loses at most;
    /// 256 MiB by default.
    pub round: u64,
    /// Snapshots that share their packs at most; 32 by default.
    pub together: usize,
}

impl Default for CopyOptions {
    fn default() -> CopyOptions {
        CopyOptions { round: 256 << 20, together: 32 }
    }
}

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Snapshots that were copied: their ids here and there.
    pub copied: Vec<(SnapshotId, SnapshotId)>,
    /// Snapshots that had been copied before, by whomever.
    pub there_already: Vec<(SnapshotId, SnapshotId)>,
    /// Blobs that were written there.
    pub blobs: u64,
    /// Bytes that were added there: packs, index and snapshots.
    pub bytes: u64,
    /// Blobs that the snapshots need and that were there.
    pub skipped_blobs: u64,
    /// Snapshots that are not whole here, or not there at all, with what is wrong. They were not copied.
    pub damaged: Vec<(SnapshotId, Vec<Problem>)>,
}

impl Vault {
    /// Copies snapshots of this vault into another one, oldest first. Doing it twice is harmless.
    ///
    /// Each snapshot is published there as soon as all that it needs is durable, and `each` is told, on this thread,
    /// the ids of every snapshot that is there now: those copied just now as well as those that were there. Both
    /// vaults are held by shared locks meanwhile.
    ///
    /// [`Meter::files`] counts snapshots, [`Meter::bytes`] what was read of their blobs here, [`Meter::stored`] what
    /// was packed there.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Cancelled`], [`Error::NoSpace`], [`Error::VaultChanged`] if the target's lock was
    /// lost, and failures of either backend. What is published by then stays, and the next copy goes on from there. A
    /// cancelled copy returns within a second; requests that are under way then end by themselves, and the locks go
    /// with them.
    pub fn copy_to(
        &self,
        to: &Vault,
        wanted: &[SnapshotId],
        options: &CopyOptions,
        cancel: &Cancel,
        meter: &Meter,
        each: &mut dyn FnMut(&SnapshotId, &SnapshotId),
    ) -> Result<CopyReport, Error> {
        cancel.check()?;
        let (tell, told) = crossbeam_channel::unbounded();
        let copy = run::Run {
            from: self.0.clone(),
            to: to.0.clone(),
            options: options.clone(),
            cancel: cancel.clone(),
            meter: meter.clone(),
            tell,
        };
        let wanted = Arc::<[SnapshotId]>::from(wanted);
        let work = std::thread::Builder::new()
            .name("vault-copy".into())
            .spawn(move || copy.run(&wanted))
            .map_err(|error| Error::io("a thread for the copy", error))?;
        follow(&told, cancel, each)?;
        work.join().map_err(|_| Error::Refused("the copy's thread died".into()))?
    }
}

/// Until the work's thread has ended, or its patience.
fn follow(
    told: &Receiver<(SnapshotId, SnapshotId)>,
    cancel: &Cancel,
    each: &mut dyn FnMut(&SnapshotId, &SnapshotId),
) -> Result<(), Error> {
    let mut cancelled = None;
    loop {
        match told.recv_timeout(LOOK) {
            Ok((here, there)) => each(&here, &there),
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                let since = cancel.is_cancelled().then(|| *cancelled.get_or_insert_with(Instant::now));
                if since.is_some_and(|since| since.elapsed() > PATIENCE) {
                    return Err(Error::Cancelled);
                }
            }
        }
    }
}
