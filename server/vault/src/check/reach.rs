//! Everything that can be reached from some trees.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::Findings;
use super::layout::Layout;
use crate::id::IdSet;
use crate::node::{NodeKind, parse_tree};
use crate::pack::BlobKind;
use crate::{Error, Id, Problem, SnapshotId, TreeId};

/// What was reached.
#[derive(Default)]
pub(crate) struct Reach {
    /// Distinct blobs, trees and data.
    pub blobs: u64,
    /// The packs that hold them.
    pub packs: IdSet,
    trees: IdSet,
    data: IdSet,
}

/// A tree on the way, and whose it is.
struct Step {
    snapshot: Option<SnapshotId>,
    path: PathBuf,
    tree: TreeId,
}

impl Reach {
    /// Walks down from the roots; what is missing or damaged becomes a problem.
    pub(crate) fn walk(
        findings: &Findings<'_>,
        layout: &Layout,
        roots: &[(Option<SnapshotId>, TreeId)],
    ) -> Result<Reach, Error> {
        let reach = Mutex::new(Reach::default());
        let mut level: Vec<Step> = Vec::new();
        for (snapshot, tree) in roots {
            if reach.lock().unwrap_or_else(PoisonError::into_inner).trees.insert(*tree) {
                level.push(Step { snapshot: *snapshot, path: PathBuf::new(), tree: *tree });
            }
        }
        while !level.is_empty() {
            let next = Mutex::new(Vec::new());
            findings.for_each(&level, |step| {
                let below = visit(findings, layout, &reach, step)?;
                next.lock().unwrap_or_else(PoisonError::into_inner).extend(below);
                Ok(())
            })?;
            level = next.into_inner().unwrap_or_else(PoisonError::into_inner);
        }
        let mut reach = reach.into_inner().unwrap_or_else(PoisonError::into_inner);
        reach.blobs = (reach.trees.len() + reach.data.len()) as u64;
        Ok(reach)
    }
}

fn visit(findings: &Findings<'_>, layout: &Layout, reach: &Mutex<Reach>, step: &Step) -> Result<Vec<Step>, Error> {
    let about = |problem: Problem, blob: Id| {
        let problem = problem.path(&step.path).blob(blob);
        match step.snapshot {
            Some(snapshot) => problem.snapshot(snapshot),
            None => problem,
        }
    };
    let Some((pack, blob)) = layout.find(BlobKind::Tree, &step.tree) else {
        let what = format!("tree {} of /{} is in no pack", step.tree, step.path.display());
        findings.add(about(Problem::new(what), step.tree));
        return Ok(Vec::new());
    };
    let read = || parse_tree(&step.tree, &findings.windows.tree(findings.vault, &pack, &blob)?);
    let tree = match read() {
        Ok(tree) => Some(tree),
        Err(Error::Backend(error)) => {
            // The pack is gone or too short; the packs' own check says so too.
            findings.add(about(Problem::new(error.to_string()).pack(pack), step.tree));
            None
        }
        Err(error) => {
            findings.damage(error, |problem| about(problem.pack(pack), step.tree))?;
            None
        }
    };
    let mut below = Vec::new();
    let mut reach = reach.lock().unwrap_or_else(PoisonError::into_inner);
    reach.packs.insert(pack);
    for node in tree.into_iter().flat_map(|tree| tree.nodes) {
        for id in &node.content {
            if !reach.data.insert(*id) {
                continue;
            }
            match layout.find(BlobKind::Data, id) {
                Some((pack, _)) => {
                    reach.packs.insert(pack);
                }
                None => {
                    let path = step.path.join(&node.name);
                    let what = format!("blob {id} of /{} is in no pack", path.display());
                    findings.add(about(Problem::new(what), *id).path(path));
                }
            }
        }
        match (node.kind, node.subtree) {
            (NodeKind::Dir, Some(tree)) if reach.trees.insert(tree) => {
                below.push(Step { snapshot: step.snapshot, path: step.path.join(&node.name), tree });
            }
            (NodeKind::Dir, None) => {
                let path = step.path.join(&node.name);
                let what = format!("/{} is a directory without a tree", path.display());
                findings.add(about(Problem::new(what), step.tree).path(path));
            }
            _ => {}
        }
    }
    Ok(below)
}
