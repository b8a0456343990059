//! How a run stands, from its events. One pure reducer: the server draws its result, the browser goes on from it.

use std::collections::BTreeMap;

use holdfast_model::{
    drill::Check,
    event::{Event, EventBody, Level, StepState},
    state::{RunKind, RunState},
};
use time::OffsetDateTime;

use crate::text;

/// How a step stands, seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Its turn has not come.
    Pending,
    /// It is being worked on.
    Running,
    /// It ended well.
    Done,
    /// It ended badly.
    Failed,
    /// It was not needed, was switched off, or was stopped.
    Skipped,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Stable within the run.
    pub step: String,
    /// For people.
    pub title: String,
    /// The component that it belongs to.
    pub component: Option<String>,
    /// How it stands.
    pub mark: Mark,
    /// A size, a count, or the reason of a failure.
    pub detail: Option<String>,
    /// When it began.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// How far it is.
    pub meter: Option<Meter>,
}

/// How far a step is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// When this was so.
    pub at: OffsetDateTime,
    /// Files (or objects) done.
    pub files: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Bytes expected, where known.
    pub total: Option<u64>,
    /// Bytes that the vault had to store.
    pub stored: u64,
    /// Tables done.
    pub tables: u64,
    /// What is being worked on.
    pub current: Option<String>,
    /// Bytes per second; none before there is anything to measure.
    pub speed: Option<u64>,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub at: OffsetDateTime,
    /// How loud.
    pub level: Level,
    /// The component, or `checkpoint-agent`.
    pub component: String,
    /// The line.
    pub message: String,
}

/// A run as its events tell it.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// How far it is.
    pub state: RunState,
    /// The reason of its state, for people.
    pub message: Option<String>,
    /// In the order in which they began; those still to come stand last.
    pub steps: Vec<Step>,
    /// Checks of a drill, in the order in which they were made.
    pub checks: Vec<Check>,
    /// The log, oldest first.
    pub log: Vec<Line>,
    /// When it was taken up.
    pub started_at: Option<OffsetDateTime>,
    /// The newest event's time.
    pub latest_at: Option<OffsetDateTime>,
    /// The newest event's number; events up to it are not counted twice.
    pub last: u64,
}

/// The steps that are known before a run begins.
const fn planned(kind: RunKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        RunKind::Create => {
            &[("prepare", "Prepare components"), ("hold", "Hold all components at one moment"), ("seal", "Seal")]
        }
        RunKind::Restore => &[
            ("restore:validate", "Validate"),
            ("restore:safety", "Safety checkpoint"),
            ("restore:stop", "Stop the application"),
            ("restore:files", "Restore files"),
            ("restore:databases", "Restore databases"),
            ("restore:config", "Restore configuration"),
            ("restore:start", "Start the application"),
            ("restore:health", "Health checks"),
            ("restore:complete", "Complete"),
        ],
        RunKind::Import => &[("import", "Take and check the files"), ("seal", "Seal")],
        RunKind::Drill | RunKind::Verify | RunKind::Prune | RunKind::Check | RunKind::Repair | RunKind::Copy => &[],
    }
}

/// How a run of this kind stands after these events, in their order. Events that come twice count once.
pub fn run_state(kind: RunKind, events: &[Event]) -> Progress {
    let mut progress = Progress {
        state: RunState::Queued,
        message: None,
        steps: planned(kind).iter().map(|(step, title)| Step::pending(step, title)).collect(),
        checks: Vec::new(),
        log: Vec::new(),
        started_at: None,
        latest_at: None,
        last: 0,
    };
    for event in events {
        progress.apply(event);
    }
    progress
}

impl Step {
    fn pending(step: &str, title: &str) -> Self {
        Self {
            step: step.to_owned(),
            title: title.to_owned(),
            component: None,
            mark: Mark::Pending,
            detail: None,
            started_at: None,
            ended_at: None,
            meter: None,
        }
    }

    /// How long it took, or has taken up to `now`.
    pub fn elapsed(&self, now: Option<OffsetDateTime>) -> Option<u64> {
        Some(text::millis(self.started_at?, self.ended_at.or(now)?))
    }
}

impl Meter {
    /// Milliseconds that are left at the measured speed, where the total is known.
    pub fn left(&self) -> Option<u64> {
        let rest = self.total?.checked_sub(self.bytes)?;
        rest.checked_mul(1_000)?.checked_div(self.speed?)
    }
}

