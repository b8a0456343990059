//! What every piece of work is given: a switch that stops it, and a place to tell what happens.

use std::{sync::Arc, time::Duration};

use holdfast_model::event::{EventBody, Level, StepState};
use holdfast_vault::Cancel;

/// Where a run's events go.
pub trait Events: Send + Sync {
    /// Takes one event; cheap, and never blocks.
    fn emit(&self, body: EventBody);
}

/// The switch and the listener of one run. Clones share both.
#[derive(Clone)]
pub struct Context {
    /// Stops the work between two small steps.
    pub cancel: Cancel,
    /// Who is told.
    pub events: Arc<dyn Events>,
}

impl Context {
    /// Tells how a step stands.
    pub fn step(&self, step: &str, title: &str, state: StepState, component: Option<&str>, detail: Option<String>) {
        self.events.emit(EventBody::Step {
            step: step.into(),
            title: title.into(),
            state,
            component: component.map(Into::into),
            detail,
        });
    }

    /// Writes a line into the log of a component, or of the run where there is none.
    pub fn log(&self, level: Level, component: Option<&str>, message: impl Into<String>) {
        self.events.emit(EventBody::Log { level, component: component.map(Into::into), message: message.into() });
    }

    /// Comes back once the work was cancelled, at most 50 ms later.
    pub async fn cancelled(&self) {
        while !self.cancel.is_cancelled() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
