//! Restore: everything is checked before anything is touched, and nothing is destroyed that no copy holds.

use std::{collections::BTreeSet, path::PathBuf};

use holdfast_model::{
    definition::Definition, event::StepState, id::RunId, manifest::Manifest, name::Name, size, state::Kind,
};
use holdfast_vault::{Cancel, TreeId, Vault};

use crate::{context::Context, failure::Failure, tools::Tools};

mod application;
mod check;
mod difference;
mod item;
pub(crate) use check::can_be_run;
use item::Item;

/// What to put back.
#[derive(Clone)]
pub struct RestoreWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// The environment as it is applied now: where things go.
    pub definition: Definition,
    /// The chosen components.
    pub components: Vec<Name>,
    /// This run; its id is in the names of everything that is kept.
    pub run: RunId,
    /// Never touched: Holdfast's data directory.
    pub forbidden: Vec<PathBuf>,
    /// Whether a safety checkpoint of the present state has been sealed.
    pub safety_sealed: bool,
    /// A folder of this run for temporary files; made and removed by the caller.
    pub scratch: PathBuf,
    /// Commands that may be run.
    pub allow: Allow,
}

/// Commands of a definition that the host's owner permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// Programs by absolute path or by name; `*` permits all.
    pub commands: BTreeSet<String>,
}

impl Allow {
    /// Every command: the host's own credential has applied the definition.
    #[must_use]
    pub fn all() -> Self {
        Self { commands: BTreeSet::from(["*".to_owned()]) }
    }

    /// Whether this argument list may be run.
    #[must_use]
    pub fn permits(&self, command: &[String]) -> bool {
        command.first().is_some_and(|program| self.commands.contains("*") || self.commands.contains(program))
    }
}

/// What was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Files made or found equal.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What was kept of the state before, for people: `database shop_before_run_… (170 MB)`.
    pub kept: Vec<String>,
    /// Where the application answers, if the definition says so.
    pub address: Option<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// Why a restore did not happen, or stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestoreError {
    /// Somebody said so; the message says what state the application is in.
    #[error("cancelled: {state}")]
    Cancelled {
        /// What was done and what was not.
        state: String,
    },
    /// Nothing was touched: each line names a place, what is wrong and the mend.
    #[error("the restore was refused, nothing was touched: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// A step failed; it can be run again.
    #[error("step `{step}` failed: {message}. {state}")]
    Step {
        /// `restore:databases`, …
        step: String,
        /// What happened.
        message: String,
        /// What state the application is in.
        state: String,
    },
}

/// A restore of which everything has been checked; nothing has been touched yet.
pub struct Validated {
    work: RestoreWork,
    items: Vec<Item>,
    git: PathBuf,
}

/// Checks everything that can be checked without touching anything.
///
/// # Errors
/// [`RestoreError::Refused`] with everything that was found.
pub async fn validate(work: RestoreWork, tools: &Tools, ctx: &Context) -> Result<Validated, RestoreError> {
    const STEP: (&str, &str) = ("restore:validate", "Everything checked");
    ctx.step(STEP.0, STEP.1, StepState::Started, None, None);
    let outcome = check::everything(&work, tools, ctx).await;
    if ctx.cancel.is_cancelled() {
        ctx.step(STEP.0, STEP.1, StepState::Failed, None, Some("cancelled".to_owned()));
        return Err(RestoreError::Cancelled { state: "nothing was touched".to_owned() });
    }
    match outcome {
        Ok(items) => {
            ctx.step(STEP.0, STEP.1, StepState::Done, None, None);
            Ok(Validated { work, items, git: tools.git().to_path_buf() })
        }
        Err(faults) => {
            ctx.step(STEP.0, STEP.1, StepState::Failed, None, faults.first().cloned());
            Err(RestoreError::Refused(faults))
        }
    }
}

impl Validated {
    /// What of the present state no copy would hold without a safety checkpoint, for people.
    #[must_use]
    pub fn would_lose(&self) -> Vec<String> {
        self.items.iter().flat_map(Item::would_lose).collect()
    }

    /// Puts everything back.
    ///
    /// # Errors
    /// [`RestoreError::Step`] names the step and says what state the application is in.
    pub async fn carry_out(self, ctx: &Context) -> Result<RestoreReport, RestoreError> {
        let Self { work, items, git } = self;
        let definition = &work.definition;
        let mut way = Way { ctx, work: &work, stopped: false, done: Vec::new() };
        let mut report = RestoreReport { address: address(definition), ..RestoreReport::default() };

        way.begin("restore:stop", "Application stopped");
        match &definition.restore.stop {
            Some(command) if command.first().is_some_and(|program| check::comes_back(&work, program)) => {
                let why = "its program is not there: it comes back with this restore, and nothing runs by it";
                way.skip("restore:stop", "Application stopped", why);
            }
            Some(command) => {
                way.stopped = true;
                let outcome = application::run(command, &work.scratch, &ctx.cancel).await;
                way.end("restore:stop", "Application stopped", outcome).await?;
            }
            None => way.skip("restore:stop", "Application stopped", "the definition has no `restore.stop`"),
        }

        let (mut files, mut databases, mut settings) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            match item.kind() {
                Kind::Files | Kind::Git => files.push(item),
                Kind::Config => settings.push(item),
                _ => databases.push(item),
            }
        }
        for (step, title, items) in [
            ("restore:files", "Files put back", files),
            ("restore:databases", "Databases put back", databases),
            ("restore:config", "Configuration put back", settings),
        ] {
            if items.is_empty() {
                way.skip(step, title, "none was chosen");
                continue;
            }
            way.begin(step, title);
            let outcome = put_all_back(items, &work, &git, step, ctx, &mut report).await;
            way.end(step, title, outcome).await?;
        }

