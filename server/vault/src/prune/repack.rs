//! Copying what is used out of packs that are mostly unused. The old packs stay in the index: the next look finds that
//! nothing in them is needed any more.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::plan::Plan;
use super::survey::Survey;
use super::turn::Halt;
use super::{Prune, Stopped};
use crate::backend::FileKind;
use crate::id::IdMap;
use crate::index::IndexJson;
use crate::pack::{Blob, BlobKind};
use crate::vault::Opened;
use crate::{Cancel, Error, Meter, PackId, Problem, Writer};

/// Bytes after which a round is published, so that little is lost when the prune stops.
const ROUND: u64 = 128 << 20;
/// Bytes that one request brings at most, if blobs lie side by side.
const AT_ONCE: u64 = 8 << 20;

/// The used blobs of one pack.
struct Job {
    pack: PackId,
    blobs: Vec<Blob>,
}

/// Repacks, in rounds that are each published and verified.
pub(super) fn run(prune: &mut Prune<'_>, survey: &Survey, plan: &Plan) -> Result<(), Halt> {
    let mut wanted: IdMap<u32> = IdMap::default();
    for number in &plan.repack {
        if let Some(pack) = survey.census.packs.get(*number as usize) {
            wanted.insert(pack.id, *number);
        }
    }
    let mut jobs: Vec<Job> = Vec::new();
    let mut bytes = 0;
    for file in &survey.census.files {
        if wanted.is_empty() {
            break;
        }
        prune.turn.check()?;
        let json: IndexJson = match prune.vault.load(FileKind::Index, &file.id.to_string()) {
            // Somebody replaced it meanwhile; what it named is for the next prune.
            Err(Error::Backend(crate::BackendError::NotFound { .. })) => continue,
            other => other?,
        };
        for entry in json.packs {
            let Some(number) = wanted.remove(&entry.id) else { continue };
            let kept = |blob: &Blob| {
                let used = match blob.kind {
                    BlobKind::Data => survey.data.contains(&blob.id),
                    BlobKind::Tree => survey.trees.contains(&blob.id),
                };
                used && survey.census.get(blob.kind, &blob.id).is_some_and(|spot| spot.pack == number)
            };
            let mut blobs: Vec<Blob> = entry.blobs.iter().filter(|blob| kept(blob)).copied().collect();
            blobs.sort_unstable_by_key(|blob| blob.offset);
            bytes += blobs.iter().map(|blob| u64::from(blob.length)).sum::<u64>();
            jobs.push(Job { pack: entry.id, blobs });
            if bytes >= ROUND {
                round(prune, &std::mem::take(&mut jobs))?;
                bytes = 0;
            }
        }
    }
    if jobs.is_empty() { Ok(()) } else { round(prune, &jobs) }
}

/// Copies some packs' blobs and publishes them; when it is time to stop, those that were copied until then.
fn round(prune: &mut Prune<'_>, jobs: &[Job]) -> Result<(), Halt> {
    // A cancel lets a round come to its end early, but not to nothing; so the writer has a switch of its own.
    let writer = match Writer::start(prune.vault.clone(), Cancel::new()) {
        Err(Error::Locked { by }) => return Err(Halt::Early(Stopped::Busy { by })),
        other => other?,
    };
    let (next, packs, bytes) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let damaged = Mutex::new(Vec::new());
    let vault: &Arc<Opened> = prune.vault;
    let meter = prune.meter;
    let work = |stop: &AtomicBool| {
        while !stop.load(Ordering::Relaxed)
            && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            match copy(vault, &writer, job, stop, meter) {
                Ok(Some(copied)) => {
                    packs.fetch_add(1, Ordering::Relaxed);
                    bytes.fetch_add(copied, Ordering::Relaxed);
                }
                Ok(None) => {}
                Err(Error::Damaged { what }) => {
                    let problem = Problem::new(format!("pack {}: {what}", job.pack)).pack(job.pack);
                    damaged.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let outcome = prune.turn.crew(prune.vault.readers().min(jobs.len()), &|| {}, &work);
    prune.report.damaged.append(&mut damaged.into_inner().unwrap_or_else(PoisonError::into_inner));
    if let Err(Halt::Failed(error)) = outcome {
        return Err(Halt::Failed(error));
    }
    writer.publish()?;
    prune.report.packs_repacked += packs.into_inner();
    prune.report.bytes_repacked += bytes.into_inner();
    outcome
}

/// Copies the used blobs of a pack, each verified; gives their bytes, or `None` if it was stopped on the way.
fn copy(vault: &Opened, writer: &Writer, job: &Job, stop: &AtomicBool, meter: &Meter) -> Result<Option<u64>, Error> {
    let mut copied = 0;
    let mut rest = &*job.blobs;
    while let Some(first) = rest.first() {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let start = u64::from(first.offset);
        let mut end = first.end();
        let mut count = 1;
        while let Some(blob) = rest.get(count).filter(|blob| u64::from(blob.offset) == end) {
            if blob.end() - start > AT_ONCE {
                break;
            }
            end = blob.end();
            count += 1;
        }
        let bytes = vault.backend.read_range(FileKind::Pack, &job.pack.to_string(), start, end - start)?;
        meter.add_bytes(bytes.len() as u64);
        let (together, later) = rest.split_at(count);
        for blob in together {
            let from = usize::try_from(u64::from(blob.offset) - start).unwrap_or(usize::MAX);
            let sealed = bytes.get(from..from.saturating_add(blob.length as usize));
            let sealed = sealed.ok_or_else(|| Error::damaged("it is too short"))?;
            blob.decode(&vault.key, sealed.to_vec())?;
            writer.copy(blob, sealed)?;
            copied += u64::from(blob.length);
        }
        rest = later;
    }
    Ok(Some(copied))
}
