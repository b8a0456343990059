//! Which snapshots have been copied before, by us or by restic.

use super::run::Wanted;
use crate::backend::FileKind;
use crate::id::IdMap;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::{Cancel, Error, SnapshotId};

/// The target's snapshots, by their own ids and by those that they were copied from.
pub(super) struct Known(IdMap<Vec<(SnapshotId, SnapshotJson)>>);

impl Known {
    /// One that is damaged counts as not there: then it is copied again.
    pub(super) fn read(vault: &Opened, cancel: &Cancel) -> Result<Known, Error> {
        let names = vault.snapshot_names()?;
        // What we call there already must not go with the power.
        vault.backend.settle(FileKind::Snapshot)?;
        let mut known: IdMap<Vec<(SnapshotId, SnapshotJson)>> = IdMap::default();
        for (id, read) in vault.load_each::<SnapshotJson>(FileKind::Snapshot, &names, cancel)? {
            match read {
                Ok(snapshot) => known.entry(snapshot.original.unwrap_or(id)).or_default().push((id, snapshot)),
                Err(error) => tracing::warn!(%error, "a snapshot of the target cannot be read"),
            }
        }
        Ok(Known(known))
    }

    /// The copy of a snapshot, if there is one that says the same.
    pub(super) fn copy_of(&self, snapshot: &Wanted) -> Option<SnapshotId> {
        let copies = self.0.get(&snapshot.origin())?;
        copies.iter().find(|(_, copy)| is_similar(copy, &snapshot.known)).map(|(id, _)| *id)
    }
}

/// What restic compares: everything but `parent` and `original`; paths and tags in any order.
fn is_similar(a: &SnapshotJson, b: &SnapshotJson) -> bool {
    let same = |a: &[String], b: &[String]| a.len() == b.len() && b.iter().all(|entry| a.contains(entry));
    a.time == b.time
        && a.tree == b.tree
        && (&a.hostname, &a.username) == (&b.hostname, &b.username)
        && (a.uid, a.gid) == (b.uid, b.gid)
        && same(&a.paths, &b.paths)
        && same(&a.tags, &b.tags)
        && a.excludes == b.excludes
}
