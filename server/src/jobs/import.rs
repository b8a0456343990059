//! Import: what comes over a connection is checked into the vault, sealed, made visible, drilled. The run is begun where
//! the connection is: its bytes cannot wait in a queue.

use std::sync::Arc;

use holdfast_engine::{ImportError, ImportWork, Imported, Incoming, import::STEP};
use holdfast_model::{
    event::{Level, StepState},
    export::keys,
    manifest::{FORMAT, Manifest},
    size,
    state::{RunKind, RunState, Trigger},
    view::RunView,
};
use holdfast_vault::Cancel;
use time::format_description::well_known::Rfc3339;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    Desk, DeskError, create, drill,
    hold::Hold,
    job::{Applied, Ending, Job, JobError, Scratch},
    upkeep,
    worker::conclude,
};
use crate::store::{ATTEMPTS, CheckpointRow, EnvironmentRow, NewRun, On, StoreError};

const TITLE: &str = "Files taken and checked";

impl From<ImportError> for JobError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Cancelled => Self::Cancelled,
            ImportError::Vault(changed @ holdfast_vault::Error::VaultChanged { .. }) => {
                Self::VaultChanged(changed.to_string())
            }
            other => Self::Failed(format!("nothing was imported: {other}")),
        }
    }
}

impl Desk {
    /// Takes an import into an environment. Comes back once it is sealed, or has failed; its drill goes on. `cancel` is
    /// thrown when the run shall end, so that whoever waits for more bytes does not.
    ///
    /// # Errors
    /// When the run could not be begun. How it ends is in the run.
    pub async fn import(
        &self,
        incoming: Incoming,
        environment: &EnvironmentRow,
        by: &str,
        cancel: Cancel,
        stop: CancellationToken,
    ) -> Result<RunView, DeskError> {
        let origin = incoming.origin();
        let new = NewRun {
            kind: RunKind::Import,
            on: On::Environment(environment.id.clone()),
            checkpoint: None,
            request: serde_json::json!({ "origin": origin }),
            created_by: by.to_owned(),
            trigger: Trigger::Import,
            slot: None,
        };
        let worker = format!("{}/import", std::process::id());
        let claim = self.store().begin(new, &worker).await?;
        let id = claim.id().clone();
        let (sealed, until) = oneshot::channel();
        let desk = self.clone();
        tokio::spawn(async move { work(desk, claim, worker, incoming, sealed, cancel, stop).await });
        // Whatever happens, the other end goes with the work.
        let _ = until.await;
        Ok(self.store().run(&id).await?)
    }
}

async fn work(
    desk: Desk,
    claim: crate::store::Claim,
    worker: String,
    incoming: Incoming,
    sealed: oneshot::Sender<()>,
    cancel: Cancel,
    stop: CancellationToken,
) {
    let scratch = match Scratch::make(&desk.settings().scratch, &claim) {
        Ok(scratch) => scratch,
        Err(error) => {
            if let Err(error) = desk.store().finish(&claim, RunState::Failed, Some(error.to_string()), None).await {
                tracing::error!(run = %claim.id(), %error, "a run could not be ended");
            }
            return;
        }
    };
    let hold = Hold::begin(desk.store(), &claim, Some(stop));
    let job = Arc::new(Job { desk: desk.clone(), claim, hold, worker, scratch });
    let task = job.clone();
    let whole = job.hold.ctx.clone();
    let forward = tokio::spawn(async move {
        whole.cancelled().await;
        cancel.cancel();
    });
    let ended = tokio::spawn(async move {
        let row = take(&task, incoming).await?;
        let _ = sealed.send(());
        drilled(&task, &row).await
    })
    .await
    .unwrap_or_else(|error| Err(JobError::Failed(format!("an error of Holdfast itself: {error}"))));
    forward.abort();
    let Some(mut job) = Arc::into_inner(job) else {
        return tracing::error!("a run's task is still there after its end");
    };
    let why = job.hold.why();
    conclude(&mut job, ended, why).await;
    if let Err(error) = upkeep::copy_to_mirrors(&desk).await {
        tracing::error!(%error, "copies into mirrors could not be asked for; in an hour again");
    }
}

/// An import that an earlier process began: its bytes are gone, and only a seal that had happened can go on.
pub(crate) async fn resume(job: &Job) -> Result<Ending, JobError> {
    let id = job.claim.run.view.checkpoint.clone();
    let id = id.ok_or_else(|| JobError::Failed("the run has no checkpoint id".into()))?;
    match create::found_again(job, &id).await? {
        Some(row) => drilled(job, &row).await,
        None => Err(JobError::Failed(
            "the server stopped during this import, and nothing of it was published; import it again".into(),
        )),
    }
}

