//! Restore: everything is checked, a safety checkpoint is taken, then the engine puts things back.

use holdfast_engine::{
    Destination, RestoreReport, Validated,
    restore::{sweep_folder, sweep_tables, validate},
};
use holdfast_model::{
    event::{Level, StepState},
    name::Name,
    request::{CreateCheckpoint, RestoreCheckpoint},
    size,
    state::{RunKind, RunState, Trigger},
};

use super::{
    create,
    hold::{Hold, Why},
    job::{Ending, Job, JobError, Scratch},
    worker::conclude,
};
use crate::store::{CheckpointRow, NewRun, On};

mod plan;
pub(crate) mod request;
mod work;
pub(crate) use work::{Goal, Told};
use work::{compose, destination};

const SAFETY: &str = "restore:safety";

/// A restore run, whole.
pub(crate) async fn restore(job: &Job) -> Result<Ending, JobError> {
    let request = request::read(job.desk.key(), job.claim.run.request.clone());
    let request = request.map_err(|error| JobError::Failed(error.to_string()))?;
    if job.claim.attempt > 1 {
        if let Some(folder) = &request.to_dir {
            sweep_folder(folder, job.claim.id());
        }
        if !request.tables.is_empty() {
            sweep_staging(job, &request).await?;
        }
        return Err(JobError::Failed(
            "the server stopped during this restore; what it had replaced is kept, and the restore can be run again"
                .into(),
        ));
    }
    let store = job.desk.store();
    let id = job.claim.run.view.checkpoint.clone();
    let id = id.ok_or_else(|| JobError::Failed("the run names no checkpoint".into()))?;
    let row = store.checkpoint(&id).await?;
    let goal = Goal::applied(&job.desk, job.environment()?).await?;
    let (work, warnings) = compose(
        &job.desk,
        &row,
        &request,
        &goal,
        &Told::in_a_log(&row, &goal),
        job.claim.id().clone(),
        job.scratch.path(),
    )
    .await?;
    for warning in &warnings {
        job.log(Level::Warning, warning.clone());
    }
    let chosen = work.components.clone();
    let validated = validate(work, job.desk.tools(), &job.hold.ctx).await?;
    match safety_is_taken(&request, goal.is_own(&row), validated.stands()) {
        Ok(()) => safety(job, &row, &validated, &chosen).await?,
        Err(why) => {
            let ctx = &job.hold.ctx;
            ctx.step(SAFETY, "Safety checkpoint", StepState::Skipped, None, Some(why));
            let lost = if request.backup { Vec::new() } else { validated.would_lose() };
            for line in lost {
                job.log(Level::Warning, format!("no copy is kept of: {line}"));
            }
        }
    }
    job.hold.ctx.cancel.check().map_err(|_| untouched())?;
    store.check_fence(&job.claim).await?;
    let report = validated.carry_out(&job.hold.ctx).await?;
    store.audit(&job.claim.run.view.created_by, "checkpoint.restore", id.as_str(), job.claim.id().as_str()).await?;
    Ok(told(job, &report))
}

/// Tables were being compared when the server stopped: their staging schema goes.
async fn sweep_staging(job: &Job, request: &RestoreCheckpoint) -> Result<(), JobError> {
    let Some(id) = &job.claim.run.view.checkpoint else { return Ok(()) };
    let row = job.desk.store().checkpoint(id).await?;
    let goal = Goal::applied(&job.desk, job.environment()?).await?;
    let (work, _) = compose(
        &job.desk,
        &row,
        request,
        &goal,
        &Told::in_a_log(&row, &goal),
        job.claim.id().clone(),
        job.scratch.path(),
    )
    .await?;
    for warning in sweep_tables(&work).await {
        job.log(Level::Warning, warning);
    }
    Ok(())
}

/// Whether a safety checkpoint comes first; else why not.
fn safety_is_taken(request: &RestoreCheckpoint, own: bool, stands: bool) -> Result<(), String> {
    let why = match destination(request) {
        Destination::Folder(_) | Destination::Database { .. } => "nothing of the application is touched",
        Destination::Definition if !request.backup => "switched off",
        Destination::Definition if !own && !stands => "nothing stands there yet",
        Destination::Definition => return Ok(()),
    };
    Err(why.to_owned())
}

