//! Where a restore stands, so that a failure can say it and start the application again.

use holdfast_model::{
    event::{Level, StepState},
    name::Name,
};
use holdfast_vault::Cancel;

use super::{RestoreError, RestoreWork, application, destination, step::Step};
use crate::{context::Context, failure::Failure};

pub(super) struct Way<'a> {
    pub ctx: &'a Context,
    pub work: &'a RestoreWork,
    /// Whether the application was stopped and not started again.
    pub stopped: bool,
    /// What of the step that runs has been put back.
    pub put_back: Vec<Name>,
    done: Vec<&'static str>,
}

impl<'a> Way<'a> {
    pub(super) const fn new(ctx: &'a Context, work: &'a RestoreWork) -> Self {
        Self { ctx, work, stopped: false, put_back: Vec::new(), done: Vec::new() }
    }

    pub(super) fn begin(&mut self, step: Step) {
        self.put_back.clear();
        self.ctx.step(step.name(), step.title(), StepState::Started, None, None);
    }

    pub(super) fn skip(&self, step: Step, why: String) {
        self.ctx.step(step.name(), step.title(), StepState::Skipped, None, Some(why));
    }

    /// Tells how a step ended. After one that failed, what was `kept` of the state before is told as well.
    pub(super) async fn end(
        &mut self,
        step: Step,
        outcome: Result<String, Failure>,
        kept: &[String],
    ) -> Result<(), RestoreError> {
        let cancelled = self.ctx.cancel.is_cancelled();
        let message = match outcome {
            Ok(detail) if !cancelled || step == Step::Health => {
                let detail = Some(destination::shown(self.work, &detail)).filter(|detail| !detail.is_empty());
                self.ctx.step(step.name(), step.title(), StepState::Done, None, detail);
                self.done.push(step.title());
                return Ok(());
            }
            Ok(_) => {
                self.put_back.clear();
                self.done.push(step.title());
                "cancelled after this step".to_owned()
            }
            Err(failure) => destination::shown(self.work, &failure.to_string()),
        };
        self.ctx.step(step.name(), step.title(), StepState::Failed, None, Some(message.clone()));
        for kept in kept {
            self.ctx.log(Level::Info, None, format!("kept: {}", destination::shown(self.work, kept)));
        }
        let mut state = self.state();
        if self.stopped {
            state.push_str(&self.start_again().await);
        } else if step == Step::Start {
            state.push_str("; the application may not be running: start it by hand, or run the restore again");
        }
        state.push_str(". It can be run again");
        if cancelled {
            return Err(RestoreError::Cancelled { state });
        }
        Err(RestoreError::Step { step: step.name().to_owned(), message, state })
    }

    fn state(&self) -> String {
        if destination::abandon(self.work) {
            return "Nothing was left of what had been written".to_owned();
        }
        let steps = self.done.iter().map(|title| title.to_lowercase());
        let done: Vec<String> = steps.chain(self.put_back.iter().map(|name| format!("`{name}` put back"))).collect();
        match done.as_slice() {
            [] => "Nothing was put back".to_owned(),
            done => format!("Done so far: {}", done.join(", ")),
        }
    }

    async fn start_again(&self) -> String {
        let Some(command) = &self.work.definition.restore.start else {
            return "; the application was stopped and the definition has no `restore.start`: start it by hand"
                .to_owned();
        };
        // The run may be cancelled; the application is started all the same.
        match application::run(command, &self.work.scratch, &Cancel::new()).await {
            Ok(_) => "; the application was started again".to_owned(),
            Err(failure) => format!("; the application was stopped and could not be started again ({failure})"),
        }
    }
}