/// Everything up to the moment that it is visible.
async fn take(job: &Job, incoming: Incoming) -> Result<CheckpointRow, JobError> {
    let ctx = &job.hold.ctx;
    ctx.step(STEP, TITLE, StepState::Started, None, None);
    let outcome = take_in(job, incoming).await;
    if let Err(error) = &outcome {
        ctx.step(STEP, TITLE, StepState::Failed, None, Some(error.to_string()));
    }
    let (publication, id) = outcome?;
    create::publish(job, &publication).await?;
    Ok(job.desk.store().checkpoint(&id).await?)
}

async fn take_in(
    job: &Job,
    incoming: Incoming,
) -> Result<(crate::store::Publication, holdfast_model::id::CheckpointId), JobError> {
    let applied = job.applied().await?;
    let open = job.vault().await?;
    create::refuse_without_room(&open, None).await?;
    let writer = Arc::new(create::writer(job, &open).await?);
    let work = ImportWork { known: applied.known(), scratch: job.scratch.path() };
    let imported = holdfast_engine::import(incoming, work, writer.clone(), job.desk.tools(), &job.hold.ctx).await?;
    for warning in &imported.warnings {
        job.log(Level::Warning, warning.clone());
    }
    for component in &imported.captured.components {
        let (name, kind) = (&component.manifest.name, component.manifest.kind);
        if !applied.known().iter().any(|(known, of)| known == name && *of == kind) {
            job.log(
                Level::Warning,
                format!("the environment has no component `{name}` of kind `{kind}`: it is kept, and cannot be restored there"),
            );
        }
    }
    let manifest = manifest(job, &applied, &imported)?;
    let total = size::display(manifest.total);
    job.hold.ctx.step(STEP, TITLE, StepState::Done, None, Some(total));
    let id = manifest.checkpoint.clone();
    let publication = create::sealed(job, &open, writer, manifest, applied, imported.captured, None).await?;
    Ok((publication, id))
}

/// What is sealed says what came, and where it came from.
fn manifest(job: &Job, applied: &Applied, imported: &Imported) -> Result<Manifest, JobError> {
    let run = &job.claim.run;
    let origin = &imported.origin;
    let before = imported.manifest.as_ref();
    let mut metadata = before.map(|manifest| manifest.metadata.clone()).unwrap_or_default();
    let time = origin.time.format(&Rfc3339).map_err(|error| JobError::Failed(error.to_string()))?;
    for (key, value) in
        [(keys::SYSTEM, &origin.system), (keys::ID, &origin.id), (keys::VERSION, &origin.version), (keys::TIME, &time)]
    {
        metadata.insert(key.to_owned(), value.clone());
    }
    let components: Vec<_> = imported.captured.components.iter().map(|c| c.manifest.clone()).collect();
    Ok(Manifest {
        format: FORMAT,
        holdfast: env!("CARGO_PKG_VERSION").to_owned(),
        tools: imported.captured.tools.clone(),
        checkpoint: run
            .view
            .checkpoint
            .clone()
            .ok_or_else(|| JobError::Failed("the run has no checkpoint id".into()))?,
        run: run.view.id.clone(),
        attempt: job.claim.attempt,
        name: before.and_then(|manifest| manifest.name.clone()),
        description: Some(match before.and_then(|manifest| manifest.description.clone()) {
            Some(description) => description,
            None => format!("Imported from {} {}", origin.system, origin.id),
        }),
        tags: before.map(|manifest| manifest.tags.clone()).unwrap_or_default(),
        project: applied.row.project.clone(),
        environment: applied.row.name.clone(),
        environment_id: applied.row.id.clone(),
        created_at: imported.captured.held_at,
        created_by: run.view.created_by.clone(),
        trigger: Trigger::Import,
        metadata,
        skew_ms: imported.captured.skew_ms,
        total: components.iter().map(|c| c.size).sum(),
        stored: components.iter().map(|c| c.stored).sum(),
        components,
        left_out: before.map(|manifest| manifest.left_out.clone()).unwrap_or_default(),
        previous: None,
    })
}

/// The drill that follows the seal.
async fn drilled(job: &Job, row: &CheckpointRow) -> Result<Ending, JobError> {
    let warning = |message: String| Ending { state: RunState::Warning, message: Some(message), gate_open: Some(false) };
    if job.claim.attempt > ATTEMPTS {
        return Ok(warning("imported; the drill was interrupted too often, start it again".into()));
    }
    match drill::of_row(job, row).await {
        Ok(ending) => Ok(ending),
        Err(JobError::Cancelled) => Err(JobError::Cancelled),
        Err(JobError::Store(StoreError::Fenced)) => Err(JobError::Store(StoreError::Fenced)),
        Err(error) => Ok(warning(format!("imported, but it could not be drilled: {error}"))),
    }
}
