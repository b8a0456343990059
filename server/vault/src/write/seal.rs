//! The seal: what must be durable, and in which order, before a snapshot may be seen.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Sealed, Writer};
use crate::backend::FileKind;
use crate::id::IdSet;
use crate::index::{FILE_BLOBS, IndexJson, PackJson};
use crate::lock::Lock;
use crate::node::NodeKind;
use crate::pack::BlobKind;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::{Error, Id, PackId, SnapshotDraft, SnapshotId, TreeId};

/// Nobody's lock goes stale in so short a time.
const MOMENT: Duration = Duration::from_secs(60);

pub(super) fn seal(mut writer: Writer, draft: SnapshotDraft) -> Result<Sealed, Error> {
    let core = writer.core.clone();
    core.check()?;
    if !writer.knows(BlobKind::Tree, &draft.tree) {
        return Err(Error::Refused(format!("tree {} was never written", draft.tree)));
    }
    // 1. Packs.
    writer.pool.finish(&core)?;
    // 2. Index.
    let mut listed = Listed::default();
    list_finished(&writer, &mut listed)?;
    // 3. to 5. The snapshot.
    let ground = Ground { vault: &core.vault, lock: &writer.lock, losses: writer.losses, listed: &listed };
    let tree = draft.tree;
    let (snapshot, bytes) = ground.publish(&tree, &SnapshotJson::of(draft), &|| core.check())?;
    Ok(Sealed { snapshot, stored: core.stored.load(Ordering::Relaxed) + listed.bytes + bytes })
}

/// What a writer has made durable and named in index files.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    pub files: Vec<Id>,
    pub packs: Vec<PackId>,
    /// Bytes of the index files.
    pub bytes: u64,
}

/// Names the packs that are durable by now in an index.
pub(super) fn list_finished(writer: &Writer, listed: &mut Listed) -> Result<(), Error> {
    let core = &writer.core;
    let packs = std::mem::take(&mut *core.finished.lock().unwrap_or_else(PoisonError::into_inner));
    // Without our lock, a prune may have taken the packs for somebody's remains.
    writer.lock.still_held()?;
    listed.packs.extend(packs.iter().map(|pack| pack.id));
    let (files, bytes) = write_index(&core.vault, packs)?;
    listed.files.extend(files);
    listed.bytes += bytes;
    Ok(())
}

/// What a snapshot rests on when it is published.
pub(crate) struct Ground<'a> {
    pub vault: &'a Opened,
    pub lock: &'a Lock,
    /// Of the index, when it was first relied upon.
    pub losses: u64,
    pub listed: &'a Listed,
}

impl Ground<'_> {
    /// Publishes a snapshot of this tree, all of which is durable and in the index. `check` says whether to go on.
    pub(crate) fn publish<T: Serialize>(
        &self,
        tree: &TreeId,
        snapshot: &T,
        check: &dyn Fn() -> Result<(), Error>,
    ) -> Result<(SnapshotId, u64), Error> {
        // 3. What we rely on.
        let looked = Instant::now();
        if let Err(error) = self.rely(tree, check) {
            withdraw(self.vault, self.listed);
            return Err(error);
        }
        // 4. The snapshot.
        check()?;
        let (snapshot, bytes) = self.vault.save(FileKind::Snapshot, snapshot)?;
        // 5. This process may have stood still between 3 and 4 for longer than a lock lives.
        match self.lock.still_held() {
            Ok(()) => {}
            Err(Error::VaultChanged { .. }) => {
                if let Err(error) = self.look_again(tree) {
                    self.vault.backend.withdraw(FileKind::Snapshot, &snapshot.to_string())?;
                    withdraw(self.vault, self.listed);
                    return Err(error);
                }
            }
            // It stood a moment ago; that it cannot be looked at now does not undo the seal.
            Err(error) if looked.elapsed() < MOMENT => tracing::warn!(%error, "a vault's lock could not be looked at"),
            Err(error) => return Err(error),
        }
        Ok((snapshot, bytes))
    }

    /// Our lock stands, and nothing has gone since we began, or all that the tree needs is there all the same.
    fn rely(&self, tree: &TreeId, check: &dyn Fn() -> Result<(), Error>) -> Result<(), Error> {
        check()?;
        self.lock.still_held()?;
        bring_up_to_date(self.vault)?;
        if self.vault.index().losses() != self.losses {
            self.look_again(tree)?;
        } else if self.listed.files.is_empty() {
            // A file of our own would have made those durable that were there before it.
            self.vault.backend.settle(FileKind::Index)?;
        }
        check()
    }

    /// Is everything that the tree needs there, by what the index says now?
    fn look_again(&self, tree: &TreeId) -> Result<(), Error> {
        bring_up_to_date(self.vault)?;
        self.vault.backend.settle(FileKind::Index)?;
        verify(self.vault, tree, &self.listed.packs)
    }
}

