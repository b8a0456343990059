//! Is everything there, and is it what it was?
//!
//! A check believes nothing that is in memory: it reads the small files anew, follows every snapshot down its trees,
//! looks up every blob, and holds each pack against the index: by size and header, or read whole, by its name and every
//! blob in it.

mod layout;
mod packs;
mod reach;

use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::FileKind;
use crate::lock::{self, Lock};
use crate::vault::Opened;
use crate::{Cancel, Error, Id, Meter, PackId, Problem, TreeId};
use layout::Layout;
use packs::Depth;
use reach::Reach;

/// How much a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckScope {
    /// Every file but the blobs' content: names, sizes, headers, index, all trees, and that each blob has its place.
    Structure,
    /// The same, and every pack is read whole, its blobs decrypted and hashed.
    AllData,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub struct CheckReport {
    /// Empty if all is well.
    pub problems: Vec<Problem>,
    /// Packs looked at.
    pub packs: u64,
    /// Blobs looked at.
    pub blobs: u64,
    /// Bytes read from the backend.
    pub bytes_read: u64,
}

/// What reading back found.
#[derive(Debug, Clone, Default)]
pub struct ReadBack {
    /// Bytes of packs read now.
    pub bytes_now: u64,
    /// Bytes of needed packs that the caller called fresh.
    pub bytes_earlier: u64,
    /// Blobs that the trees need.
    pub blobs: u64,
    /// Packs read whole and found sound.
    pub packs_read: Vec<PackId>,
    /// What was not.
    pub damaged: Vec<Problem>,
}

/// What a check has found so far, from all threads.
pub(crate) struct Findings<'a> {
    vault: &'a Opened,
    cancel: &'a Cancel,
    meter: &'a Meter,
    problems: Mutex<Vec<Problem>>,
}

impl<'a> Findings<'a> {
    fn new(vault: &'a Opened, cancel: &'a Cancel, meter: &'a Meter) -> Findings<'a> {
        Findings { vault, cancel, meter, problems: Mutex::default() }
    }

    fn add(&self, problem: Problem) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    /// Damage becomes a problem; anything else ends the check.
    fn damage(&self, error: Error, finish: impl FnOnce(Problem) -> Problem) -> Result<(), Error> {
        match error {
            Error::Damaged { what } => {
                self.add(finish(Problem::new(what)));
                Ok(())
            }
            other => Err(other),
        }
    }

    fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by(|a, b| a.what.cmp(&b.what));
        problems.dedup();
        problems
    }

    /// Does `work` for every item, on the vault's threads.
    fn for_each<T: Sync>(&self, items: &[T], work: impl Fn(&T) -> Result<(), Error> + Sync) -> Result<(), Error> {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let threads = self.vault.options.threads.clamp(1, items.len().max(1));
        std::thread::scope(|scope| {
            let run = || -> Result<(), Error> {
                while let Some(item) = items.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    self.cancel.check()?;
                    work(item)?;
                }
                Ok(())
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            for worker in workers {
                worker.join().map_err(|_| Error::Refused("a thread of the check died".into()))??;
            }
            Ok(())
        })
    }
}

fn depth(scope: CheckScope) -> Depth {
    match scope {
        CheckScope::Structure => Depth::Header,
        CheckScope::AllData => Depth::Whole,
    }
}

/// Checks everything in the vault.
pub(crate) fn vault(
    vault: &Arc<Opened>,
    scope: CheckScope,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<CheckReport, Error> {
    let _lock = Lock::take(vault, false)?;
    let findings = Findings::new(vault, cancel, meter);
    check_small_files(&findings)?;
    // Snapshots before the index: whoever seals meanwhile writes them the other way round.
    let mut roots = Vec::new();
    for id in vault.snapshot_names()? {
        match vault.snapshot(&id) {
            Ok(snapshot) => roots.push((Some(id), snapshot.tree)),
            Err(Error::NoSuchSnapshot(_)) => {}
            Err(error) => findings.damage(error, |problem| problem.snapshot(id))?,
        }
    }
    let layout = Layout::load(&findings)?;
    Reach::walk(&findings, &layout, &roots)?;
    let all: Vec<PackId> = layout.packs.keys().copied().collect();
    let sound = packs::verify(&findings, &layout, &all, depth(scope))?;
    let blobs = layout.packs.values().map(|blobs| blobs.len() as u64).sum();
    let problems = findings.into_problems();
    Ok(CheckReport { problems, packs: all.len() as u64, blobs, bytes_read: sound.bytes })
}

/// Checks what one tree needs.
pub(crate) fn tree(
    vault: &Arc<Opened>,
    tree: &TreeId,
    scope: CheckScope,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<CheckReport, Error> {
    let findings = Findings::new(vault, cancel, meter);
    let layout = Layout::load(&findings)?;
    let reach = Reach::walk(&findings, &layout, &[(None, *tree)])?;
    let needed: Vec<PackId> = reach.packs.into_iter().collect();
    let sound = packs::verify(&findings, &layout, &needed, depth(scope))?;
    let problems = findings.into_problems();
    Ok(CheckReport { problems, packs: needed.len() as u64, blobs: reach.blobs, bytes_read: sound.bytes })
}

/// Reads again all packs that the trees need and that are not fresh.
pub(crate) fn read_back(
    vault: &Arc<Opened>,
    trees: &[TreeId],
    fresh: &dyn Fn(&PackId) -> bool,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<ReadBack, Error> {
    let findings = Findings::new(vault, cancel, meter);
    let layout = Layout::load(&findings)?;
    let roots: Vec<_> = trees.iter().map(|tree| (None, *tree)).collect();
    let reach = Reach::walk(&findings, &layout, &roots)?;
    let (earlier, now): (Vec<PackId>, Vec<PackId>) = reach.packs.into_iter().partition(fresh);
    // A fresh pack is not read, but it must be there.
    let there = packs::verify(&findings, &layout, &earlier, Depth::Size)?;
    let read = packs::verify(&findings, &layout, &now, Depth::Whole)?;
    Ok(ReadBack {
        bytes_now: read.bytes,
        bytes_earlier: there.sizes,
        blobs: reach.blobs,
        packs_read: read.sound,
        damaged: findings.into_problems(),
    })
}

/// Config, keys and locks.
fn check_small_files(findings: &Findings<'_>) -> Result<(), Error> {
    let vault = findings.vault;
    let config = crate::config::Config::load(&*vault.backend)?;
    if let Err(error) = crate::config::Config::open(&vault.key, config) {
        findings.damage(error, |problem| problem)?;
    }
    for (name, _) in vault.backend.list(FileKind::Key)? {
        if Id::of(&vault.backend.read(FileKind::Key, &name)?).to_string() != name {
            findings.add(Problem::new(format!("key {name}: its content is not what its name says")));
        }
    }
    for error in lock::unreadable(vault)? {
        findings.damage(error, |problem| problem)?;
    }
    Ok(())
}
