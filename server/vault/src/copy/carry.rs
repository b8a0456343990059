//! Blobs from the packs of one vault into those of the other: read in ranges, opened, verified, sealed by the other key.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;

use super::run::{Needs, Run};
use crate::backend::{BackendError, FileKind};
use crate::id::IdMap;
use crate::lock::Lock;
use crate::pack::{Blob, BlobKind};
use crate::write::Listed;
use crate::{Cancel, Error, PackId, Writer};

/// Bytes that one request brings at most, unless a single blob is larger, and at least.
const AT_ONCE: (u64, u64) = (8 << 20, 1 << 20);
/// Bytes between two wanted blobs that are worth reading, for a request less.
const GAP: u64 = 128 << 10;
/// How often it is looked whether an index is due.
const LOOK: Duration = Duration::from_millis(100);

/// Blobs that are not what they should be, with the pack that they were looked for in and what was found.
#[derive(Debug, Default)]
pub(super) struct Bad {
    pub data: IdMap<(PackId, String)>,
    pub trees: IdMap<(PackId, String)>,
}

impl Bad {
    pub(super) fn is_empty(&self) -> bool {
        self.data.is_empty() && self.trees.is_empty()
    }
}

/// What was carried over.
pub(super) struct Carried {
    pub bad: Bad,
    pub blobs: u64,
    /// Bytes of packs.
    pub stored: u64,
}

/// Whether a backend's error concerns one file only, and is not the storage's as a whole.
pub(super) fn is_damage(error: &BackendError) -> bool {
    match error {
        BackendError::NotFound { .. } => true,
        BackendError::NoSpace { .. } | BackendError::Held { .. } => false,
        BackendError::Failed { source, .. } => !matches!(
            source.kind(),
            io::ErrorKind::TimedOut
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::InvalidInput
                | io::ErrorKind::Unsupported
        ),
    }
}

/// The blobs of one pack, by their places.
struct Job {
    pack: PackId,
    blobs: Vec<Blob>,
}

struct Carry<'a> {
    run: &'a Run,
    writer: &'a Writer,
    jobs: &'a [Job],
    next: AtomicUsize,
    stop: AtomicBool,
    /// Bytes of one request.
    most: u64,
    blobs: AtomicU64,
    bad: Mutex<Bad>,
}

/// Carries blobs over and names their packs in index files, from time to time and at the end.
pub(super) fn carry(run: &Run, lock: &Arc<Lock>, needs: Needs, listed: &mut Listed) -> Result<Carried, Error> {
    if needs.packs.is_empty() {
        return Ok(Carried { bad: Bad::default(), blobs: 0, stored: 0 });
    }
    let mut jobs: Vec<Job> = needs.packs.into_iter().map(|(pack, blobs)| Job { pack, blobs }).collect();
    for job in &mut jobs {
        job.blobs.sort_unstable_by_key(|blob| blob.offset);
    }
    // The writer has a switch of its own: when we are cancelled, what it has made durable is still to be named.
    let switch = Cancel::new();
    let writer = Writer::under(run.to.clone(), switch.clone(), lock.clone())?;
    let threads = run.from.readers().min(jobs.len()).max(1);
    let carry = Carry {
        run,
        writer: &writer,
        jobs: &jobs,
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        // A quarter of the memory, for each thread has its range.
        most: (run.to.options.memory / 4 / threads as u64).clamp(AT_ONCE.1, AT_ONCE.0),
        blobs: AtomicU64::new(0),
        bad: Mutex::default(),
    };
    let outcome = carry.all(threads, &switch, listed);
    let (blobs, bad) = (carry.blobs.into_inner(), carry.bad.into_inner().unwrap_or_else(PoisonError::into_inner));
    let stored = match outcome {
        // The last packs are counted as soon as they are durable, so after the writer's end.
        Ok(()) => writer.finish(listed)?,
        Err(error) => {
            if let Err(error) = writer.salvage(listed) {
                tracing::debug!(%error, "what an interrupted copy had written is not in the index");
            }
            return Err(error);
        }
    };
    Ok(Carried { bad, blobs, stored })
}

