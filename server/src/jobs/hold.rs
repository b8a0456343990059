//! A worker's hold on a run while it works: heartbeats, cancellation, and where its events go.

use std::sync::{Arc, OnceLock};

use holdfast_engine::Context;
use holdfast_vault::Cancel;
use tokio::{sync::broadcast::error::RecvError, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::recorder::Recorder;
use crate::store::{Claim, HEARTBEAT, LEASE, Store, StoreError};

/// Why the work was told to end. The first reason stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked for it.
    Cancelled,
    /// The lease is gone: another worker may have the run. Nothing may be published.
    Lost,
    /// This server stops.
    Stopping,
}

/// The hold. Dropped, its heartbeats end.
pub(crate) struct Hold {
    /// What the engine is given.
    pub(crate) ctx: Context,
    why: Arc<OnceLock<Why>>,
    recorder: Option<Recorder>,
    beating: JoinHandle<()>,
    stopping: Option<JoinHandle<()>>,
}

impl Hold {
    /// Begins to hold. With `stop`, the work is told to end when the server stops.
    pub(crate) fn begin(store: &Store, claim: &Claim, stop: Option<CancellationToken>) -> Self {
        let cancel = Cancel::new();
        let why: Arc<OnceLock<Why>> = Arc::default();
        let end = {
            let (cancel, why) = (cancel.clone(), why.clone());
            move |reason: Why| {
                let _ = why.set(reason);
                cancel.cancel();
            }
        };
        if claim.run.cancel_requested {
            end(Why::Cancelled);
        }
        let lost = end.clone();
        let recorder = Recorder::begin(store.clone(), claim.clone(), move || lost(Why::Lost));
        let beating = tokio::spawn(beat(store.clone(), claim.clone(), end.clone()));
        let stopping = stop.map(|stop| {
            tokio::spawn(async move {
                stop.cancelled().await;
                end(Why::Stopping);
            })
        });
        let ctx = Context::new(cancel, recorder.inbox());
        Self { ctx, why, recorder: Some(recorder), beating, stopping }
    }

    /// Why the work was told to end; none while it was not.
    pub(crate) fn why(&self) -> Option<Why> {
        self.why.get().copied()
    }

    /// Stores every event that is still waiting.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        match self.recorder.take() {
            Some(recorder) => recorder.flush().await,
            None => Ok(()),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.beating.abort();
        if let Some(stopping) = &self.stopping {
            stopping.abort();
        }
    }
}

async fn beat(store: Store, claim: Claim, end: impl Fn(Why) + Send) {
    let mut cancels = store.cancels();
    let mut last = tokio::time::Instant::now();
    let mut due = last + HEARTBEAT;
    loop {
        let asked = tokio::select! {
            () = tokio::time::sleep_until(due) => false,
            told = cancels.recv() => match told {
                Ok(run) => run == *claim.id(),
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => return,
            },
        };
        if !asked && tokio::time::Instant::now() < due {
            continue;
        }
        match store.heartbeat(&claim).await {
            Ok(beat) => {
                last = tokio::time::Instant::now();
                if beat.cancel_requested {
                    end(Why::Cancelled);
                }
            }
            Err(StoreError::Fenced) => return end(Why::Lost),
            Err(error) => {
                tracing::warn!(run = %claim.id(), %error, "a heartbeat failed");
                if last.elapsed() > LEASE {
                    return end(Why::Lost);
                }
            }
        }
        due = tokio::time::Instant::now() + HEARTBEAT;
    }
}
