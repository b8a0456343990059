//! Down a snapshot's trees: what of it is not there yet?

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::CopyReport;
use super::run::{Needs, Run, Wanted};
use crate::id::IdSet;
use crate::pack::{Blob, BlobKind};
use crate::queue::Queue;
use crate::{BackendError, Error, Id, PackId, Problem, Tree, TreeId};

/// What earlier snapshots of this copy needed: it is there, or about to be.
#[derive(Default)]
pub(super) struct Walked {
    trees: IdSet,
    data: IdSet,
}

/// What one snapshot needs beside that.
#[derive(Default)]
struct Found {
    trees: IdSet,
    data: IdSet,
    missing: Vec<(PackId, Blob)>,
    there: u64,
    problems: Vec<Problem>,
}

struct Step {
    path: PathBuf,
    tree: TreeId,
}

impl Run {
    /// Notes what a snapshot needs, or gives what is wrong with it here; then nothing is noted.
    pub(super) fn walk(
        &self,
        snapshot: &Wanted,
        walked: &mut Walked,
        needs: &mut Needs,
        report: &mut CopyReport,
    ) -> Result<Vec<Problem>, Error> {
        let found = Mutex::new(Found::default());
        let root = snapshot.tree();
        if walked.trees.contains(&root) {
            return Ok(Vec::new());
        }
        found.lock().unwrap_or_else(PoisonError::into_inner).trees.insert(root);
        let threads = self.from.readers();
        let queue = Queue::new(threads, Step { path: PathBuf::new(), tree: root });
        std::thread::scope(|scope| {
            let work = || {
                let outcome = self.visit_all(&queue, walked, &found);
                if outcome.is_err() {
                    queue.end();
                }
                outcome
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut outcome = Ok(());
            for worker in workers {
                let ended = worker.join().map_err(|_| Error::Refused("a thread of the copy died".into()));
                outcome = outcome.and(ended.flatten());
            }
            outcome
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        if found.problems.is_empty() {
            report.skipped_blobs += found.there;
            found.missing.into_iter().for_each(|(pack, blob)| needs.add(pack, blob));
            walked.trees.extend(found.trees);
            walked.data.extend(found.data);
        }
        found.problems.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found.problems.into_iter().map(|problem| problem.snapshot(snapshot.id)).collect())
    }

    fn visit_all(&self, queue: &Queue<Step>, walked: &Walked, found: &Mutex<Found>) -> Result<(), Error> {
        // A thread that dies must not leave the others waiting.
        let _end = End(queue);
        while let Some(step) = queue.pop() {
            self.cancel.check()?;
            queue.push(self.visit(&step, walked, found)?);
        }
        Ok(())
    }

    /// Notes what a tree names, and gives the trees below that nobody has visited.
    fn visit(&self, step: &Step, walked: &Walked, found: &Mutex<Found>) -> Result<Vec<Step>, Error> {
        let about = |what: String, blob: &Id| Problem::new(what).path(&step.path).blob(*blob);
        let tree = match self.tree(&step.tree) {
            Err(Error::Damaged { what }) => {
                let what = format!("/{}: {what}", step.path.display());
                found.lock().unwrap_or_else(PoisonError::into_inner).problems.push(about(what, &step.tree));
                return Ok(Vec::new());
            }
            other => other?,
        };
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut below = Vec::new();
        self.note(&mut found, BlobKind::Tree, &step.tree)?;
        for node in tree.nodes {
            let path = || step.path.join(&node.name);
            for id in &node.content {
                if walked.data.contains(id) || !found.data.insert(*id) {
                    continue;
                }
                if let Err(Error::Damaged { what }) = self.note(&mut found, BlobKind::Data, id) {
                    found.problems.push(about(format!("/{}: {what}", path().display()), id).path(path()));
                }
            }
            match node.subtree {
                Some(tree) if !walked.trees.contains(&tree) && found.trees.insert(tree) => {
                    below.push(Step { path: path(), tree });
                }
                None if node.is_dir() => {
                    let what = format!("/{} is a directory without a tree", path().display());
                    found.problems.push(about(what, &step.tree).path(path()));
                }
                _ => {}
            }
        }
        Ok(below)
    }

    /// A blob is there, or lies in a pack here.
    fn note(&self, found: &mut Found, kind: BlobKind, id: &Id) -> Result<(), Error> {
        if self.to.index().has(kind, id) {
            found.there += 1;
            return Ok(());
        }
        let place = self.from.index().find(kind, id);
        let missing = || Error::damaged(format!("blob {id} is in no pack that the index knows"));
        found.missing.push(place.ok_or_else(missing)?);
        Ok(())
    }

    /// A tree, from there if it is damaged here.
    pub(super) fn tree(&self, id: &TreeId) -> Result<Tree, Error> {
        let damaged = match self.from.tree(id) {
            Err(Error::Backend(error)) if super::carry::is_damage(&error) => Error::damaged(error.to_string()),
            Err(error @ Error::Damaged { .. }) => error,
            other => return other,
        };
        if !self.to.index().has(BlobKind::Tree, id) {
            return Err(damaged);
        }
        match self.to.tree(id) {
            Err(Error::Damaged { .. } | Error::Backend(BackendError::NotFound { .. })) => Err(damaged),
            other => other,
        }
    }
}

struct End<'a>(&'a Queue<Step>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}