        way.begin("restore:start", "Application started");
        match &definition.restore.start {
            Some(command) => {
                let outcome = application::run(command, &work.scratch, &ctx.cancel).await;
                way.stopped = false;
                way.end("restore:start", "Application started", outcome).await?;
            }
            None => way.skip("restore:start", "Application started", "the definition has no `restore.start`"),
        }
        way.begin("restore:health", "Health checks passed");
        let plan = &definition.restore;
        if plan.after.is_empty() && plan.health.is_empty() {
            way.skip("restore:health", "Health checks passed", "the definition has none");
        } else {
            let outcome = application::look(definition, &work.scratch, ctx).await;
            way.end("restore:health", "Health checks passed", outcome).await?;
        }
        report.next = next(definition, &report);
        ctx.step("restore:complete", "Restore complete", StepState::Done, None, report.address.clone());
        Ok(report)
    }
}

async fn put_all_back(
    items: Vec<Item>,
    work: &RestoreWork,
    git: &std::path::Path,
    step: &str,
    ctx: &Context,
    report: &mut RestoreReport,
) -> Result<String, Failure> {
    let (files, bytes) = (report.files, report.bytes);
    for item in items {
        let name = item.name().to_string();
        item.put_back(work, git, step, ctx, report).await.map_err(|failure| match failure {
            Failure::Said(message) => Failure::Said(format!("component `{name}`: {message}")),
            other => other,
        })?;
    }
    let written = size::display(report.bytes - bytes);
    Ok(match report.files - files {
        0 => written,
        1 => format!("1 file, {written}"),
        many => format!("{many} files, {written}"),
    })
}

/// Where a restore stands, so that a failure can say it and start the application again.
struct Way<'a> {
    ctx: &'a Context,
    work: &'a RestoreWork,
    stopped: bool,
    done: Vec<&'static str>,
}

impl Way<'_> {
    fn begin(&self, step: &str, title: &str) {
        self.ctx.step(step, title, StepState::Started, None, None);
    }

    fn skip(&self, step: &str, title: &str, why: &str) {
        self.ctx.step(step, title, StepState::Skipped, None, Some(why.to_owned()));
    }

    async fn end(
        &mut self,
        step: &'static str,
        title: &'static str,
        outcome: Result<String, Failure>,
    ) -> Result<(), RestoreError> {
        let cancelled = self.ctx.cancel.is_cancelled();
        let message = match outcome {
            Ok(detail) if !cancelled || step == "restore:health" => {
                self.ctx.step(step, title, StepState::Done, None, Some(detail).filter(|detail| !detail.is_empty()));
                self.done.push(title);
                return Ok(());
            }
            Ok(_) => {
                self.done.push(title);
                "cancelled after this step".to_owned()
            }
            Err(failure) => failure.to_string(),
        };
        self.ctx.step(step, title, StepState::Failed, None, Some(message.clone()));
        let mut state = match self.done.as_slice() {
            [] => "Nothing was put back".to_owned(),
            done => format!("Done so far: {}", done.join(", ").to_lowercase()),
        };
        if self.stopped {
            state.push_str(&self.start_again().await);
        }
        state.push_str(". It can be run again");
        if cancelled {
            return Err(RestoreError::Cancelled { state });
        }
        Err(RestoreError::Step { step: step.to_owned(), message, state })
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

fn address(definition: &Definition) -> Option<String> {
    let app = definition.app.as_ref()?;
    match (&app.hostname, app.port) {
        (Some(host), Some(port)) => Some(format!("{host}:{port}")),
        (Some(host), None) => Some(host.clone()),
        (None, Some(port)) => Some(format!("127.0.0.1:{port}")),
        (None, None) => None,
    }
}

fn next(definition: &Definition, report: &RestoreReport) -> Vec<String> {
    let mut next = Vec::new();
    if definition.restore.start.is_none() {
        next.push(format!("start `{}`", definition.environment));
    }
    next.push(format!("holdfast env status {}/{}", definition.project, definition.environment));
    if !report.kept.is_empty() {
        next.push("look at what was kept, and remove it when it is not needed any more".to_owned());
    }
    next
}
