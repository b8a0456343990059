//! Trees are small and lie side by side in the order in which they were written: one read brings many of them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

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
pub(crate) struct Windows {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    kept: VecDeque<Arc<Window>>,
    /// Being read just now: whoever wants something of these waits, rather than reading it too.
    coming: Vec<Span>,
}

/// A piece of a pack.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Span {
    pack: PackId,
    start: u64,
    end: u64,
}

impl Span {
    fn holds(&self, pack: &PackId, blob: &Blob) -> bool {
        self.pack == *pack && self.start <= u64::from(blob.offset) && blob.end() <= self.end
    }
}

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

/// Takes a span off the list again, however its reading ends.
struct Coming<'a>(&'a Windows, Span);

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.state().coming.retain(|span| *span != self.1);
        self.0.arrived.notify_all();
    }
}

impl Windows {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tree's content, verified. What comes bent is asked for once more, alone: it may have been the way, and what is
    /// kept may be older than what lies there by now.
    pub(crate) fn tree(&self, vault: &Opened, pack: &PackId, blob: &Blob) -> Result<Vec<u8>, Error> {
        match blob.decode(&vault.key, self.sealed(vault, pack, blob)?) {
            Err(Error::Damaged { .. }) => {
                self.state().kept.retain(|window| window.pack != *pack);
                vault.alone(pack, blob)
            }
            other => other,
        }
    }

    /// The sealed bytes of a blob.
    fn sealed(&self, vault: &Opened, pack: &PackId, blob: &Blob) -> Result<Vec<u8>, Error> {
        let mut state = self.state();
        loop {
            if let Some(bytes) = state.kept.iter().find_map(|window| window.get(pack, blob)) {
                return Ok(bytes);
            }
            if !state.coming.iter().any(|span| span.holds(pack, blob)) {
                break;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // Children are written before their parents, and siblings in either order: look both ways.
        let start = u64::from(blob.offset).saturating_sub(WINDOW / 2);
        let end = (start + WINDOW).min(vault.index().end(pack)).max(blob.end());
        let span = Span { pack: *pack, start, end };
        state.coming.push(span);
        drop(state);
        let coming = Coming(self, span);
        let bytes = vault.backend.read_range(FileKind::Pack, &pack.to_string(), start, end - start)?;
        let window = Arc::new(Window { pack: *pack, start, bytes });
        let sealed = window.get(pack, blob).ok_or_else(|| Error::damaged(format!("pack {pack} is too short")))?;
        {
            let mut state = self.state();
            state.kept.push_front(window);
            state.kept.truncate(KEPT);
        }
        drop(coming);
        Ok(sealed)
    }
}
