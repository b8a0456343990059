//! The seal: what must be durable, and in which order, before a snapshot may be seen.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::{Sealed, Writer};
use crate::backend::FileKind;
use crate::id::IdSet;
use crate::index::{IndexJson, PackJson};
use crate::node::NodeKind;
use crate::pack::BlobKind;
use crate::snapshot::SnapshotJson;
use crate::vault::Opened;
use crate::{Error, PackId, SnapshotDraft, TreeId};

/// Blobs in one index file; restic's bound too.
const INDEX_BLOBS: usize = 50_000;

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
    // 2. Index.
    let written: Vec<PackId> = packs.iter().map(|pack| pack.id).collect();
    stored += write_index(&core.vault, packs)?;
    // 3. What we rely on.
    core.check()?;
    writer.lock.still_held()?;
    {
        let _turn = core.vault.reload_turn();
        core.vault.reload_index()?;
    }
    if core.vault.index().losses() != writer.losses {
        verify(&core.vault, &draft.tree, &written)?;
    }
    // 4. The snapshot.
    core.check()?;
    let (snapshot, bytes) = core.vault.save(FileKind::Snapshot, &SnapshotJson::of(draft))?;
    Ok(Sealed { snapshot, stored: stored + bytes })
}

fn write_index(vault: &Opened, packs: Vec<PackJson>) -> Result<u64, Error> {
    let mut stored = 0;
    let mut packs = packs.into_iter().peekable();
    while packs.peek().is_some() {
        let mut file = IndexJson::default();
        let mut blobs = 0;
        while let Some(pack) = packs.next_if(|pack| blobs == 0 || blobs + pack.blobs.len() <= INDEX_BLOBS) {
            blobs += pack.blobs.len();
            file.packs.push(pack);
        }
        let (id, bytes) = vault.save(FileKind::Index, &file)?;
        stored += bytes;
        vault.index_mut().add(Some(id), &file.packs)?;
    }
    Ok(stored)
}

/// Index files have gone since the writer began: is everything that the tree needs still in one?
fn verify(vault: &Opened, root: &TreeId, written: &[PackId]) -> Result<(), Error> {
    let gone = |what: String| Error::VaultChanged { why: format!("{what} is gone") };
    let names = vault.backend.list(FileKind::Pack)?;
    let present: IdSet = names.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    if let Some(pack) = written.iter().find(|pack| !present.contains(*pack)) {
        return Err(gone(format!("pack {pack}")));
    }
    let mut seen = IdSet::default();
    let mut open = vec![*root];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        if !vault.index().has(BlobKind::Tree, &id) {
            return Err(gone(format!("tree {id}")));
        }
        for node in vault.tree(&id)?.nodes {
            let known = |blob: &crate::Id| {
                vault.index().find(BlobKind::Data, blob).is_some_and(|(pack, _)| present.contains(&pack))
            };
            if let Some(blob) = node.content.iter().find(|blob| !known(blob)) {
                return Err(gone(format!("blob {blob}")));
            }
            if node.kind == NodeKind::Dir {
                open.extend(node.subtree);
            }
        }
    }
    Ok(())
}
