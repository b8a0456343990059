//! Takes a run's events from the engine without ever blocking it, and stores them in order, a batch at a time.
//!
//! Steps, checks, log lines and states are all kept. Of the Progress events of one step that wait at the same time
//! only the newest is: nobody could see the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use holdfast_engine::Events;
use holdfast_model::event::EventBody;
use time::OffsetDateTime;
use tokio::{sync::Notify, task::JoinHandle};

use crate::store::{Claim, Store, StoreError};

/// Between two batches: at most so often are a run's rows written.
const PAUSE: Duration = Duration::from_millis(100);
/// Rows of one transaction.
const BATCH: usize = 200;
/// How often a batch is tried again when the database fails.
const TRIES: u32 = 5;

#[derive(Default)]
struct Waiting {
    events: VecDeque<(OffsetDateTime, EventBody)>,
    closed: bool,
}

/// The door for the engine.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    came: Notify,
}

impl Inbox {
    fn with<T>(&self, work: impl FnOnce(&mut Waiting) -> T) -> T {
        work(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self) -> (Vec<(OffsetDateTime, EventBody)>, bool) {
        self.with(|waiting| {
            let many = waiting.events.len().min(BATCH);
            let batch = waiting.events.drain(..many).collect();
            (batch, waiting.closed && waiting.events.is_empty())
        })
    }
}

impl Events for Inbox {
    fn emit(&self, body: EventBody) {
        let at = OffsetDateTime::now_utc();
        self.with(|waiting| {
            if let EventBody::Progress { step, component, .. } = &body {
                let same = |other: &EventBody| {
                    matches!(other, EventBody::Progress { step: s, component: c, .. } if s == step && c == component)
                };
                if let Some(place) = waiting.events.iter().position(|(_, other)| same(other)) {
                    waiting.events.remove(place);
                }
            }
            waiting.events.push_back((at, body));
        });
        self.came.notify_one();
    }
}

/// Stores what comes in, until it is closed.
pub(crate) struct Recorder {
    inbox: Arc<Inbox>,
    writing: JoinHandle<Result<(), StoreError>>,
}

impl Recorder {
    /// Begins to store events of a run that the claim holds. `lost` is called when the claim no longer holds.
    pub(crate) fn begin(store: Store, claim: Claim, lost: impl Fn() + Send + 'static) -> Self {
        let inbox = Arc::new(Inbox::default());
        let source = inbox.clone();
        let writing = tokio::spawn(async move {
            loop {
                let came = source.came.notified();
                let (batch, last) = source.take();
                if batch.is_empty() && !last {
                    came.await;
                    continue;
                }
                if let Err(error) = append(&store, &claim, batch).await {
                    lost();
                    return Err(error);
                }
                if last {
                    return Ok(());
                }
                if !source.with(|waiting| waiting.closed) {
                    tokio::time::sleep(PAUSE).await;
                }
            }
        });
        Self { inbox, writing }
    }

    /// Where events go.
    pub(crate) fn inbox(&self) -> Arc<Inbox> {
        self.inbox.clone()
    }

    /// Stores all that is still waiting.
    pub(crate) async fn flush(self) -> Result<(), StoreError> {
        self.inbox.with(|waiting| waiting.closed = true);
        self.inbox.came.notify_one();
        self.writing.await.unwrap_or(Err(StoreError::Fenced))
    }
}

async fn append(store: &Store, claim: &Claim, batch: Vec<(OffsetDateTime, EventBody)>) -> Result<(), StoreError> {
    let mut tried = 0;
    loop {
        match store.append(claim, batch.clone()).await {
            Err(StoreError::Database(error)) if tried < TRIES => {
                tracing::warn!(run = %claim.id(), %error, "events could not be stored; trying again");
                tried += 1;
                tokio::time::sleep(Duration::from_millis(200 * u64::from(tried))).await;
            }
            done => return done,
        }
    }
}
