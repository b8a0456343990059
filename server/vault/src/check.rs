//! Is everything there, and is it what it was?
//!
//! A check believes nothing that is in memory: it reads the small files anew, follows every snapshot down its trees,
//! looks up every blob, and holds each pack against the index: by size and header, or read whole, by its name and every
//! blob in it.

mod layout;
mod packs;
mod reach;
mod touch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{BackendError, FileKind};
use crate::lock::{self, Lock};
use crate::read::Windows;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::{Cancel, Error, Id, Meter, PackId, Problem, SnapshotId, TreeId};
use packs::{Depth, Sound};

pub(crate) use layout::Layout;
pub(crate) use reach::Reach;
pub(crate) use touch::{children_first, touched};

/// How much a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CheckScope {
    /// Every file but the blobs' content: names, sizes, headers, index, all trees, and that each blob has its place.
    Structure,
    /// The same, and every pack is read whole, its blobs decrypted and hashed.
    AllData,
    /// The same with one share of the packs, chosen by their ids: with part 1 of 7, 2 of 7, … day by day, every pack
    /// is read within a week, whatever was added meanwhile.
    Subset {
        /// From 1 to `of`.
        part: u32,
        /// Into how many parts the packs are divided.
        of: u32,
    },
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
    /// By the place of a problem in `problems`: the snapshots that are not whole because of it. Only a check of the
    /// whole vault tells this, and only if there is damage.
    pub touched: BTreeMap<usize, Vec<SnapshotId>>,
}

impl CheckReport {
    /// Every snapshot that damage touches, each once.
    pub fn touched_snapshots(&self) -> Vec<SnapshotId> {
        let mut all: Vec<SnapshotId> = self.touched.values().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
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
    /// Its own: the vault's may have been read before the damage, or before the mending.
    windows: Windows,
    problems: Mutex<Vec<Problem>>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(vault: &'a Opened, cancel: &'a Cancel, meter: &'a Meter) -> Findings<'a> {
        Findings { vault, cancel, meter, windows: Windows::default(), problems: Mutex::default() }
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

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        problems.sort_by(|a, b| a.what.cmp(&b.what));
        problems.dedup();
        problems
    }

    /// Does `work` for every item, on the vault's threads.
    pub(crate) fn for_each<T: Sync>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<(), Error> + Sync,
    ) -> Result<(), Error> {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let threads = self.vault.readers().min(items.len().max(1));
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

/// Verifies packs, as many of them whole as the scope says.
fn verify(findings: &Findings<'_>, layout: &Layout, packs: Vec<PackId>, scope: CheckScope) -> Result<Sound, Error> {
    let (whole, rest): (Vec<PackId>, Vec<PackId>) = match scope {
        CheckScope::Structure => (Vec::new(), packs),
        CheckScope::AllData => (packs, Vec::new()),
        CheckScope::Subset { part, of } => packs.into_iter().partition(|pack| pack.part(of) == part),
    };
    let read = packs::verify(findings, layout, &whole, Depth::Whole)?;
    let seen = packs::verify(findings, layout, &rest, Depth::Header)?;
    Ok(Sound { sound: Vec::new(), bytes: read.bytes + seen.bytes, sizes: read.sizes + seen.sizes })
}

fn refuse_no_part(scope: CheckScope) -> Result<(), Error> {
    match scope {
        CheckScope::Subset { part, of } if part == 0 || part > of => {
            Err(Error::Refused(format!("there is no part {part} of {of}: parts count from 1")))
        }
        _ => Ok(()),
    }
}

/// Checks everything in the vault.
pub(crate) fn vault(
    vault: &Arc<Opened>,
    scope: CheckScope,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<CheckReport, Error> {
    refuse_no_part(scope)?;
    let _lock = Lock::take(vault, false)?;
    let findings = Findings::new(vault, cancel, meter);
    check_small_files(&findings)?;
    // Snapshots before the index: whoever seals meanwhile writes them the other way round.
    let mut roots = Vec::new();
    let names = vault.snapshot_names()?;
    for (id, read) in vault.load_each::<SnapshotJson>(FileKind::Snapshot, &names, cancel)? {
        match read {
            Ok(snapshot) => roots.push((Some(id), snapshot.tree)),
            // Forgotten between list and read.
            Err(Error::Backend(BackendError::NotFound { .. })) => {}
            Err(error) => findings.damage(error, |problem| problem.snapshot(id))?,
        }
    }
    let layout = Layout::load(&findings)?;
    Reach::walk(&findings, &layout, &roots)?;
    let all: Vec<PackId> = layout.packs.keys().copied().collect();
    let packs = all.len() as u64;
    let sound = verify(&findings, &layout, all, scope)?;
    let blobs = layout.packs.values().map(|blobs| blobs.len() as u64).sum();
    let problems = findings.into_problems();
    let touched = touched(vault, &layout, &roots, &problems, cancel)?;
    Ok(CheckReport { problems, packs, blobs, bytes_read: sound.bytes, touched })
}

/// Checks what one tree needs.
pub(crate) fn tree(
    vault: &Arc<Opened>,
    tree: &TreeId,
    scope: CheckScope,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<CheckReport, Error> {
    refuse_no_part(scope)?;
    let findings = Findings::new(vault, cancel, meter);
    let layout = Layout::load(&findings)?;
    let reach = Reach::walk(&findings, &layout, &[(None, *tree)])?;
    let needed: Vec<PackId> = reach.packs.into_iter().collect();
    let packs = needed.len() as u64;
    let sound = verify(&findings, &layout, needed, scope)?;
    let problems = findings.into_problems();
    Ok(CheckReport { problems, packs, blobs: reach.blobs, bytes_read: sound.bytes, touched: BTreeMap::new() })
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
