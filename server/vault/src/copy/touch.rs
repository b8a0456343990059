//! Which snapshots lack something when blobs could not be carried over.

use std::path::PathBuf;

use super::carry::Bad;
use super::run::{Run, Wanted};
use crate::id::IdSet;
use crate::{Error, Problem};

/// What is wrong with a snapshot, given the blobs that are damaged here.
pub(super) fn problems(run: &Run, snapshot: &Wanted, bad: &Bad) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    if bad.is_empty() {
        return Ok(problems);
    }
    let mut seen = IdSet::default();
    let mut open = vec![(PathBuf::new(), snapshot.tree())];
    while let Some((path, id)) = open.pop() {
        run.cancel.check()?;
        if !seen.insert(id) {
            continue;
        }
        let about = |path: PathBuf, what: &str, blob| {
            Problem::new(format!("/{}: {what}", path.display())).path(path).blob(blob).snapshot(snapshot.id)
        };
        if let Some((pack, what)) = bad.trees.get(&id) {
            problems.push(about(path.clone(), what, id).pack(*pack));
        }
        for node in run.tree(&id)?.nodes {
            for blob in &node.content {
                if let Some((pack, what)) = bad.data.get(blob) {
                    problems.push(about(path.join(&node.name), what, *blob).pack(*pack));
                }
            }
            open.extend(node.subtree.map(|tree| (path.join(&node.name), tree)));
        }
    }
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(problems)
}
