//! Create: capture, seal, make visible, drill.

use std::sync::Arc;

use holdfast_engine::{CaptureWork, Captured, Parent};
use holdfast_model::{
    event::{Level, StepState},
    manifest::{FORMAT, Facts, Manifest, Previous, Skipped},
    name::Name,
    request::CreateCheckpoint,
    size,
    state::RunState,
};
use holdfast_vault::{SnapshotId, Vault};
use sha2::{Digest as _, Sha256};

use super::{
    choose::choose,
    drill,
    job::{Applied, Ending, Job, JobError},
    lock,
    seal::{self, Draft},
    upkeep,
};
use crate::{
    store::{ATTEMPTS, CheckpointRow, Publication, StoreError},
    vaults::{OpenVault, VaultsError, blocking},
};

/// How often a capture is begun anew because the vault changed under it.
const ANEW: usize = 2;
/// How often a sealed checkpoint is offered to a database that fails.
const PUBLISH_TRIES: u32 = 8;

/// Below this no checkpoint is begun: packs, index and snapshot want some room even if nothing has changed.
const LEAST_ROOM: u64 = 2_000_000;

/// How long somebody who holds the vault for himself is waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

/// How long, in seconds, a worker that lost its run after its seal waits for the other one's.
const GIVE_WAY_TRIES: u32 = 30;

/// What a create has sealed.
pub(crate) struct Made {
    pub(crate) row: CheckpointRow,
    /// Components of a safety checkpoint that could not be captured, each with its reason.
    pub(crate) failed: Vec<(Name, String)>,
}

/// A create run, whole.
pub(crate) async fn create(job: &Job) -> Result<Ending, JobError> {
    let request: CreateCheckpoint = job.request()?;
    let made = make(job, &request, false).await?;
    if !request.drill {
        job.hold.ctx.step("drill", "Drill", StepState::Skipped, None, Some("switched off".into()));
        return Ok(Ending::well(Some("sealed; not drilled, because that was switched off".into())));
    }
    if job.claim.attempt > ATTEMPTS {
        return Ok(Ending {
            state: RunState::Warning,
            message: Some("sealed; the drill was interrupted too often, start it again".into()),
            gate_open: Some(false),
        });
    }
    match drill::of_row(job, &made.row).await {
        Ok(ending) => Ok(ending),
        Err(JobError::Cancelled) => Err(JobError::Cancelled),
        Err(JobError::Store(StoreError::Fenced)) => Err(JobError::Store(StoreError::Fenced)),
        Err(error) => Ok(Ending {
            state: RunState::Warning,
            message: Some(format!("sealed, but it could not be drilled: {error}")),
            gate_open: Some(false),
        }),
    }
}

/// Makes the checkpoint, or finds that an earlier attempt has.
pub(crate) async fn make(job: &Job, request: &CreateCheckpoint, salvage: bool) -> Result<Made, JobError> {
    let store = job.desk.store();
    let id =
        job.claim.run.view.checkpoint.clone().ok_or_else(|| JobError::Failed("the run has no checkpoint id".into()))?;
    if job.claim.attempt > 1 {
        if let Some(row) = found_again(job, &id).await? {
            return Ok(Made { row, failed: Vec::new() });
        }
        if job.claim.attempt > ATTEMPTS || job.claim.run.view.parent.is_some() {
            return Err(JobError::Failed(
                "the server stopped during this run and nothing had been sealed; back up again".into(),
            ));
        }
        job.log(Level::Warning, format!("attempt {}: nothing had been sealed before", job.claim.attempt));
    }
    let (mut publication, failed) = take_anew(job, request, salvage).await?;
    if job.claim.attempt > 1
        && let Some(found) = seal::find(&job.vault().await?, &id).await?
    {
        // An earlier attempt that was thought dead may have sealed meanwhile: the lowest one stands.
        tell_forgotten(job, &found);
        publication = found.publication;
    }
    match publish(job, &publication).await {
        Err(JobError::Store(StoreError::Fenced)) => {
            give_way(job, &publication).await;
            return Err(JobError::Store(StoreError::Fenced));
        }
        done => done?,
    }
    Ok(Made { row: store.checkpoint(&id).await?, failed })
}

