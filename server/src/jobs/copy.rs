//! Copy: what the primary vault has and another one lacks is brought there, oldest first. A move then makes that one the
//! primary vault.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use holdfast_model::{
    event::{Level, StepState},
    id::VaultId,
    size,
    state::RunState,
};
use holdfast_vault::{CopyOptions, CopyReport, Meter, SnapshotId};
use serde::{Deserialize, Serialize};

use super::{
    facts,
    job::{Ending, Job, JobError},
    lock, upkeep,
};
use crate::{
    store::{Lacking, StoreError},
    vaults::{OpenVault, VaultsError, blocking},
};

/// How often a move looks whether nothing is being written any more.
const LOOK: Duration = Duration::from_secs(1);
const STEP: &str = "copy";
const MOVE: &str = "move";

/// What is asked of a copy run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Whether the copy takes the primary one's place.
    #[serde(default, rename = "move")]
    pub(crate) moves: bool,
}

/// A copy run, whole.
pub(crate) async fn copy(job: &Job) -> Result<Ending, JobError> {
    job.refuse_worn_out()?;
    let asked: Asked = job.request()?;
    let id = job.vault_id()?;
    let to = job.desk.vaults().get(id).await?;
    let mut sum = Sum::default();
    loop {
        bring(job, &to, &mut sum).await?;
        facts::append_all(&job.desk).await;
        if !asked.moves || !sum.damaged.is_empty() || take_place(job, id).await? {
            break;
        }
    }
    upkeep::measure(&job.desk, &to).await?;
    let told = told(&sum, &to, asked.moves);
    let state = if sum.damaged.is_empty() { RunState::Succeeded } else { RunState::Failed };
    Ok(Ending { state, message: Some(told), gate_open: None })
}

#[derive(Default)]
struct Sum {
    copied: usize,
    stored: u64,
    damaged: Vec<String>,
}

/// Brings over what the vault lacks now.
async fn bring(job: &Job, to: &OpenVault, sum: &mut Sum) -> Result<(), JobError> {
    let (store, ctx) = (job.desk.store(), &job.hold.ctx);
    let mut lacking = store.lacking(&to.id).await?;
    let Some(first) = lacking.first() else { return Ok(()) };
    let from = job.desk.vaults().get(&first.vault).await?;
    // All of a project's checkpoints have their first copy in one vault.
    lacking.retain(|one| one.vault == from.id);
    let by_snapshot = wanted(&lacking)?;
    let title = format!("Copying {} to {}", checkpoints(lacking.len()), to.vault.location());
    ctx.step(STEP, &title, StepState::Started, None, None);
    let meter = Meter::new();
    let telling = job.telling(STEP, &meter);
    let (report, there) = run(job, &from, to, by_snapshot.keys().copied().collect(), &meter).await?;
    drop(telling);
    for (here, snapshot) in &there {
        if let Some(one) = by_snapshot.get(here) {
            store.copied(&job.claim, &to.id, one, &snapshot.to_string()).await?;
            lock::lock(job, to, &one.checkpoint, &snapshot.to_string()).await?;
            sum.copied += 1;
        }
    }
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            let said = format!("{} of {} are there: {error}", there.len(), lacking.len());
            ctx.step(STEP, &title, StepState::Failed, None, Some(said));
            return Err(error.into());
        }
    };
    sum.stored += report.bytes;
    for (snapshot, problems) in &report.damaged {
        let Some(one) = by_snapshot.get(snapshot) else { continue };
        let what = problems.first().map_or("it lacks data", |problem| problem.what.as_str());
        job.log(Level::Error, format!("{} is damaged and was not copied: {what}", one.checkpoint));
        sum.damaged.push(one.checkpoint.to_string());
    }
    ctx.step(STEP, &title, StepState::Done, None, Some(format!("{} stored", size::display(report.bytes))));
    Ok(())
}

type There = Vec<(SnapshotId, SnapshotId)>;

/// Copies; gives what was there when it ended also when it did not end well.
async fn run(
    job: &Job,
    from: &OpenVault,
    to: &OpenVault,
    wanted: Vec<SnapshotId>,
    meter: &Meter,
) -> Result<(Result<CopyReport, VaultsError>, There), JobError> {
    let there: Arc<Mutex<There>> = Arc::default();
    let (seen, cancel, meter, target) = (there.clone(), job.hold.ctx.cancel.clone(), meter.clone(), to.vault.clone());
    let report = blocking(from.vault.clone(), move |vault| {
        vault.copy_to(&target, &wanted, &CopyOptions::default(), &cancel, &meter, &mut |here, copy| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).push((*here, *copy));
        })
    })
    .await;
    let there = there.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((report, there))
}

fn wanted(lacking: &[Lacking]) -> Result<HashMap<SnapshotId, Lacking>, StoreError> {
    let named = |one: &Lacking| {
        let id = one.snapshot.parse().map_err(|error| StoreError::corrupt("snapshot id", error))?;
        Ok((id, one.clone()))
    };
    lacking.iter().map(named).collect()
}

/// Whether the vault is the primary one now; else something was sealed meanwhile, and is to be copied first.
async fn take_place(job: &Job, id: &VaultId) -> Result<bool, JobError> {
    let (store, ctx) = (job.desk.store(), &job.hold.ctx);
    let title = "Taking the primary vault's place";
    ctx.step(MOVE, title, StepState::Started, None, None);
    loop {
        if store.take_place(&job.claim, id).await? {
            ctx.step(MOVE, title, StepState::Done, None, None);
            return Ok(true);
        }
        if !store.lacking(id).await?.is_empty() {
            return Ok(false);
        }
        if ctx.cancel.is_cancelled() {
            return Err(JobError::Cancelled);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn checkpoints(many: usize) -> String {
    format!("{many} checkpoint{}", if many == 1 { "" } else { "s" })
}

fn told(sum: &Sum, to: &OpenVault, moves: bool) -> String {
    let place = to.vault.location();
    let mut said = match sum.copied {
        0 if sum.damaged.is_empty() => format!("{place} has every checkpoint"),
        many => format!("{} copied to {place}, {} stored", checkpoints(many), size::display(sum.stored)),
    };
    if !sum.damaged.is_empty() {
        said.push_str(&format!("; damaged and not copied: {}", sum.damaged.join(", ")));
    } else if moves {
        said.push_str("; it is the project's primary vault now, and the one before is no longer written to");
    }
    said
}
