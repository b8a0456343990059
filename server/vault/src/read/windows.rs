//! Trees are small and lie side by side in the order in which they were written: one read brings many of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::FileKind;
use crate::pack::Blob;
use crate::vault::Opened;
use crate::{Error, PackId};

/// Bytes of one read.
const WINDOW: u64 = 512 << 10;
/// How many are kept.
const KEPT: usize = 16;

/// The pieces of packs that were read last, still sealed.
#[derive(Default)]
pub(crate) struct Windows(Mutex<VecDeque<Arc<Window>>>);

struct Window {
    pack: PackId,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    fn get(&self, pack: &PackId, blob: &Blob) -> Option<Vec<u8>> {
        let from = usize::try_from(u64::from(blob.offset).checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(from..from.checked_add(blob.length as usize)?)?;
        (self.pack == *pack).then(|| bytes.to_vec())
    }
}

impl Windows {
    /// The sealed bytes of a blob.
    pub(crate) fn read(&self, vault: &Opened, pack: &PackId, blob: &Blob) -> Result<Vec<u8>, Error> {
        let kept = {
            let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            windows.iter().find_map(|window| window.get(pack, blob))
        };
        if let Some(bytes) = kept {
            return Ok(bytes);
        }
        // Children are written before their parents, and siblings in either order: look both ways.
        let start = u64::from(blob.offset).saturating_sub(WINDOW / 2);
        let end = (start + WINDOW).min(vault.index().end(pack)).max(blob.end());
        let bytes = vault.backend.read_range(FileKind::Pack, &pack.to_string(), start, end - start)?;
        let window = Arc::new(Window { pack: *pack, start, bytes });
        let sealed = window.get(pack, blob).ok_or_else(|| Error::damaged(format!("pack {pack} is too short")))?;
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        windows.push_front(window);
        windows.truncate(KEPT);
        Ok(sealed)
    }
}
