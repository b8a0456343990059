//! The seal: what must be durable, and in which order, before a snapshot may be seen.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Sealed, Writer};
use crate::backend::FileKind;
use crate::id::IdSet;
use crate::index::{FILE_BLOBS, IndexJson, PackJson};
use crate::node::NodeKind;
use crate::pack::BlobKind;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::{Error, Id, PackId, SnapshotDraft, TreeId};

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
    let packs = std::mem::take(&mut *core.finished.lock().unwrap_or_else(PoisonError::into_inner));
    let mut stored = core.stored.load(Ordering::Relaxed);
    // 2. Index. Without our lock, a prune may have taken the packs for somebody's remains.
    writer.lock.still_held()?;
    let written: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
    let (files, bytes) = write_index(&core.vault, packs)?;
    stored += bytes;
    // 3. What we rely on.
    let looked = Instant::now();
    let tree = draft.tree;
    if let Err(error) = rely(&writer, &tree, &written) {
        withdraw(&core.vault, &files, &written);
        return Err(error);
    }
    // 4. The snapshot.
    core.check()?;
    let (snapshot, bytes) = core.vault.save(FileKind::Snapshot, &SnapshotJson::of(draft))?;
    // 5. This process may have stood still between 3 and 4 for longer than a lock lives.
    match writer.lock.still_held() {
        Ok(()) => {}
        Err(Error::VaultChanged { .. }) => {
            if let Err(error) = bring_up_to_date(&core.vault).and_then(|()| verify(&core.vault, &tree, &written)) {
                core.vault.backend.remove(FileKind::Snapshot, &snapshot.to_string())?;
                withdraw(&core.vault, &files, &written);
                return Err(error);
            }
        }
        // It stood a moment ago; that it cannot be looked at now does not undo the seal.
        Err(error) if looked.elapsed() < MOMENT => tracing::warn!(%error, "a vault's lock could not be looked at"),
        Err(error) => return Err(error),
    }
    Ok(Sealed { snapshot, stored: stored + bytes })
}

/// Our lock stands, and nothing has gone since the writer began, or all that the tree needs is there all the same.
fn rely(writer: &Writer, tree: &TreeId, written: &[PackId]) -> Result<(), Error> {
    let vault = &writer.core.vault;
    writer.core.check()?;
    writer.lock.still_held()?;
    bring_up_to_date(vault)?;
    if vault.index().losses() != writer.losses {
        verify(vault, tree, written)?;
    }
    writer.core.check()
}

fn bring_up_to_date(vault: &Opened) -> Result<(), Error> {
    let _turn = vault.reload_turn();
    vault.reload_index()
}

/// Takes back an index that names packs which are gone, so that nobody relies on it. What stands there whole may stay.
fn withdraw(vault: &Opened, files: &[Id], written: &[PackId]) {
    let undo = || -> Result<(), Error> {
        let present = present(vault)?;
        if written.iter().any(|pack| !present.contains(pack)) {
            for file in files {
                vault.backend.remove(FileKind::Index, &file.to_string())?;
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
    let packs = std::mem::take(&mut *core.finished.lock().unwrap_or_else(PoisonError::into_inner));
    for pack in &packs {
        core.vault.verify_pack(pack)?;
    }
    writer.lock.still_held()?;
    let (files, _) = write_index(&core.vault, packs.clone())?;
    if let Err(error) = writer.lock.still_held() {
        let written: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
        withdraw(&core.vault, &files, &written);
        return Err(error);
    }
    Ok(packs)
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
