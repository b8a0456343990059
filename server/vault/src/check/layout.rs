//! What the index files say, read anew: every pack with all its blobs.

use crate::backend::{BackendError, FileKind};
use crate::check::Findings;
use crate::id::IdMap;
use crate::index::{Index, IndexJson};
use crate::pack::{Blob, BlobKind};
use crate::{Error, Id, PackId};

/// The index as it stands in the vault, and the packs that are there.
#[derive(Default)]
pub(crate) struct Layout {
    pub index: Index,
    /// The index files, with the packs that each names.
    pub files: Vec<(Id, Vec<PackId>)>,
    /// Blobs of each pack, sorted by offset.
    pub packs: IdMap<Vec<Blob>>,
    /// Sizes of the pack files that exist.
    pub sizes: IdMap<u64>,
}

impl Layout {
    pub(crate) fn load(findings: &Findings<'_>) -> Result<Layout, Error> {
        // A file that vanishes meanwhile was replaced by another: begin again.
        for _ in 0..8 {
            match Layout::load_once(findings) {
                Err(Error::Backend(BackendError::NotFound { .. })) => {}
                other => return other,
            }
        }
        Layout::load_once(findings)
    }

    fn load_once(findings: &Findings<'_>) -> Result<Layout, Error> {
        let vault = findings.vault;
        let mut layout = Layout::default();
        let names: Vec<Id> =
            vault.backend.list(FileKind::Index)?.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        for (id, file) in vault.load_each::<IndexJson>(FileKind::Index, &names, findings.cancel)? {
            let file = match file {
                Ok(file) => file,
                Err(error) => {
                    findings.damage(error, |problem| problem)?;
                    continue;
                }
            };
            layout.index.add(Some(id), &file.packs)?;
            layout.files.push((id, file.packs.iter().map(|pack| pack.id).collect()));
            for pack in file.packs {
                layout.packs.entry(pack.id).or_default().extend(pack.blobs);
            }
        }
        for blobs in layout.packs.values_mut() {
            blobs.sort_unstable_by_key(|blob| (blob.offset, blob.kind, blob.id));
            blobs.dedup();
        }
        for (name, size) in vault.backend.list(FileKind::Pack)? {
            if let Ok(id) = name.parse() {
                layout.sizes.insert(id, size);
            }
        }
        Ok(layout)
    }

    /// Where a blob lies.
    pub(crate) fn find(&self, kind: BlobKind, id: &Id) -> Option<(PackId, Blob)> {
        self.index.find(kind, id)
    }
}