impl Progress {
    /// Takes in one event; an event that is already counted changes nothing.
    pub fn apply(&mut self, event: &Event) {
        if event.sequence <= self.last {
            return;
        }
        self.last = event.sequence;
        self.latest_at = Some(event.at);
        match &event.body {
            EventBody::State { state, message } => self.enter(*state, message.as_ref(), event.at),
            EventBody::Step { step, title, state, component, detail } => {
                let line = self.step(step);
                line.title.clone_from(title);
                line.component.clone_from(component);
                if detail.is_some() || *state != StepState::Done {
                    line.detail.clone_from(detail);
                }
                line.started_at = line.started_at.or(Some(event.at));
                line.ended_at = (*state != StepState::Started).then_some(event.at);
                line.mark = match state {
                    StepState::Started => Mark::Running,
                    StepState::Done => Mark::Done,
                    StepState::Failed => Mark::Failed,
                    StepState::Skipped => Mark::Skipped,
                };
            }
            EventBody::Progress { step, component, files, bytes, total, stored, tables, current } => {
                let line = self.step(step);
                if line.mark == Mark::Pending {
                    line.mark = Mark::Running;
                }
                if line.component.is_none() {
                    line.component.clone_from(component);
                }
                let began = *line.started_at.get_or_insert(event.at);
                let speed = bytes.checked_mul(1_000).and_then(|b| b.checked_div(text::millis(began, event.at)));
                line.meter = Some(Meter {
                    at: event.at,
                    files: *files,
                    bytes: *bytes,
                    total: *total,
                    stored: *stored,
                    tables: *tables,
                    current: current.clone(),
                    speed,
                });
            }
            EventBody::Check { check } => self.checks.push(check.clone()),
            EventBody::Log { level, component, message } => self.log.push(Line {
                at: event.at,
                level: *level,
                component: component.clone().unwrap_or_else(|| "checkpoint-agent".to_owned()),
                message: message.clone(),
            }),
        }
    }

    /// The line of a step; a new one stands before those that are still to come.
    fn step(&mut self, step: &str) -> &mut Step {
        let place = self.steps.iter().position(|s| s.step == step).unwrap_or_else(|| {
            let place = self.steps.iter().rposition(|s| s.mark != Mark::Pending).map_or(0, |at| at + 1);
            self.steps.insert(place, Step::pending(step, step));
            place
        });
        &mut self.steps[place]
    }

    fn enter(&mut self, state: RunState, message: Option<&String>, at: OffsetDateTime) {
        self.state = state;
        self.message = message.cloned();
        if state == RunState::Running {
            self.started_at = self.started_at.or(Some(at));
        }
        if !state.is_final() {
            return;
        }
        let well = matches!(state, RunState::Succeeded | RunState::Warning);
        if well {
            self.steps.retain(|step| step.mark != Mark::Pending);
        }
        for step in self.steps.iter_mut().filter(|step| step.mark == Mark::Running) {
            step.ended_at = Some(at);
            step.mark = match state {
                RunState::Failed => Mark::Failed,
                RunState::Cancelled => Mark::Skipped,
                _ => Mark::Done,
            };
        }
    }

    /// Checks that were not equal.
    pub fn failed_checks(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| !check.passed)
    }

    /// Per component: checks made, checks passed.
    pub fn tally(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut tally: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for check in &self.checks {
            let (made, passed) = tally.entry(check.component.as_str()).or_default();
            *made += 1;
            *passed += usize::from(check.passed);
        }
        tally
    }

    /// One sentence for those who listen: it changes with steps and states, not with every byte.
    pub fn spoken(&self) -> String {
        let done = self.steps.iter().filter(|s| matches!(s.mark, Mark::Done | Mark::Skipped)).count();
        let now: Vec<&str> = self.steps.iter().filter(|s| s.mark == Mark::Running).map(|s| s.title.as_str()).collect();
        match self.state {
            RunState::Queued => "Waiting for a worker.".to_owned(),
            RunState::Running if now.is_empty() => format!("Running, {done} steps done."),
            RunState::Running => format!("{}; {done} steps done.", now.join(", ")),
            state => match &self.message {
                Some(message) => format!("The run has ended: {state}. {message}"),
                None => format!("The run has ended: {state}."),
            },
        }
    }
}

#[cfg(test)]
mod tests;
