//! The steps of a restore, in their order: the same list is planned and carried out.

use holdfast_model::{plan::PlanStep, state::Kind};

use super::{RestoreWork, check, destination::Destination};

/// One step after everything has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Stop,
    Files,
    Databases,
    Config,
    Place,
    Start,
    Health,
}

impl Step {
    /// Those of a restore to that destination, needed or not.
    pub(super) fn of(destination: &Destination) -> Vec<Self> {
        let mut steps = vec![Self::Stop, Self::Files, Self::Databases, Self::Config];
        if matches!(destination, Destination::Folder(_)) {
            steps.push(Self::Place);
        }
        steps.extend([Self::Start, Self::Health]);
        steps
    }

    /// As in the run's events.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stop => "restore:stop",
            Self::Files => "restore:files",
            Self::Databases => "restore:databases",
            Self::Config => "restore:config",
            Self::Place => "restore:place",
            Self::Start => "restore:start",
            Self::Health => "restore:health",
        }
    }

    /// For people.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Stop => "Application stopped",
            Self::Files => "Files put back",
            Self::Databases => "Databases put back",
            Self::Config => "Configuration put back",
            Self::Place => "Folder put in place",
            Self::Start => "Application started",
            Self::Health => "Health checks passed",
        }
    }

    /// Whether components of this kind are put back in it.
    pub(super) const fn takes(self, kind: Kind) -> bool {
        match kind {
            Kind::Files | Kind::Git => matches!(self, Self::Files),
            Kind::Config => matches!(self, Self::Config),
            _ => matches!(self, Self::Databases),
        }
    }

    /// Why it is not needed; none where it runs.
    pub(super) fn skipped(self, work: &RestoreWork, kinds: &[Kind]) -> Option<String> {
        let plan = &work.definition.restore;
        let application = work.destination.is_application();
        let why = match self {
            Self::Stop | Self::Start | Self::Health if !application => "nothing of the application is touched",
            Self::Stop | Self::Start if !work.tables.is_empty() => "tables are put back while it runs",
            Self::Stop => match &plan.stop {
                Some(command) if command.first().is_some_and(|program| check::comes_back(work, program)) => {
                    "its program is not there: it comes back with this restore, and nothing runs by it"
                }
                Some(_) => return None,
                None => "the definition has no `restore.stop`",
            },
            Self::Start if plan.start.is_none() => "the definition has no `restore.start`",
            Self::Health if plan.after.is_empty() && plan.health.is_empty() => "the definition has none",
            Self::Files | Self::Databases | Self::Config if !kinds.iter().any(|kind| self.takes(*kind)) => {
                "none was chosen"
            }
            _ => return None,
        };
        Some(why.to_owned())
    }
}

/// Every step of a restore for a plan, from the check to the end.
pub(super) fn planned(work: &RestoreWork, kinds: &[Kind]) -> Vec<PlanStep> {
    let step = |step: &str, title: &str, skipped| PlanStep { step: step.to_owned(), title: title.to_owned(), skipped };
    let mut steps = vec![step(super::VALIDATE.0, super::VALIDATE.1, None)];
    let own = Step::of(&work.destination).into_iter();
    steps.extend(own.map(|one| step(one.name(), one.title(), one.skipped(work, kinds))));
    steps.push(step(super::COMPLETE.0, super::COMPLETE.1, None));
    steps
}
