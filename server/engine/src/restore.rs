//! Restore: everything is checked before anything is touched, and nothing is destroyed that no copy holds.

use std::{collections::BTreeSet, path::PathBuf};

use holdfast_model::{
    definition::Definition,
    event::StepState,
    id::RunId,
    manifest::Manifest,
    name::Name,
    plan::{PlanItem, PlanSpace, PlanStep},
    size,
    state::Kind,
    table::TableMode,
};
use holdfast_vault::{TreeId, Vault};

use crate::{
    context::Context,
    failure::{Failure, blocking},
    tools::Tools,
};

mod address;
mod application;
mod check;
mod choice;
mod destination;
mod difference;
mod item;
mod overlap;
mod step;
mod way;
use check::Checked;
pub(crate) use check::can_be_run;
pub use destination::{Destination, sweep_folder};
pub use item::sweep_tables;
use item::{Item, without_run};
pub use overlap::Live;
use step::Step;
use way::Way;

const VALIDATE: (&str, &str) = ("restore:validate", "Everything checked");
const COMPLETE: (&str, &str) = ("restore:complete", "Restore complete");

/// What to put back.
#[derive(Clone)]
pub struct RestoreWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// The environment that it goes to, as it is applied now.
    pub definition: Definition,
    /// To the places of that definition, or elsewhere.
    pub destination: Destination,
    /// Other environments, whose places are not overwritten unless `overlap` says so.
    pub live: Vec<Live>,
    /// Whether places of other environments may be overwritten.
    pub overlap: bool,
    /// Only what these patterns match, of components of files; all when empty.
    pub paths: Vec<String>,
    /// Only these tables of one PostgreSQL component, as `schema.table`; all when empty.
    pub tables: Vec<String>,
    /// How they are put back.
    pub table_mode: TableMode,
    /// Whether devices, set-uid and set-gid bits and capabilities are put back too.
    pub privileged: bool,
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
    /// What the patterns of the request matched, component by component.
    pub matched: Vec<String>,
    /// What was done with each table, where only some were put back.
    pub tables: Vec<String>,
}

/// What a restore would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Component by component; those that can be put back.
    pub items: Vec<PlanItem>,
    /// Why it would be refused, a sentence each with its mend.
    pub refused: Vec<String>,
    /// Things to know.
    pub warnings: Vec<String>,
    /// What no copy would hold without a safety checkpoint.
    pub would_lose: Vec<String>,
    /// Whether anything stands where it goes.
    pub stands: bool,
    /// In order.
    pub steps: Vec<PlanStep>,
    /// File system by file system.
    pub space: Vec<PlanSpace>,
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

/// Everything that can be seen beforehand: what would be done, and what stands against it.
pub struct Looked {
    work: RestoreWork,
    checked: Checked,
    git: PathBuf,
}

/// Looks at everything, and touches nothing.
///
/// # Errors
/// [`RestoreError::Cancelled`] alone; whatever is wrong is a part of what was seen.
pub async fn look(work: RestoreWork, tools: &Tools, ctx: &Context) -> Result<Looked, RestoreError> {
    let git = tools.git().to_path_buf();
    let looked = match destination::settle(work.clone()) {
        Ok(work) => {
            let checked = check::everything(&work, tools, ctx).await;
            Looked { work, checked, git }
        }
        Err(faults) => Looked { work, checked: Checked { faults, ..Checked::default() }, git },
    };
    if ctx.cancel.is_cancelled() {
        return Err(RestoreError::Cancelled { state: "nothing was touched".to_owned() });
    }
    Ok(looked)
}

/// Checks everything that can be checked without touching anything, and tells it as a step.
///
/// # Errors
/// [`RestoreError::Refused`] with everything that was found.
pub async fn validate(work: RestoreWork, tools: &Tools, ctx: &Context) -> Result<Validated, RestoreError> {
    let (step, title) = VALIDATE;
    ctx.step(step, title, StepState::Started, None, None);
    let validated = match look(work, tools, ctx).await {
        Ok(looked) => looked.into_validated(),
        Err(error) => Err(error),
    };
    let why = match &validated {
        Ok(_) => None,
        Err(RestoreError::Refused(faults)) => faults.first().cloned(),
        Err(_) => Some("cancelled".to_owned()),
    };
    let state = if validated.is_ok() { StepState::Done } else { StepState::Failed };
    ctx.step(step, title, state, None, why);
    validated
}