/// Takes a safety checkpoint of everything that can still be read. What cannot be, and would be lost, stops the
/// restore.
async fn safety(job: &Job, row: &CheckpointRow, validated: &Validated, chosen: &[Name]) -> Result<(), JobError> {
    let ctx = &job.hold.ctx;
    ctx.step(SAFETY, "Taking a safety checkpoint", StepState::Started, None, None);
    let lose = validated.would_lose();
    let made = match part(job, row).await {
        Ok(made) => made,
        Err(JobError::Cancelled) => return Err(untouched()),
        Err(error) => return Err(refuse(job, &error.to_string(), &lose)),
    };
    let lost: Vec<String> = made
        .failed
        .iter()
        .filter(|(name, _)| chosen.contains(name) && lose.iter().any(|line| may_mean(line, name)))
        .map(|(name, why)| format!("{name}: {why}"))
        .collect();
    if !lost.is_empty() {
        let why = format!("{} was sealed, but not all of it could be read: {}", made.row.id, lost.join("; "));
        return Err(refuse(job, &why, &lose));
    }
    for (name, why) in &made.failed {
        job.log(Level::Warning, format!("the safety checkpoint holds nothing of {name}: {why}"));
    }
    let detail = format!("{}, {}", made.row.id, size::display(made.row.total));
    ctx.step(SAFETY, "Safety checkpoint taken", StepState::Done, None, Some(detail));
    Ok(())
}

fn untouched() -> JobError {
    JobError::Failed("cancelled: nothing was touched".into())
}

/// Whether a line of what would be lost is about this component: it says so, or names none.
fn may_mean(line: &str, component: &Name) -> bool {
    line.starts_with(&format!("`{component}`: ")) || !line.starts_with('`')
}

fn refuse(job: &Job, why: &str, lose: &[String]) -> JobError {
    job.hold.ctx.step(SAFETY, "No safety checkpoint", StepState::Failed, None, Some(why.to_owned()));
    let lose = if lose.is_empty() { "nothing that could be found".to_owned() } else { lose.join("; ") };
    JobError::Failed(format!(
        "nothing was touched, because the safety checkpoint could not be taken: {why}. With --no-backup the restore \
         goes on without it, and this would be lost: {lose}"
    ))
}

/// The safety checkpoint is a run of its own, a part of this one, which does not wait for the environment's slot.
async fn part(job: &Job, row: &CheckpointRow) -> Result<create::Made, JobError> {
    let request = CreateCheckpoint {
        environment: job.environment()?.to_string(),
        name: None,
        description: Some(format!("Before the restore of {}", row.id)),
        tags: vec!["safety".into()],
        drill: false,
        trigger: Some(Trigger::PreRestore),
        ..CreateCheckpoint::default()
    };
    let store = job.desk.store();
    let new = NewRun {
        kind: RunKind::Create,
        on: On::Environment(job.environment()?.clone()),
        checkpoint: None,
        request: serde_json::to_value(&request).map_err(|error| JobError::Failed(error.to_string()))?,
        created_by: job.claim.run.view.created_by.clone(),
        trigger: Trigger::PreRestore,
        slot: None,
    };
    let claim = store.begin_part(&job.claim, new, &job.worker).await?;
    let scratch = Scratch::make(&job.desk.settings().scratch, &claim)?;
    let hold = Hold::begin(store, &claim, None);
    let mut child = Job { desk: job.desk.clone(), claim, hold, worker: job.worker.clone(), scratch };
    let whole = job.hold.ctx.clone();
    let made = {
        let making = create::make(&child, &request, true);
        tokio::pin!(making);
        tokio::select! {
            made = &mut making => made,
            // The whole is told to end: so is its part, which then ends in its own time.
            () = whole.cancelled() => {
                child.hold.ctx.cancel.cancel();
                making.await
            }
        }
    };
    let (made, ended) = match made {
        Ok(made) => {
            let state = if made.failed.is_empty() { RunState::Succeeded } else { RunState::Warning };
            let message = Some("sealed; a safety checkpoint is not drilled".to_owned());
            (Ok(made), Ok(Ending { state, message, gate_open: None }))
        }
        Err(error) => {
            let why =
                if whole.cancel.is_cancelled() { JobError::Cancelled } else { JobError::Failed(error.to_string()) };
            (Err(error), Err(why))
        }
    };
    conclude(&mut child, ended, whole.cancel.is_cancelled().then_some(Why::Cancelled)).await;
    made
}

/// What people read at the end; each line is one that a client can show as it stands.
fn told(job: &Job, report: &RestoreReport) -> Ending {
    for warning in &report.warnings {
        job.log(Level::Warning, warning.clone());
    }
    for matched in &report.matched {
        job.log(Level::Info, format!("matched: {matched}"));
    }
    for table in &report.tables {
        job.log(Level::Info, format!("table: {table}"));
    }
    for kept in &report.kept {
        job.log(Level::Info, format!("kept: {kept}"));
    }
    for next in &report.next {
        job.log(Level::Info, format!("next: {next}"));
    }
    let address = report.address.as_ref().map_or_else(String::new, |address| format!("; it answers at {address}"));
    let what = match report.tables.as_slice() {
        [] => format!("{} files, {}", report.files, size::display(report.bytes)),
        tables => tables.join("; "),
    };
    let message = format!("restored: {what}{address}");
    let state = if report.warnings.is_empty() { RunState::Succeeded } else { RunState::Warning };
    Ending { state, message: Some(message), gate_open: None }
}
