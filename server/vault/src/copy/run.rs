//! The copy itself: which snapshots, in which order, and when each may be seen.

use std::sync::Arc;

use crossbeam_channel::Sender;
use serde_json::{Map, Value};

use super::known::Known;
use super::walk::Walked;
use super::{CopyOptions, CopyReport, carry, touch};
use crate::backend::{BackendError, FileKind};
use crate::id::{IdMap, IdSet};
use crate::lock::Lock;
use crate::pack::Blob;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::write::{Ground, Listed};
use crate::{Cancel, Error, Meter, PackId, Problem, SnapshotId, TreeId};

/// One copy on its way.
pub(super) struct Run {
    pub from: Arc<Opened>,
    pub to: Arc<Opened>,
    pub options: CopyOptions,
    pub cancel: Cancel,
    pub meter: Meter,
    /// Of snapshots that are there now: their ids here and there.
    pub tell: Sender<(SnapshotId, SnapshotId)>,
}

/// A snapshot as it stands here, with all fields that we do not know.
pub(super) struct Wanted {
    pub id: SnapshotId,
    pub known: SnapshotJson,
    all: Map<String, Value>,
}

/// Snapshots that share their packs, and what is not there of them.
#[derive(Default)]
pub(super) struct Batch {
    snapshots: Vec<Wanted>,
    pub needs: Needs,
}

/// Blobs that are to be carried over, by the packs that they lie in.
#[derive(Default)]
pub(super) struct Needs {
    pub packs: IdMap<Vec<Blob>>,
    pub bytes: u64,
}

impl Needs {
    pub(super) fn add(&mut self, pack: PackId, blob: Blob) {
        self.bytes += u64::from(blob.length);
        self.packs.entry(pack).or_default().push(blob);
    }
}

impl Run {
    pub(super) fn run(self, wanted: &[SnapshotId]) -> Result<CopyReport, Error> {
        let _here = Lock::take(&self.from, false)?;
        let lock = Arc::new(Lock::take(&self.to, false)?);
        for vault in [&self.from, &self.to] {
            let _turn = vault.reload_turn();
            vault.reload_index()?;
        }
        let losses = self.to.index().losses();
        let mut report = CopyReport::default();
        let wanted = self.wanted(wanted, &mut report)?;
        let known = Known::read(&self.to, &self.cancel)?;
        let (count, mut walked, mut batch) = (wanted.len(), Walked::default(), Batch::default());
        for (number, snapshot) in wanted.into_iter().enumerate() {
            self.cancel.check()?;
            if let Some(there) = known.copy_of(&snapshot) {
                report.there_already.push((snapshot.id, there));
                self.meter.add_files(1);
                self.announce(snapshot.id, there)?;
                continue;
            }
            self.meter.set_current(&format!("snapshot {} of {count}", number + 1));
            let problems = self.walk(&snapshot, &mut walked, &mut batch.needs, &mut report)?;
            if problems.is_empty() {
                batch.snapshots.push(snapshot);
            } else {
                report.damaged.push((snapshot.id, problems));
            }
            if batch.needs.bytes >= self.options.round || batch.snapshots.len() >= self.options.together {
                self.publish(std::mem::take(&mut batch), &lock, losses, &mut walked, &mut report)?;
            }
        }
        self.publish(batch, &lock, losses, &mut walked, &mut report)?;
        Ok(report)
    }

    /// The snapshots that can be read, oldest first; the others go to the report.
    fn wanted(&self, ids: &[SnapshotId], report: &mut CopyReport) -> Result<Vec<Wanted>, Error> {
        let ids: Vec<SnapshotId> = ids.iter().copied().collect::<IdSet>().into_iter().collect();
        let mut wanted = Vec::with_capacity(ids.len());
        for (id, read) in self.from.load_each::<Map<String, Value>>(FileKind::Snapshot, &ids, &self.cancel)? {
            let damaged = |error: Error| (id, vec![Problem::new(error.to_string()).snapshot(id)]);
            let all = match read {
                Ok(all) => all,
                // Forgotten meanwhile: nothing that the others need to wait for.
                Err(Error::Backend(BackendError::NotFound { .. })) => {
                    report.damaged.push(damaged(Error::NoSuchSnapshot(id)));
                    continue;
                }
                Err(error) => {
                    report.damaged.push(damaged(error));
                    continue;
                }
            };
            match serde_json::from_value::<SnapshotJson>(Value::Object(all.clone())) {
                Ok(known) => wanted.push(Wanted { id, known, all }),
                Err(error) => report.damaged.push(damaged(Error::damaged(format!("snapshot {id}: {error}")))),
            }
        }
        wanted.sort_by_key(|snapshot| (snapshot.known.time, snapshot.id));
        Ok(wanted)
    }

    /// Makes everything durable that the snapshots of the batch need, and then these themselves.
    fn publish(
        &self,
        batch: Batch,
        lock: &Arc<Lock>,
        losses: u64,
        walked: &mut Walked,
        report: &mut CopyReport,
    ) -> Result<(), Error> {
        if batch.snapshots.is_empty() && batch.needs.packs.is_empty() {
            return Ok(());
        }
        let mut listed = Listed::default();
        let carried = carry::carry(self, lock, batch.needs, &mut listed)?;
        report.blobs += carried.blobs;
        report.bytes += carried.stored + listed.bytes;
        if !carried.bad.is_empty() {
            // What was walked is not all there: whoever comes by again must look again.
            *walked = Walked::default();
        }
        for snapshot in batch.snapshots {
            let problems = touch::problems(self, &snapshot, &carried.bad)?;
            if !problems.is_empty() {
                report.damaged.push((snapshot.id, problems));
                continue;
            }
            let ground = Ground { vault: &self.to, lock, losses, listed: &listed };
            let check = || Ok(self.cancel.check()?);
            let (there, bytes) = ground.publish(&snapshot.tree(), &snapshot.for_the_other(), &check)?;
            report.bytes += bytes;
            report.copied.push((snapshot.id, there));
            self.meter.add_files(1);
            self.announce(snapshot.id, there)?;
        }
        Ok(())
    }

    /// Whoever asked for the copy may be gone.
    fn announce(&self, here: SnapshotId, there: SnapshotId) -> Result<(), Error> {
        self.tell.send((here, there)).map_err(|_| Error::Cancelled)
    }
}

impl Wanted {
    pub(super) fn tree(&self) -> TreeId {
        self.known.tree
    }

    /// The snapshot that it all began with.
    pub(super) fn origin(&self) -> SnapshotId {
        self.known.original.unwrap_or(self.id)
    }

    /// As restic writes a copy: a parent means nothing in another vault.
    fn for_the_other(&self) -> Map<String, Value> {
        let mut json = self.all.clone();
        json.remove("parent");
        json.insert("original".into(), Value::String(self.origin().to_string()));
        json
    }
}
