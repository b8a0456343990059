//! Prune: what no checkpoint needs any more leaves its vault. Whoever wants to take or restore a checkpoint goes first:
//! the prune stops at its next safe point, waits until they are done, and goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_model::{
    event::{Level, StepState},
    id::VaultId,
    size,
    state::RunState,
};
use holdfast_vault::{Meter, PruneOptions, PruneReport, SnapshotId, Stopped};
use tokio_util::task::AbortOnDropHandle;

use super::{
    Desk, facts,
    job::{Ending, Job, JobError},
    upkeep,
};
use crate::{store::StoreError, vaults::blocking};

/// How often the queue is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);
const STEP: &str = "prune";
const TITLE: &str = "Taking out what no checkpoint needs";

/// A prune run, whole.
pub(crate) async fn prune(job: &Job) -> Result<Ending, JobError> {
    job.refuse_worn_out()?;
    let (store, ctx) = (job.desk.store(), &job.hold.ctx);
    let id = job.vault_id()?;
    let open = job.desk.vaults().get(id).await?;
    ctx.step(STEP, TITLE, StepState::Started, None, None);
    let meter = Meter::new();
    let _telling = job.telling(STEP, &meter);
    match facts::condense(&job.desk, &open, &ctx.cancel).await? {
        0 => {}
        many => job.log(Level::Info, format!("the facts of {many} snapshots were written into few")),
    }
    let mut freed = 0;
    let report = loop {
        let options = PruneOptions { expected_snapshots: expected(&job.desk, id).await?, ..PruneOptions::default() };
        let (wanted, _looking) = watch(&job.desk, id).await?;
        let (cancel, meter) = (ctx.cancel.clone(), meter.clone());
        let report = blocking(open.vault.clone(), move |vault| {
            vault.prune(&options, &cancel, &meter, &|| wanted.load(Ordering::Relaxed))
        })
        .await?;
        freed += report.bytes_removed;
        if report.stopped != Some(Stopped::Wanted) {
            break report;
        }
        job.log(Level::Info, "It gives way to a checkpoint, and goes on when that is done.");
        give_way(job, id).await?;
    };
    let told = told(&report, freed);
    store.pruned(&job.claim, id, report.is_done(), &told).await?;
    upkeep::measure(&job.desk, &open).await?;
    for problem in &report.damaged {
        job.log(Level::Warning, format!("damaged, and left as it is: {}", problem.what));
    }
    match &report.stopped {
        Some(Stopped::Cancelled) => return Err(JobError::Cancelled),
        _ => ctx.step(STEP, TITLE, StepState::Done, None, None),
    }
    let well = report.is_done() && report.damaged.is_empty();
    let state = if well { RunState::Succeeded } else { RunState::Warning };
    Ok(Ending { state, message: Some(told), gate_open: None })
}

/// The snapshots that must be there: were one of them missing, something would be wrong with the listing, not with it.
async fn expected(desk: &Desk, id: &VaultId) -> Result<Vec<SnapshotId>, StoreError> {
    let known = desk.store().snapshots_of(id).await?;
    known.iter().map(|id| id.parse().map_err(|error| StoreError::corrupt("snapshot id", error))).collect()
}

/// Whether somebody wants the vault, looked at until the handle is dropped.
async fn watch(desk: &Desk, id: &VaultId) -> Result<(Arc<AtomicBool>, AbortOnDropHandle<()>), StoreError> {
    let wanted = Arc::new(AtomicBool::new(desk.store().wants_vault(id).await?));
    let (seen, store, vault) = (wanted.clone(), desk.store().clone(), id.clone());
    let looking = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Ok(now) = store.wants_vault(&vault).await {
                seen.store(now, Ordering::Relaxed);
            }
        }
    }));
    Ok((wanted, looking))
}

/// Until nobody wants the vault any more.
async fn give_way(job: &Job, id: &VaultId) -> Result<(), JobError> {
    while job.desk.store().wants_vault(id).await? {
        if job.hold.ctx.cancel.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// What a prune did, in one sentence for people.
fn told(report: &PruneReport, freed: u64) -> String {
    let mut said = format!(
        "{} freed, {} wait for the end of their grace, {} in use",
        size::display(freed),
        size::display(report.bytes_waiting),
        size::display(report.bytes_used),
    );
    if let Some(Stopped::Busy { by }) = &report.stopped {
        said.push_str(&format!("; it gave way to {by}, and goes on the next time"));
    }
    if !report.damaged.is_empty() {
        said.push_str(&format!("; {} packs are damaged and stay as they are: check the vault", report.damaged.len()));
    }
    said
}
