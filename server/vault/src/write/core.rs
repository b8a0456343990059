//! What the workers of one writer share, and the way of a blob through one of them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender};

use super::assembly::Job;
use super::packer::{Packer, Upload};
use crate::crypto::IV;
use crate::id::IdSet;
use crate::index::PackJson;
use crate::pack::BlobKind;
use crate::vault::Opened;
use crate::zip::Zip;
use crate::{Cancel, Error, Id, Meter};

const SHARDS: usize = 64;
/// Chunks that may wait for the pool.
const QUEUE: usize = 32;

/// Shared by all workers of a writer.
pub(crate) struct Core {
    pub vault: Arc<Opened>,
    pub cancel: Cancel,
    pub packer: Packer,
    pub jobs: Sender<Job>,
    /// Workers with nothing better to do take from here too.
    pub waiting: Receiver<Job>,
    /// Bytes in `jobs`, and their bound.
    pub queued: AtomicUsize,
    pub most_queued: usize,
    /// Packs that are durable.
    pub finished: Mutex<Vec<PackJson>>,
    /// Bytes that have become durable.
    pub stored: AtomicU64,
    /// Blobs that this writer has claimed.
    claimed: [Shard; SHARDS],
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

#[derive(Default)]
struct Shard {
    data: Mutex<IdSet>,
    trees: Mutex<IdSet>,
}

/// The receiving ends, for the pool's threads.
pub(crate) struct Ends {
    pub uploads: Receiver<Upload>,
}

/// How much one caller's blobs added to the vault.
pub(crate) struct Tally {
    stored: AtomicU64,
    meter: Meter,
}

impl Tally {
    pub(crate) fn new(meter: &Meter) -> Tally {
        Tally { stored: AtomicU64::new(0), meter: meter.clone() }
    }

    fn add(&self, bytes: u64) {
        self.stored.fetch_add(bytes, Ordering::Relaxed);
        self.meter.add_stored(bytes);
    }

    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}

/// What one worker keeps between blobs: its zstd context and a buffer.
pub(crate) struct Cruncher {
    zip: Zip,
    sealed: Vec<u8>,
}

impl Cruncher {
    pub(crate) fn new(core: &Core) -> Result<Cruncher, Error> {
        Ok(Cruncher { zip: Zip::new(core.vault.options.level)?, sealed: Vec::new() })
    }
}

impl Core {
    pub(crate) fn new(vault: Arc<Opened>, cancel: Cancel) -> (Core, Ends) {
        let memory = usize::try_from(vault.options.memory).unwrap_or(usize::MAX).max(48 << 20);
        let (packer, uploads) = Packer::new(memory, vault.backend.connections());
        let (jobs, waiting) = crossbeam_channel::bounded(QUEUE);
        let core = Core {
            vault,
            cancel,
            packer,
            jobs,
            waiting,
            queued: AtomicUsize::new(0),
            most_queued: memory / 12,
            finished: Mutex::default(),
            stored: AtomicU64::new(0),
            claimed: std::array::from_fn(|_| Shard::default()),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
        };
        (core, Ends { uploads })
    }

    /// `Err` once the writer was cancelled or any worker has failed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.cancel.check()?;
        if self.failed.load(Ordering::Acquire) {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
            return Err(failure.clone().unwrap_or(Error::Cancelled));
        }
        Ok(())
    }

    /// Ends the writer; the first error is the one that counts.
    pub(crate) fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.failed.store(true, Ordering::Release);
    }

    fn shard(&self, kind: BlobKind, id: &Id) -> &Mutex<IdSet> {
        let shard = &self.claimed[id.shard(SHARDS)];
        match kind {
            BlobKind::Data => &shard.data,
            BlobKind::Tree => &shard.trees,
        }
    }

    /// Whether a blob is in the vault or on its way.
    pub(crate) fn knows(&self, kind: BlobKind, id: &Id) -> bool {
        self.vault.index().has(kind, id)
            || self.shard(kind, id).lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    /// Brings a blob into the vault unless it is there, and gives its id.
    pub(crate) fn store(
        &self,
        cruncher: &mut Cruncher,
        kind: BlobKind,
        content: &[u8],
        tally: &Tally,
    ) -> Result<Id, Error> {
        self.check()?;
        let id = Id::of(content);
        if self.vault.index().has(kind, &id) {
            return Ok(id);
        }
        if !self.shard(kind, &id).lock().unwrap_or_else(PoisonError::into_inner).insert(id) {
            return Ok(id);
        }
        match self.store_new(cruncher, kind, id, content) {
            Ok(added) => tally.add(added),
            Err(error) => {
                self.fail(error.clone());
                return Err(error);
            }
        }
        Ok(id)
    }

    fn store_new(&self, cruncher: &mut Cruncher, kind: BlobKind, id: Id, content: &[u8]) -> Result<u64, Error> {
        let raw = u32::try_from(content.len())
            .ok()
            .filter(|raw| *raw <= crate::zip::MOST_RAW)
            .ok_or_else(|| Error::Refused("a directory with more entries than the format can hold".into()))?;
        let sealed = &mut cruncher.sealed;
        sealed.clear();
        sealed.resize(IV, 0);
        let packed_from = if cruncher.zip.compress(content, sealed)? {
            raw
        } else {
            sealed.extend_from_slice(content);
            0
        };
        self.vault.key.seal(sealed)?;
        self.packer.append(self, kind, id, sealed, packed_from)
    }
}