fn bring_up_to_date(vault: &Opened) -> Result<(), Error> {
    let _turn = vault.reload_turn();
    vault.reload_index()
}

/// Takes back an index that names packs which are gone, so that nobody relies on it. What stands there whole may stay.
fn withdraw(vault: &Opened, listed: &Listed) {
    let undo = || -> Result<(), Error> {
        let present = present(vault)?;
        if listed.packs.iter().any(|pack| !present.contains(pack)) {
            for file in &listed.files {
                vault.backend.withdraw(FileKind::Index, &file.to_string())?;
            }
        }
        Ok(())
    };
    if let Err(error) = undo() {
        tracing::warn!(%error, "an index of packs that are gone was not taken back; a prune does it");
    }
}

/// Packs and index for blobs that moved: the new packs are read back and found right before the index names them.
pub(super) fn publish(mut writer: Writer) -> Result<Vec<PackJson>, Error> {
    let core = writer.core.clone();
    writer.pool.finish(&core)?;
    let packs = core.finished.lock().unwrap_or_else(PoisonError::into_inner).clone();
    core.vault.in_parallel(&packs, |pack| core.vault.verify_pack(pack))?;
    let mut listed = Listed::default();
    list_finished(&writer, &mut listed)?;
    if let Err(error) = writer.lock.still_held() {
        withdraw(&core.vault, &listed);
        return Err(error);
    }
    Ok(packs)
}

/// Packs and index for blobs that came from elsewhere, verified on their way. Gives the packs' bytes.
pub(super) fn finish(mut writer: Writer, listed: &mut Listed) -> Result<u64, Error> {
    let core = writer.core.clone();
    writer.pool.finish(&core)?;
    list_finished(&writer, listed)?;
    Ok(core.stored.load(Ordering::Relaxed))
}

/// For a writer that is given up: names what it had made durable until then, so that this need not be done again.
pub(super) fn salvage(mut writer: Writer, listed: &mut Listed) -> Result<(), Error> {
    let core = writer.core.clone();
    core.fail(Error::Cancelled);
    writer.pool.stop(&core);
    list_finished(&writer, listed)
}

/// Writes index files for packs that are durable; gives their names and bytes.
pub(crate) fn write_index(vault: &Opened, packs: Vec<PackJson>) -> Result<(Vec<Id>, u64), Error> {
    let (mut files, mut stored) = (Vec::new(), 0);
    let mut packs = packs.into_iter().peekable();
    while packs.peek().is_some() {
        let mut file = IndexJson::default();
        let mut blobs = 0;
        while let Some(pack) = packs.next_if(|pack| blobs == 0 || blobs + pack.blobs.len() <= FILE_BLOBS) {
            blobs += pack.blobs.len();
            file.packs.push(pack);
        }
        let (id, bytes) = vault.save(FileKind::Index, &file)?;
        stored += bytes;
        files.push(id);
        vault.index_mut().add(Some(id), &file.packs)?;
    }
    Ok((files, stored))
}

fn present(vault: &Opened) -> Result<IdSet, Error> {
    Ok(vault.backend.list(FileKind::Pack)?.iter().filter_map(|(name, _)| name.parse().ok()).collect())
}

/// Index files have gone since the writer began: is everything that the tree needs still in one, and its pack there?
fn verify(vault: &Opened, root: &TreeId, written: &[PackId]) -> Result<(), Error> {
    let gone = |what: String| Error::VaultChanged { why: format!("{what} is gone") };
    let present = present(vault)?;
    if let Some(pack) = written.iter().find(|pack| !present.contains(*pack)) {
        return Err(gone(format!("pack {pack}")));
    }
    let known = |kind: BlobKind, id: &Id| vault.index().find(kind, id).is_some_and(|(pack, _)| present.contains(&pack));
    let mut seen = IdSet::default();
    let mut open = vec![*root];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if !known(BlobKind::Tree, &id) {
            return Err(gone(format!("tree {id}")));
        }
        for node in vault.tree(&id)?.nodes {
            if let Some(blob) = node.content.iter().find(|blob| !known(BlobKind::Data, blob)) {
                return Err(gone(format!("blob {blob}")));
            }
            if node.kind == NodeKind::Dir {
                open.extend(node.subtree);
            }
        }
    }
    Ok(())
}
