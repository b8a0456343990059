//! The live stream: every stored event, sent once its row is durable.

use holdfast_model::{event::Event, id::RunId};
use tokio::sync::broadcast;

/// Events that a slow reader may lag behind before it must read the rows again.
const DEPTH: usize = 4096;

/// Hands out what was just stored. A reader that lags reads the rows it missed and goes on; nothing is lost, because
/// rows come first and the stream second.
#[derive(Debug, Clone)]
pub struct Live(broadcast::Sender<(RunId, Event)>);

impl Default for Live {
    fn default() -> Self {
        Self(broadcast::channel(DEPTH).0)
    }
}

impl Live {
    /// Everything from now on, of every run.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<(RunId, Event)> {
        self.0.subscribe()
    }

    /// Sends what was stored; nobody listening is no error.
    pub(crate) fn send(&self, run: &RunId, event: Event) {
        let _ = self.0.send((run.clone(), event));
    }
}
