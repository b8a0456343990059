//! Reading blobs, and files out of the vault.

mod file;
mod windows;

use crate::backend::FileKind;
use crate::pack::BlobKind;
use crate::vault::Opened;
use crate::{Error, Id};

pub use file::FileReader;
pub(crate) use windows::Windows;

impl Opened {
    /// Where a blob lies; if it is not known, the index is brought up to date once.
    pub(crate) fn place(&self, kind: BlobKind, id: &Id) -> Result<(crate::PackId, crate::pack::Blob), Error> {
        if let Some(found) = self.index().find(kind, id) {
            return Ok(found);
        }
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
        let sealed = match kind {
            BlobKind::Tree => self.windows.read(self, &pack, &blob)?,
            BlobKind::Data => self.backend.read_range(
                FileKind::Pack,
                &pack.to_string(),
                u64::from(blob.offset),
                u64::from(blob.length),
            )?,
        };
        blob.decode(&self.key, sealed)
    }
}
