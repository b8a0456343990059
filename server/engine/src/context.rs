//! What every piece of work is given: a way to be stopped, and a place to tell how it goes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use holdfast_model::{
    drill::Check,
    event::{EventBody, Level, StepState},
};
use holdfast_vault::{Cancel, CancelOnDrop, Meter};

/// Takes the events of a run. Cheap, and never blocks: it is called from the middle of the work.
pub trait Events: Send + Sync {
    /// Takes one event.
    fn emit(&self, body: EventBody);
}

/// Hears events and keeps none.
struct Nobody;

impl Events for Nobody {
    fn emit(&self, _body: EventBody) {}
}

/// What every piece of work is given.
#[derive(Clone)]
pub struct Context {
    /// Thrown when the work shall end: nothing is published then, and leftovers are removed.
    pub cancel: Cancel,
    /// Where it tells how it goes.
    pub events: Arc<dyn Events>,
}

impl Context {
    /// Work that `cancel` stops and that tells `events`.
    pub fn new(cancel: Cancel, events: Arc<dyn Events>) -> Self {
        Self { cancel, events }
    }

    /// Work that is no run: it tells nobody, and ends with the second value, which whoever waits for it holds.
    #[must_use]
    pub fn untold() -> (Self, CancelOnDrop) {
        let cancel = Cancel::new();
        let end = cancel.on_drop();
        (Self::new(cancel, Arc::new(Nobody)), end)
    }

    /// Tells how a step stands: its stable name, a title for people, the component it belongs to, a size, count or reason.
    pub fn step(&self, step: &str, title: &str, state: StepState, component: Option<&str>, detail: Option<String>) {
        self.events.emit(EventBody::Step {
            step: step.to_owned(),
            title: title.to_owned(),
            state,
            component: component.map(str::to_owned),
            detail,
        });
    }

    /// A line for the log of `component`, or of the run itself.
    pub fn log(&self, level: Level, component: Option<&str>, message: impl Into<String>) {
        self.events.emit(EventBody::Log { level, component: component.map(str::to_owned), message: message.into() });
    }

    /// A comparison that a drill made.
    pub fn check(&self, check: Check) {
        self.events.emit(EventBody::Check { check });
    }

    /// Resolves once the work is cancelled, at most 50 ms later; never otherwise. For `select!`.
    pub async fn cancelled(&self) {
        while !self.cancel.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Context {
    /// The same work under a switch of its own, which is thrown with the outer one as long as the second value lives.
    pub(crate) fn inner(&self) -> (Self, Ended) {
        let inner = Self { cancel: Cancel::new(), events: self.events.clone() };
        let (outer, switch) = (self.clone(), inner.cancel.clone());
        let task = tokio::spawn(async move {
            outer.cancelled().await;
            switch.cancel();
        });
        (inner, Ended(task))
    }
}

/// A task that ends with this value.
pub(crate) struct Ended(tokio::task::JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells how far a step is, five times a second where something has moved, as long as the value lives.
pub(crate) fn now_and_then(
    ctx: &Context,
    step: &str,
    component: Option<&str>,
    meter: Meter,
    tables: Arc<AtomicU64>,
    total: Option<u64>,
) -> Ended {
    let (events, step, component) = (ctx.events.clone(), step.to_owned(), component.map(str::to_owned));
    Ended(tokio::spawn(async move {
        let mut last = (0, 0, 0, 0);
        let mut clock = tokio::time::interval(Duration::from_millis(200));
        loop {
            clock.tick().await;
            let now = (meter.files(), meter.bytes(), meter.stored(), tables.load(Ordering::Relaxed));
            if now == last {
                continue;
            }
            last = now;
            let current = Some(meter.current()).filter(|current| !current.is_empty());
            events.emit(EventBody::Progress {
                step: step.clone(),
                component: component.clone(),
                files: now.0,
                bytes: now.1,
                total,
                stored: now.2,
                tables: now.3,
                current,
            });
        }
    }))
}

/// Milliseconds since `begun`.
pub(crate) fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
