//! What every piece of work is given: a way to be stopped, and a place to tell how it goes.

use std::{sync::Arc, time::Duration};

use holdfast_model::{
    drill::Check,
    event::{EventBody, Level, StepState},
};
use holdfast_vault::Cancel;

/// Takes the events of a run. Cheap, and never blocks: it is called from the middle of the work.
pub trait Events: Send + Sync {
    /// Takes one event.
    fn emit(&self, body: EventBody);
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
