//! Content of many chunks: the chunks are worked on by whoever is free, their ids come back in order.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError};

use super::core::{Core, Cruncher, Tally};
use crate::pack::BlobKind;
use crate::{Error, Id};

/// For the pool.
pub(crate) enum Job {
    /// Work on this.
    Chunk(Chunk),
    /// There will be no more.
    Stop,
}

/// A chunk on its way, and where its id is wanted.
pub(crate) struct Chunk {
    content: Vec<u8>,
    slots: Arc<Slots>,
    at: usize,
    back: Sender<Vec<u8>>,
    tally: Arc<Tally>,
}

struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ids: Vec<Id>,
    missing: usize,
}

impl Chunk {
    pub(crate) fn work(self, core: &Core, cruncher: &mut Cruncher) {
        core.queued.fetch_sub(self.content.len(), Ordering::Relaxed);
        // An error is kept by the core, and whoever waits looks there.
        let outcome = core.store(cruncher, BlobKind::Data, &self.content, &self.tally);
        let mut state = self.slots.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(id) => {
                state.ids[self.at] = id;
                state.missing -= 1;
            }
            Err(error) => core.fail(error),
        }
        drop(state);
        self.slots.changed.notify_all();
        let _ = self.back.try_send(self.content);
    }
}

/// Collects the chunks of one file or stream.
pub(crate) struct Assembly {
    slots: Arc<Slots>,
    tally: Arc<Tally>,
    /// Buffers of chunks that are done.
    spare: Receiver<Vec<u8>>,
    back: Sender<Vec<u8>>,
}

impl Assembly {
    pub(crate) fn new(tally: Arc<Tally>) -> Assembly {
        let (back, spare) = crossbeam_channel::bounded(8);
        let slots = Arc::new(Slots { state: Mutex::default(), changed: Condvar::new() });
        Assembly { slots, tally, spare, back }
    }

    /// The next chunk. It goes to the pool, or is worked on here if the pool has enough to do.
    pub(crate) fn push(&mut self, core: &Core, cruncher: &mut Cruncher, content: &[u8]) -> Result<(), Error> {
        core.check()?;
        let at = {
            let mut state = self.slots.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ids.push(Id::default());
            state.missing += 1;
            state.ids.len() - 1
        };
        let queued = core.queued.fetch_add(content.len(), Ordering::Relaxed);
        if core.jobs.is_full() || queued + content.len() > core.most_queued {
            core.queued.fetch_sub(content.len(), Ordering::Relaxed);
            let id = core.store(cruncher, BlobKind::Data, content, &self.tally)?;
            let mut state = self.slots.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ids[at] = id;
            state.missing -= 1;
            return Ok(());
        }
        let mut buffer = self.spare.try_recv().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(content);
        let chunk = Chunk {
            content: buffer,
            slots: self.slots.clone(),
            at,
            back: self.back.clone(),
            tally: self.tally.clone(),
        };
        match core.jobs.try_send(Job::Chunk(chunk)) {
            Ok(()) => {}
            Err(TrySendError::Full(Job::Chunk(chunk)) | TrySendError::Disconnected(Job::Chunk(chunk))) => {
                chunk.work(core, cruncher);
            }
            Err(_) => return Err(Error::Refused("the writer's queue is gone".into())),
        }
        Ok(())
    }

    /// All ids, once the last chunk is done; until then, this thread works too.
    pub(crate) fn finish(self, core: &Core, cruncher: &mut Cruncher) -> Result<Vec<Id>, Error> {
        loop {
            core.check()?;
            {
                let mut state = self.slots.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.missing == 0 {
                    return Ok(std::mem::take(&mut state.ids));
                }
            }
            match core.waiting.try_recv() {
                Ok(Job::Chunk(chunk)) => chunk.work(core, cruncher),
                // Not for us: somebody in the pool needs it to go.
                Ok(Job::Stop) => {
                    let _ = core.jobs.send(Job::Stop);
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(_) => {
                    let state = self.slots.state.lock().unwrap_or_else(PoisonError::into_inner);
                    if state.missing > 0 {
                        let _ = self.slots.changed.wait_timeout(state, Duration::from_millis(20));
                    }
                }
            }
        }
    }
}