/// This worker has sealed, but another one holds the run. Once that one has published its own snapshot, ours is a
/// second one of the same checkpoint and is forgotten; before that it stays, for whoever takes up the run finds it.
async fn give_way(job: &Job, ours: &Publication) {
    for _ in 0..GIVE_WAY_TRIES {
        if let Ok(row) = job.desk.store().checkpoint(&ours.manifest.checkpoint).await {
            if row.snapshot == ours.snapshot {
                return;
            }
            let (snapshot, vault) = (ours.snapshot.parse(), job.desk.vaults().get(&ours.vault).await);
            if let (Ok(snapshot), Ok(open)) = (snapshot, vault) {
                let gone = blocking(open.vault, move |vault: &Vault| vault.forget(&snapshot)).await;
                tracing::warn!(run = %job.claim.id(), %snapshot, forgotten = gone.is_ok(), "a second snapshot of one checkpoint");
            }
            return;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn tell_forgotten(job: &Job, found: &seal::Found) {
    for later in &found.forgotten {
        job.log(Level::Warning, format!("a second snapshot of this checkpoint, {later}, was forgotten"));
    }
}

/// What an earlier attempt of this run has sealed.
pub(super) async fn found_again(
    job: &Job,
    id: &holdfast_model::id::CheckpointId,
) -> Result<Option<CheckpointRow>, JobError> {
    let store = job.desk.store();
    if job.claim.run.view.sealed {
        return Ok(Some(store.checkpoint(id).await?));
    }
    let Some(found) = seal::find(&job.vault().await?, id).await? else { return Ok(None) };
    tell_forgotten(job, &found);
    job.log(Level::Warning, "the seal had happened before the server stopped; the run goes on from it");
    publish(job, &found.publication).await?;
    Ok(Some(store.checkpoint(id).await?))
}

/// Captures and seals; once more where the vault changed under it, because a process that stood still for longer than
/// its lock lives may have lost what it relied on to somebody's prune. What is there still is not stored again.
async fn take_anew(
    job: &Job,
    request: &CreateCheckpoint,
    salvage: bool,
) -> Result<(Publication, Vec<(Name, String)>), JobError> {
    for _ in 0..ANEW {
        match take(job, request, salvage).await {
            Err(JobError::VaultChanged(why)) => job.log(Level::Warning, format!("{why}; it is captured anew")),
            done => return done,
        }
        job.scratch.renew()?;
    }
    take(job, request, salvage).await
}

/// Captures and seals. From here to [`publish`] a stop of the server loses nothing: the snapshot has our tag.
async fn take(
    job: &Job,
    request: &CreateCheckpoint,
    salvage: bool,
) -> Result<(Publication, Vec<(Name, String)>), JobError> {
    let store = job.desk.store();
    let applied = job.applied().await?;
    let chosen = choose(&applied.known(), &request.components, &request.without).map_err(JobError::Failed)?;
    let open = job.vault().await?;
    let before = store.newest_with_manifest(job.environment()?).await?;
    let parent = before.as_ref().and_then(|(row, text)| {
        let manifest: Manifest = serde_json::from_str(text).ok()?;
        Some(Parent { root: row.tree.parse().ok()?, manifest })
    });
    refuse_without_room(&open, parent.as_ref().map(|parent| &parent.manifest)).await?;
    let writer = Arc::new(writer(job, &open).await?);
    let work = CaptureWork {
        vault: open.vault.clone(),
        definition: applied.definition.clone(),
        components: chosen.clone(),
        exclude: request.exclude.clone(),
        forbidden: job.forbidden().await?,
        parent,
        scratch: job.scratch.path(),
        salvage,
    };
    let captured = holdfast_engine::capture(work, writer.clone(), job.desk.tools(), &job.hold.ctx).await?;
    if captured.components.is_empty() {
        let reasons: Vec<String> = captured.failed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        return Err(JobError::Failed(format!("no component could be captured: {}", reasons.join("; "))));
    }
    for (name, why) in &captured.failed {
        job.hold.ctx.log(Level::Error, Some(name.as_str()), format!("not captured: {why}"));
    }
    let failed = captured.failed.clone();
    let previous = before.as_ref().map(|(row, text)| Previous {
        checkpoint: row.id.clone(),
        manifest: hex::encode(Sha256::digest(text.as_bytes())),
    });
    let manifest = manifest(job, request, &applied, &chosen, &captured, previous)?;
    let parent = before.as_ref().and_then(|(row, _)| row.snapshot.parse().ok());
    Ok((sealed(job, &open, writer, manifest, applied, captured, parent).await?, failed))
}

/// A checkpoint that cannot fit is not begun. What it will store nobody knows; what the last one stored beside the one
/// before it is the best guess.
pub(super) async fn refuse_without_room(open: &OpenVault, last: Option<&Manifest>) -> Result<(), JobError> {
    let needed = last.filter(|last| last.previous.is_some()).map_or(0, |last| last.stored).max(LEAST_ROOM);
    match blocking(open.vault.clone(), Vault::free).await? {
        Some(free) if free < needed => Err(JobError::Failed(format!(
            "it would not fit: {} are free where the vault lies, {}, and {} may be needed; free some space, or delete \
             checkpoints and prune the vault",
            size::display(free),
            open.vault.location(),
            size::display(needed)
        ))),
        _ => Ok(()),
    }
}

/// Begins to write. Somebody who holds the vault for himself, as a prune does for moments, is waited for.
pub(super) async fn writer(job: &Job, open: &OpenVault) -> Result<holdfast_vault::Writer, JobError> {
    let begun = std::time::Instant::now();
    let mut told = false;
    loop {
        let cancel = job.hold.ctx.cancel.clone();
        let locked = match blocking(open.vault.clone(), move |vault: &Vault| vault.writer(cancel)).await {
            Err(error @ VaultsError::Vault { source: holdfast_vault::Error::Locked { .. }, .. }) => error,
            other => return Ok(other?),
        };
        if begun.elapsed() > PATIENCE {
            return Err(locked.into());
        }
        if !std::mem::replace(&mut told, true) {
            job.log(Level::Info, format!("waiting: {locked}"));
        }
        tokio::select! {
            () = job.hold.ctx.cancelled() => return Err(JobError::Cancelled),
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {}
        }
    }
}

fn manifest(
    job: &Job,
    request: &CreateCheckpoint,
    applied: &Applied,
    chosen: &[Name],
    captured: &Captured,
    previous: Option<Previous>,
) -> Result<Manifest, JobError> {
    let run = &job.claim.run;
    let mut components: Vec<_> = captured.components.iter().map(|c| c.manifest.clone()).collect();
    // What could not be captured stands among the skipped entries, where it lowers the verdict.
    if let Some(first) = components.first_mut() {
        first.skipped.extend(captured.failed.iter().map(|(name, why)| Skipped {
            component: name.to_string(),
            name: name.to_string(),
            reason: "not_captured".into(),
            message: why.clone(),
        }));
    }
    let mut metadata = request.metadata.clone();
    let git = components.iter().find_map(|c| match &c.facts {
        Facts::Git { head, branch, .. } => Some((head.clone(), branch.clone())),
        _ => None,
    });
    if let Some((head, branch)) = git {
        for (name, value) in [("git_commit", head), ("git_branch", branch)] {
            if let Some(value) = value {
                metadata.entry(name.to_owned()).or_insert(value);
            }
        }
    }
    let mut tags = request.tags.clone();
    tags.sort();
    tags.dedup();
    Ok(Manifest {
        format: FORMAT,
        holdfast: env!("CARGO_PKG_VERSION").to_owned(),
        tools: captured.tools.clone(),
        checkpoint: run
            .view
            .checkpoint
            .clone()
            .ok_or_else(|| JobError::Failed("the run has no checkpoint id".into()))?,
        run: run.view.id.clone(),
        attempt: job.claim.attempt,
        name: request.name.clone(),
        description: request.description.clone(),
        tags,
        project: applied.row.project.clone(),
        environment: applied.row.name.clone(),
        environment_id: applied.row.id.clone(),
        created_at: captured.held_at,
        created_by: run.view.created_by.clone(),
        trigger: run.trigger,
        metadata,
        skew_ms: captured.skew_ms,
        total: components.iter().map(|c| c.size).sum(),
        stored: components.iter().map(|c| c.stored).sum(),
        components,
        left_out: applied
            .definition
            .components
            .iter()
            .filter(|c| !chosen.contains(&c.name))
            .map(|c| c.name.to_string())
            .collect(),
        previous,
    })
}

pub(super) async fn sealed(
    job: &Job,
    open: &OpenVault,
    writer: Arc<holdfast_vault::Writer>,
    manifest: Manifest,
    applied: Applied,
    captured: Captured,
    parent: Option<SnapshotId>,
) -> Result<Publication, JobError> {
    let ctx = &job.hold.ctx;
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| JobError::Failed(format!("the manifest cannot be written: {error}")))?;
    let draft = Draft { manifest, text, environment: applied.raw, captured, parent, hostname: seal::hostname() };
    job.desk.store().check_fence(&job.claim).await?;
    ctx.step("seal", "Sealing", StepState::Started, None, None);
    let location = open.vault.location();
    let (draft, done) = tokio::task::spawn_blocking(move || {
        let done = seal::seal(writer, &draft);
        (draft, done)
    })
    .await
    .map_err(|error| JobError::Failed(format!("the sealing thread stopped: {error}")))?;
    let done = done.map_err(|error| {
        ctx.step("seal", "Not sealed", StepState::Failed, None, Some(error.to_string()));
        match error {
            holdfast_vault::Error::Cancelled => JobError::Cancelled,
            changed @ holdfast_vault::Error::VaultChanged { .. } => JobError::VaultChanged(changed.to_string()),
            other => JobError::Failed(format!("the seal did not happen; the vault {location}: {other}")),
        }
    })?;
    let manifest = draft.manifest;
    let figures = format!("{}, {} stored", size::display(manifest.total), size::display(done.stored));
    ctx.step("seal", "Sealed", StepState::Done, None, Some(figures.clone()));
    job.log(Level::Info, format!("{} sealed: {figures}, snapshot {}", manifest.checkpoint, done.snapshot));
    Ok(Publication {
        manifest,
        text: draft.text,
        vault: open.id.clone(),
        snapshot: done.snapshot.to_string(),
        tree: done.tree.to_string(),
    })
}

/// Makes it visible. The seal has happened, so a database that fails is asked again.
pub(super) async fn publish(job: &Job, publication: &Publication) -> Result<(), JobError> {
    let store = job.desk.store();
    let mut tried = 0;
    loop {
        match store.publish_checkpoint(&job.claim, publication).await {
            Err(StoreError::Database(error)) if tried < PUBLISH_TRIES => {
                tracing::warn!(run = %job.claim.id(), %error, "a sealed checkpoint could not be published; trying again");
                tried += 1;
                tokio::time::sleep(std::time::Duration::from_millis(250 * u64::from(tried))).await;
            }
            done => {
                done?;
                break;
            }
        }
    }
    let vault = job.desk.vaults().get(&publication.vault).await?;
    lock::lock(job, &vault, &publication.manifest.checkpoint, &publication.snapshot).await?;
    // Figures for the pages: a failure here takes nothing from the checkpoint.
    if let Err(error) = upkeep::measure(&job.desk, &vault).await {
        tracing::warn!(%error, "the vault's size could not be read");
    }
    store.sample().await?;
    Ok(())
}
