//! Reading blobs, and files out of the vault.

mod file;
mod windows;

use crate::backend::{BackendError, FileKind};
use crate::index::PackJson;
use crate::pack::{self, Blob, BlobKind};
use crate::vault::Opened;
use crate::{Error, Id, PackId};

pub use file::FileReader;
pub(crate) use windows::Windows;

impl Opened {
    /// Where a blob lies; if it is not known, the index is brought up to date once.
    pub(crate) fn place(&self, kind: BlobKind, id: &Id) -> Result<(PackId, Blob), Error> {
        if let Some(found) = self.index().find(kind, id) {
            return Ok(found);
        }
        self.place_anew(kind, id)
    }

    /// Where a blob lies now, whatever was known.
    pub(crate) fn place_anew(&self, kind: BlobKind, id: &Id) -> Result<(PackId, Blob), Error> {
        {
            let _turn = self.reload_turn();
            self.reload_index()?;
        }
        let missing = || Error::damaged(format!("blob {id} is in no pack that the index knows"));
        self.index().find(kind, id).ok_or_else(missing)
    }

    /// A blob's content, verified.
    pub(crate) fn blob(&self, kind: BlobKind, id: &Id) -> Result<Vec<u8>, Error> {
        let (pack, blob) = self.place(kind, id)?;
        match self.blob_at(&pack, &blob) {
            // A prune elsewhere may have moved it.
            Err(Error::Backend(BackendError::NotFound { .. })) => {
                let (pack, blob) = self.place_anew(kind, id)?;
                self.blob_at(&pack, &blob)
            }
            other => other,
        }
    }

    /// What comes bent is asked for once more: it may have been the way.
    fn blob_at(&self, pack: &PackId, blob: &Blob) -> Result<Vec<u8>, Error> {
        if blob.kind == BlobKind::Tree {
            return self.windows.tree(self, pack, blob);
        }
        match self.alone(pack, blob) {
            Err(Error::Damaged { .. }) => self.alone(pack, blob),
            other => other,
        }
    }

    /// A blob's content, verified, by a request of its own.
    fn alone(&self, pack: &PackId, blob: &Blob) -> Result<Vec<u8>, Error> {
        let (start, length) = (u64::from(blob.offset), u64::from(blob.length));
        let sealed = self.backend.read_range(FileKind::Pack, &pack.to_string(), start, length)?;
        blob.decode(&self.key, sealed)
    }

    /// Reads a pack whole: its name, its header and every blob must be what its entry says.
    pub(crate) fn verify_pack(&self, pack: &PackJson) -> Result<(), Error> {
        let damaged = |what: &str| Error::damaged(format!("pack {}: {what}", pack.id));
        let bytes = self.backend.read(FileKind::Pack, &pack.id.to_string())?;
        if Id::of(&bytes) != pack.id {
            return Err(damaged("its content is not what its name says"));
        }
        for blob in &pack.blobs {
            let from = blob.offset as usize;
            let sealed = bytes.get(from..from.saturating_add(blob.length as usize));
            blob.decode(&self.key, sealed.ok_or_else(|| damaged("a blob lies beyond its end"))?.to_vec())?;
        }
        if pack::parse_tail(&self.key, bytes)? != pack.blobs {
            return Err(damaged("its header and the index list different blobs"));
        }
        Ok(())
    }
}