impl Carry<'_> {
    /// Lets the threads work, and names what is durable from time to time.
    fn all(&self, threads: usize, switch: &Cancel, listed: &mut Listed) -> Result<(), Error> {
        let (alive, gone) = crossbeam_channel::bounded::<()>(0);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|_| {
                    let alive = alive.clone();
                    scope.spawn(move || {
                        let (_alive, end) = (alive, Stop(&self.stop));
                        let outcome = self.work();
                        if outcome.is_ok() {
                            std::mem::forget(end);
                        }
                        outcome
                    })
                })
                .collect();
            drop(alive);
            let (mut outcome, mut named) = (Ok(()), 0);
            while gone.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if outcome.is_ok() && self.writer.stored() - named >= self.run.options.round {
                    named = self.writer.stored();
                    outcome = self.writer.list_finished(listed);
                }
                outcome = outcome.and_then(|()| Ok(self.run.cancel.check()?));
                if outcome.is_err() {
                    self.stop.store(true, Ordering::Relaxed);
                    // Whoever waits for a buffer need not wait for an upload.
                    switch.cancel();
                }
            }
            for worker in workers {
                let ended = worker.join().map_err(|_| Error::Refused("a thread of the copy died".into()));
                outcome = outcome.and(ended.flatten());
            }
            outcome
        })
    }

    fn work(&self) -> Result<(), Error> {
        while let Some(job) = self.jobs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let mut rest = &*job.blobs;
            while !rest.is_empty() {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let (together, later) = rest.split_at(self.together(rest));
                self.range(&job.pack, together)?;
                rest = later;
            }
        }
        Ok(())
    }

    /// How many of these blobs one request brings.
    fn together(&self, blobs: &[Blob]) -> usize {
        let start = blobs.first().map_or(0, |blob| u64::from(blob.offset));
        let mut end = start;
        let near = blobs.iter().take_while(|blob| {
            let fits = u64::from(blob.offset) <= end + GAP && (blob.end() - start <= self.most || end == start);
            end = blob.end().max(end);
            fits
        });
        near.count().max(1)
    }

    fn range(&self, pack: &PackId, blobs: &[Blob]) -> Result<(), Error> {
        let start = blobs.first().map_or(0, |blob| u64::from(blob.offset));
        let end = blobs.iter().map(Blob::end).max().unwrap_or(start);
        let read = self.run.from.backend.read_range(FileKind::Pack, &pack.to_string(), start, end - start);
        let mut bytes = match read {
            Ok(bytes) => bytes,
            // Not there, too short, unreadable somewhere: whatever can be had of it is had blob by blob.
            Err(error) if is_damage(&error) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        self.run.meter.add_bytes(bytes.len() as u64);
        let (from, to) = (&self.run.from.key, &self.run.to.key);
        // All are sealed before any is appended, so that neighbours stay neighbours.
        let mut failed = vec![false; blobs.len()];
        for (blob, failed) in blobs.iter().zip(&mut failed) {
            let sealed = place(start, blob).and_then(|place| bytes.get_mut(place));
            *failed = sealed.is_none_or(|sealed| blob.seal_anew(from, to, sealed).is_err());
        }
        for (blob, failed) in blobs.iter().zip(failed) {
            match place(start, blob).and_then(|place| bytes.get(place)).filter(|_| !failed) {
                Some(sealed) => self.append(blob, sealed)?,
                None => self.alone(pack, blob)?,
            }
        }
        Ok(())
    }

    fn append(&self, blob: &Blob, sealed: &[u8]) -> Result<(), Error> {
        let stored = self.writer.copy(blob, sealed)?;
        self.run.meter.add_stored(stored);
        self.blobs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What came bent is asked for once more, alone and wherever the index says now; then it is damaged.
    fn alone(&self, pack: &PackId, blob: &Blob) -> Result<(), Error> {
        let from = &self.run.from;
        let again = || -> Result<(Blob, Vec<u8>), Error> {
            let (pack, blob) = from.place_anew(blob.kind, &blob.id)?;
            let (start, length) = (u64::from(blob.offset), u64::from(blob.length));
            let mut sealed = from.backend.read_range(FileKind::Pack, &pack.to_string(), start, length)?;
            blob.seal_anew(&from.key, &self.run.to.key, &mut sealed)?;
            Ok((blob, sealed))
        };
        let what = match again() {
            Ok((blob, sealed)) => return self.append(&blob, &sealed),
            Err(Error::Damaged { what }) => what,
            Err(Error::Backend(error)) if is_damage(&error) => error.to_string(),
            Err(error) => return Err(error),
        };
        let mut bad = self.bad.lock().unwrap_or_else(PoisonError::into_inner);
        let table = match blob.kind {
            BlobKind::Data => &mut bad.data,
            BlobKind::Tree => &mut bad.trees,
        };
        table.insert(blob.id, (*pack, what));
        Ok(())
    }
}

/// Where a blob lies in what was read from `start` on.
fn place(start: u64, blob: &Blob) -> Option<std::ops::Range<usize>> {
    let from = usize::try_from(u64::from(blob.offset).checked_sub(start)?).ok()?;
    Some(from..from.checked_add(blob.length as usize)?)
}

/// Stops the others when one fails or panics.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
