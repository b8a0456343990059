//! A worker: claims a run, does it, and gives it its end, whatever happens.

use std::{sync::Arc, time::Duration};

use holdfast_model::{
    event::Level,
    state::{RunKind, RunState},
};
use tokio_util::sync::CancellationToken;

use super::{
    Desk, check, copy, create, drill,
    hold::{Hold, Why},
    import,
    job::{Ending, Job, JobError, Scratch},
    prune, repair, restore, upkeep, verify,
};
use crate::store::{Claim, Lane, StoreError};

/// How long a worker sleeps when nothing wakes it; other processes' runs are found this way.
const POLL: Duration = Duration::from_secs(1);
/// How often an end is tried again when the database fails; after that the lease runs out.
const END_TRIES: u32 = 20;

/// Takes up runs of one lane until `stop`.
pub(crate) async fn work(desk: Desk, lane: Lane, name: String, stop: CancellationToken) {
    let queued = desk.store().queued();
    while !stop.is_cancelled() {
        let woken = queued.notified();
        tokio::pin!(woken);
        woken.as_mut().enable();
        match desk.store().claim(lane, &name).await {
            Ok(Some(claim)) => {
                run(&desk, claim, &name, &stop).await;
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "the queue could not be read"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = woken => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

async fn run(desk: &Desk, claim: Claim, name: &str, stop: &CancellationToken) {
    let kind = claim.run.view.kind;
    tracing::info!(run = %claim.id(), %kind, attempt = claim.attempt, "a run begins");
    let scratch = match Scratch::make(&desk.settings().scratch, &claim) {
        Ok(scratch) => scratch,
        Err(error) => {
            let message = Some(error.to_string());
            if let Err(error) = desk.store().finish(&claim, RunState::Failed, message, None).await {
                tracing::error!(run = %claim.id(), %error, "a run could not be ended");
            }
            return;
        }
    };
    // A restore that has begun is brought to its end: half of it helps nobody.
    let stops = (kind != RunKind::Restore).then(|| stop.clone());
    let hold = Hold::begin(desk.store(), &claim, stops);
    let job = Arc::new(Job { desk: desk.clone(), claim, hold, worker: name.to_owned(), scratch });
    // A task of its own, so that a panic is an end like any other.
    let task = job.clone();
    let ended = tokio::spawn(async move {
        if task.hold.why() == Some(Why::Cancelled) && task.claim.attempt == 1 {
            return Err(JobError::Cancelled);
        }
        match kind {
            RunKind::Create => create::create(&task).await,
            RunKind::Import => import::resume(&task).await,
            RunKind::Drill => drill::drill(&task).await,
            RunKind::Verify => verify::verify(&task).await,
            RunKind::Restore => restore::restore(&task).await,
            RunKind::Prune => prune::prune(&task).await,
            RunKind::Check => check::check(&task).await,
            RunKind::Repair => repair::repair(&task).await,
            RunKind::Copy => copy::copy(&task).await,
        }
    })
    .await
    .unwrap_or_else(|error| Err(JobError::Failed(format!("an error of Holdfast itself: {error}"))));
    match Arc::into_inner(job) {
        Some(mut job) => {
            let why = job.hold.why();
            conclude(&mut job, ended, why).await;
            if kind == RunKind::Create
                && let Err(error) = upkeep::copy_to_mirrors(desk).await
            {
                tracing::error!(%error, "copies into mirrors could not be asked for; in an hour again");
            }
        }
        None => tracing::error!("a run's task is still there after its end"),
    }
}

/// Stores what is still to be told, then the run's end. Nothing is written for a run that is no longer ours.
pub(crate) async fn conclude(job: &mut Job, ended: Result<Ending, JobError>, why: Option<Why>) {
    // Whoever sees the end of a run finds none of its leftovers.
    job.scratch.clear();
    let ending = match (ended, why) {
        (_, Some(Why::Lost)) | (Err(JobError::Store(StoreError::Fenced)), _) => {
            tracing::warn!(run = %job.claim.id(), "the run is no longer held by this worker");
            return;
        }
        (Ok(ending), _) => ending,
        (Err(_), Some(Why::Stopping)) => {
            let flushed = job.hold.flush().await;
            let released = job.desk.store().release(&job.claim, "the server stopped; the run goes on after its start");
            if let Err(error) = flushed.and(released.await) {
                tracing::warn!(run = %job.claim.id(), %error, "a run could not be put back");
            }
            return;
        }
        (Err(error), Some(Why::Cancelled)) => {
            // A restore says what state the application is in.
            let message = match error {
                JobError::Failed(message) if job.claim.run.view.kind == RunKind::Restore => message,
                _ => "cancelled".to_owned(),
            };
            Ending { state: RunState::Cancelled, message: Some(message), gate_open: None }
        }
        (Err(error), None) => {
            let message = error.to_string();
            job.log(Level::Error, message.clone());
            Ending { state: RunState::Failed, message: Some(message), gate_open: None }
        }
    };
    if let Err(error) = job.hold.flush().await {
        tracing::warn!(run = %job.claim.id(), %error, "the last events of a run were not stored");
    }
    tracing::info!(run = %job.claim.id(), state = %ending.state, "a run ended");
    for tried in 1..=END_TRIES {
        let store = job.desk.store();
        match store.finish(&job.claim, ending.state, ending.message.clone(), ending.gate_open).await {
            Err(StoreError::Database(error)) => {
                tracing::warn!(run = %job.claim.id(), %error, "a run's end could not be stored; trying again");
                tokio::time::sleep(Duration::from_millis(100 * u64::from(tried))).await;
            }
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(run = %job.claim.id(), %error, "a run's end was not stored");
                return;
            }
        }
    }
}
