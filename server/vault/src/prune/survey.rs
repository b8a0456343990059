//! What the snapshots need. It only ever grows within one prune: what was needed a moment ago is still kept.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::census::Census;
use super::turn::{Halt, Turn};
use crate::backend::FileKind;
use crate::id::IdSet;
use crate::node::parse_tree;
use crate::pack::BlobKind;
use crate::queue::Queue;
use crate::vault::Opened;
use crate::{Error, Id, Meter, SnapshotId, TreeId};

/// The used blobs of all snapshots, and the index.
#[derive(Default)]
pub(super) struct Survey {
    pub census: Census,
    pub data: IdSet,
    pub trees: IdSet,
    read: IdSet,
}

/// A tree on the way, and whose it is.
struct Step {
    snapshot: SnapshotId,
    tree: TreeId,
}

#[derive(Default)]
struct Found {
    data: IdSet,
    trees: IdSet,
}

impl Survey {
    /// Reads the index anew, and all snapshots that have not been read yet.
    pub(super) fn refresh(
        &mut self,
        vault: &Opened,
        expected: &[SnapshotId],
        turn: &Turn<'_>,
        meter: &Meter,
    ) -> Result<(), Halt> {
        // The snapshots before the index: whoever seals meanwhile writes them the other way round.
        let names = list(vault, expected)?;
        self.census = Census::default();
        self.census = Census::load(vault, turn)?;
        let new: Vec<SnapshotId> = names.into_iter().filter(|id| !self.read.contains(id)).collect();
        let roots = roots(vault, &new, turn)?;
        self.walk(vault, roots, turn, meter)?;
        self.read.extend(new);
        // What is forgotten must not come back once its packs are gone, nor an index file that names them.
        vault.backend.settle(FileKind::Snapshot)?;
        vault.backend.settle(FileKind::Index)?;
        let missing = |word: &str, id: &Id| {
            let what = format!("{word} {id}, which a snapshot needs, is in no pack; a check names what it is part of");
            Halt::Failed(Error::damaged(what))
        };
        if let Some(id) = self.trees.iter().find(|id| self.census.get(BlobKind::Tree, id).is_none()) {
            return Err(missing("tree", id));
        }
        if let Some(id) = self.data.iter().find(|id| self.census.get(BlobKind::Data, id).is_none()) {
            return Err(missing("blob", id));
        }
        Ok(())
    }

    /// Whether index and snapshots are still those that this knows; snapshots may have been forgotten.
    pub(super) fn holds(&self, vault: &Opened, expected: &[SnapshotId]) -> Result<bool, Error> {
        let names = list(vault, expected)?;
        Ok(names.iter().all(|id| self.read.contains(id)) && self.census.is_of(vault)?)
    }

    /// How many snapshots were read.
    pub(super) fn snapshots(&self) -> u64 {
        self.read.len() as u64
    }

    fn walk(&mut self, vault: &Opened, roots: Vec<Step>, turn: &Turn<'_>, meter: &Meter) -> Result<(), Halt> {
        let mut known = Found { data: std::mem::take(&mut self.data), trees: std::mem::take(&mut self.trees) };
        let mut roots: Vec<Step> = roots.into_iter().filter(|step| known.trees.insert(step.tree)).collect();
        let found = Mutex::new(known);
        if let Some(first) = roots.pop() {
            let threads = vault.readers();
            let queue = Queue::new(threads, first);
            queue.push(roots);
            let census = &self.census;
            turn.crew(threads, &|| queue.end(), &|stop| {
                while let Some(step) = queue.pop() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let below = visit(vault, census, &found, &step)?;
                    meter.add_files(1);
                    queue.push(below);
                }
                Ok(())
            })?;
        }
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.data, self.trees) = (found.data, found.trees);
        Ok(())
    }
}

/// Names of all snapshots; those that are expected must be among them.
fn list(vault: &Opened, expected: &[SnapshotId]) -> Result<IdSet, Error> {
    let names: IdSet = vault.snapshot_names()?.into_iter().collect();
    let missing: Vec<SnapshotId> = expected.iter().filter(|id| !names.contains(id)).copied().collect();
    if missing.is_empty() { Ok(names) } else { Err(Error::SnapshotsMissing { missing }) }
}

/// Reads snapshots, several at once. One that is gone by now was forgotten; one that cannot be read is an error.
fn roots(vault: &Opened, names: &[SnapshotId], turn: &Turn<'_>) -> Result<Vec<Step>, Halt> {
    let next = AtomicUsize::new(0);
    let steps = Mutex::new(Vec::with_capacity(names.len()));
    let gone = Mutex::new(Vec::new());
    turn.crew(vault.readers().min(names.len()), &|| {}, &|stop| {
        while let Some(id) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            match vault.snapshot(id) {
                Ok(snapshot) => {
                    let step = Step { snapshot: *id, tree: snapshot.tree };
                    steps.lock().unwrap_or_else(PoisonError::into_inner).push(step);
                }
                Err(Error::NoSuchSnapshot(_)) => gone.lock().unwrap_or_else(PoisonError::into_inner).push(*id),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })?;
    let gone = gone.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !gone.is_empty() {
        let names: IdSet = vault.snapshot_names()?.into_iter().collect();
        if let Some(id) = gone.iter().find(|id| names.contains(id)) {
            return Err(Error::damaged(format!("snapshot {id} is in the list and cannot be read")).into());
        }
    }
    Ok(steps.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Notes what a tree names, and gives the trees below that are new.
fn visit(vault: &Opened, census: &Census, found: &Mutex<Found>, step: &Step) -> Result<Vec<Step>, Error> {
    let about = |what: &str| {
        Error::damaged(format!("snapshot {}: tree {}: {what}; nothing is removed", step.snapshot, step.tree))
    };
    let spot = census.get(BlobKind::Tree, &step.tree).ok_or_else(|| about("it is in no pack"))?;
    let pack = census.pack(spot).ok_or_else(|| about("it is in no pack"))?;
    let blob = spot.blob(BlobKind::Tree, &step.tree);
    let content = vault.windows.tree(vault, &pack.id, &blob);
    let tree = match content.and_then(|json| parse_tree(&step.tree, &json)) {
        Err(Error::Damaged { what }) => return Err(about(&what)),
        other => other?,
    };
    let mut below = Vec::new();
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    for node in tree.nodes {
        if node.is_dir() && node.subtree.is_none() {
            return Err(about("it has a directory without a tree"));
        }
        found.data.extend(node.content);
        if let Some(tree) = node.subtree.filter(|tree| found.trees.insert(*tree)) {
            below.push(Step { snapshot: step.snapshot, tree });
        }
    }
    Ok(below)
}