impl Looked {
    /// What would be done, as a value.
    #[must_use]
    pub fn plan(&self) -> Planned {
        let (work, Checked { items, faults, warnings, space }) = (&self.work, &self.checked);
        let shown = |text: &String| without_run(work, &destination::shown(work, text));
        let kinds: Vec<Kind> = items.iter().map(Item::kind).collect();
        Planned {
            items: items.iter().map(|item| item.plan(work)).collect(),
            refused: faults.iter().map(shown).collect(),
            warnings: warnings.iter().map(shown).collect(),
            would_lose: items.iter().flat_map(Item::would_lose).map(|line| shown(&line)).collect(),
            stands: items.iter().any(Item::stands),
            steps: step::planned(work, &kinds),
            space: space.clone(),
        }
    }

    /// A restore that can be carried out.
    ///
    /// # Errors
    /// [`RestoreError::Refused`] with everything that was found.
    pub fn into_validated(self) -> Result<Validated, RestoreError> {
        let Self { work, checked, git } = self;
        match checked.faults.is_empty() {
            true => Ok(Validated { work, items: checked.items, git }),
            false => Err(RestoreError::Refused(checked.faults)),
        }
    }
}

impl Validated {
    /// What of the present state no copy would hold without a safety checkpoint, for people.
    #[must_use]
    pub fn would_lose(&self) -> Vec<String> {
        self.items.iter().flat_map(Item::would_lose).collect()
    }

    /// Whether anything stands where it goes.
    #[must_use]
    pub fn stands(&self) -> bool {
        self.items.iter().any(Item::stands)
    }

    /// Puts everything back.
    ///
    /// # Errors
    /// [`RestoreError::Step`] names the step and says what state the application is in.
    pub async fn carry_out(self, ctx: &Context) -> Result<RestoreReport, RestoreError> {
        let Self { work, mut items, git } = self;
        let definition = &work.definition;
        let kinds: Vec<Kind> = items.iter().map(Item::kind).collect();
        let mut way = Way::new(ctx, &work);
        let mut report = RestoreReport { address: address(definition), ..RestoreReport::default() };
        for step in Step::of(&work.destination) {
            if let Some(why) = step.skipped(&work, &kinds) {
                way.skip(step, why);
                continue;
            }
            way.begin(step);
            let outcome = match step {
                Step::Stop => {
                    way.stopped = true;
                    command(definition.restore.stop.as_ref(), &work, ctx).await
                }
                Step::Files | Step::Databases | Step::Config => {
                    let (now, later) = items.into_iter().partition(|item| step.takes(item.kind()));
                    items = later;
                    put_all_back(now, &git, step.name(), &mut way, &mut report).await
                }
                Step::Place => {
                    let work = work.clone();
                    blocking(move || destination::take_place(&work)).await
                }
                Step::Start => {
                    let outcome = command(definition.restore.start.as_ref(), &work, ctx).await;
                    way.stopped = false;
                    outcome
                }
                Step::Health => application::look(definition, &work.scratch, ctx).await,
            };
            way.end(step, outcome, &report.kept).await?;
        }
        report.next = next(&work, &report);
        for line in report.kept.iter_mut().chain(&mut report.warnings) {
            *line = destination::shown(&work, line);
        }
        ctx.step(COMPLETE.0, COMPLETE.1, StepState::Done, None, report.address.clone());
        Ok(report)
    }
}

async fn command(command: Option<&Vec<String>>, work: &RestoreWork, ctx: &Context) -> Result<String, Failure> {
    match command {
        Some(command) => application::run(command, &work.scratch, &ctx.cancel).await,
        None => Ok(String::new()),
    }
}

async fn put_all_back(
    items: Vec<Item>,
    git: &std::path::Path,
    step: &str,
    way: &mut Way<'_>,
    report: &mut RestoreReport,
) -> Result<String, Failure> {
    let (files, bytes, work) = (report.files, report.bytes, way.work);
    destination::begin(work)?;
    for item in items {
        let name = item.name().clone();
        item.put_back(work, git, step, way.ctx, report).await.map_err(|failure| match failure {
            Failure::Said(message) => Failure::Said(format!("component `{name}`: {message}")),
            other => other,
        })?;
        way.put_back.push(name);
    }
    let written = size::display(report.bytes - bytes);
    Ok(match report.files - files {
        0 => written,
        1 => format!("1 file, {written}"),
        many => format!("{many} files, {written}"),
    })
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

fn next(work: &RestoreWork, report: &RestoreReport) -> Vec<String> {
    let definition = &work.definition;
    let mut next = Vec::new();
    match &work.destination {
        Destination::Folder(folder) => return vec![format!("ls -la {}", folder.display())],
        Destination::Database { .. } => {}
        Destination::Definition => {
            if definition.restore.start.is_none() {
                next.push(format!("start `{}`", definition.environment));
            }
            next.push(format!("holdfast env status {}/{}", definition.project, definition.environment));
        }
    }
    if !report.kept.is_empty() {
        next.push("look at what was kept, and remove it when it is not needed any more".to_owned());
    }
    next
}
