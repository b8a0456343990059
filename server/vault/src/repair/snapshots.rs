//! Snapshots that lack something, and what becomes of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Broken, BrokenSnapshot, Mended, RepairReport};
use crate::backend::FileKind;
use crate::check::{Findings, Layout, Reach, children_first, touched};
use crate::id::IdMap;
use crate::lock::Lock;
use crate::pack::BlobKind;
use crate::vault::Opened;
use crate::{Cancel, Error, Meter, Problem, SnapshotId, Tree, TreeId, Writer};

/// What stock restic tags the snapshots with that it has repaired.
const TAG: &str = "repaired";

/// Finds the broken snapshots and does what was asked.
pub(super) fn mend(
    vault: &Arc<Opened>,
    lock: &Arc<Lock>,
    broken: Broken,
    cancel: &Cancel,
    meter: &Meter,
    report: &mut RepairReport,
) -> Result<(), Error> {
    let mut roots = Vec::new();
    for id in vault.snapshot_names()? {
        match vault.snapshot(&id) {
            Ok(snapshot) => roots.push((Some(id), snapshot.tree)),
            Err(Error::Damaged { what }) => {
                let problems = vec![Problem::new(what).snapshot(id)];
                report.snapshots.push(BrokenSnapshot { id, problems, mended: Mended::Hopeless });
            }
            Err(error) => return Err(error),
        }
    }
    let findings = Findings::new(vault, cancel, meter);
    let layout = Layout::load(&findings)?;
    Reach::walk(&findings, &layout, &roots)?;
    let problems = findings.into_problems();
    let mut lacking: IdMap<Vec<Problem>> = IdMap::default();
    for (at, snapshots) in touched(vault, &layout, &roots, &problems, cancel)? {
        for id in snapshots {
            lacking.entry(id).or_default().extend(problems.get(at).cloned());
        }
    }
    let mut replacements = if broken == Broken::Replace && !lacking.is_empty() {
        roots.retain(|(id, _)| id.is_some_and(|id| lacking.contains_key(&id)));
        replace(vault, lock, &roots, cancel)?
    } else {
        IdMap::default()
    };
    for (id, problems) in lacking {
        let mended = match broken {
            Broken::List => Mended::Listed,
            Broken::Replace => replacements.remove(&id).unwrap_or(Mended::Hopeless),
            Broken::Forget => Mended::Forgotten,
        };
        report.snapshots.push(BrokenSnapshot { id, problems, mended });
    }
    report.snapshots.sort_by_key(|snapshot| snapshot.id);
    lock.still_held()?;
    for snapshot in &mut report.snapshots {
        if broken == Broken::Forget {
            snapshot.mended = Mended::Forgotten;
        }
        // A replacement is durable by now.
        if matches!(snapshot.mended, Mended::Forgotten | Mended::Replaced { .. }) {
            vault.backend.withdraw(FileKind::Snapshot, &snapshot.id.to_string())?;
        }
    }
    Ok(())
}

/// What is left of a tree.
#[derive(Clone)]
struct Rest {
    tree: TreeId,
    /// Relative to it.
    dropped: Vec<PathBuf>,
}

/// Writes the replacements, all that they need before them.
fn replace(
    vault: &Arc<Opened>,
    lock: &Arc<Lock>,
    roots: &[(Option<SnapshotId>, TreeId)],
    cancel: &Cancel,
) -> Result<IdMap<Mended>, Error> {
    let writer = Writer::under(vault.clone(), cancel.clone(), lock.clone())?;
    let trees: Vec<TreeId> = roots.iter().map(|(_, tree)| *tree).collect();
    let mut rests: IdMap<Option<Rest>> = IdMap::default();
    children_first(
        &trees,
        &mut |id| {
            let tree = readable(vault, id)?.unwrap_or_default();
            Ok(tree.nodes.into_iter().filter_map(|node| node.subtree).collect())
        },
        &mut |id| {
            cancel.check()?;
            let rest = match readable(vault, id)? {
                Some(tree) => Some(rest(vault, &writer, id, tree, &rests)?),
                None => None,
            };
            rests.insert(*id, rest);
            Ok(())
        },
    )?;
    writer.publish()?;
    let mut done = IdMap::default();
    for (id, tree) in roots {
        let Some(id) = id else { continue };
        let mended = match rests.get(tree).and_then(Option::as_ref) {
            Some(Rest { tree, dropped }) => {
                let mut json: Map<String, Value> = vault.load(FileKind::Snapshot, &id.to_string())?;
                revise(&mut json, id, tree);
                let (by, _) = vault.save(FileKind::Snapshot, &json)?;
                let mut dropped = dropped.clone();
                dropped.sort();
                Mended::Replaced { by, dropped }
            }
            None => Mended::Hopeless,
        };
        done.insert(*id, mended);
    }
    Ok(done)
}

/// A tree, or `None` if it is missing or damaged.
fn readable(vault: &Opened, id: &TreeId) -> Result<Option<Tree>, Error> {
    match vault.tree(id) {
        Ok(tree) => Ok(Some(tree)),
        Err(Error::Damaged { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Stores a tree again without what is broken, unless nothing is.
fn rest(vault: &Opened, writer: &Writer, id: &TreeId, tree: Tree, below: &IdMap<Option<Rest>>) -> Result<Rest, Error> {
    let (mut nodes, mut dropped, mut changed) = (Vec::new(), Vec::new(), false);
    for mut node in tree.nodes {
        let whole = node.content.iter().all(|blob| vault.index().has(BlobKind::Data, blob));
        let subtree = node.subtree.map(|tree| below.get(&tree).and_then(Option::as_ref));
        match (whole && node.has_safe_name(), subtree) {
            (true, None) if !node.is_dir() => nodes.push(node),
            (true, Some(Some(rest))) => {
                dropped.extend(rest.dropped.iter().map(|path| Path::new(&node.name).join(path)));
                changed |= node.subtree != Some(rest.tree);
                node.subtree = Some(rest.tree);
                nodes.push(node);
            }
            _ => {
                changed = true;
                dropped.push(PathBuf::from(&node.name));
            }
        }
    }
    let tree = if changed { writer.put_tree(nodes)? } else { *id };
    Ok(Rest { tree, dropped })
}

/// The snapshot's own JSON, with all fields that we do not know, for the new tree.
fn revise(json: &mut Map<String, Value>, id: &SnapshotId, tree: &TreeId) {
    json.insert("tree".into(), Value::String(tree.to_string()));
    json.entry("original").or_insert_with(|| Value::String(id.to_string()));
    let tags = json.entry("tags").or_insert_with(|| Value::Array(Vec::new()));
    if !tags.is_array() {
        *tags = Value::Array(Vec::new());
    }
    if let Value::Array(tags) = tags
        && !tags.iter().any(|tag| tag == TAG)
    {
        tags.push(Value::String(TAG.into()));
    }
}
