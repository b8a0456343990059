//! Check: a vault's packs are held against its index and its snapshots followed, with all of the data, a share of it or
//! none. What is damaged is told of each checkpoint that it touches.

use std::collections::HashSet;

use holdfast_model::{
    event::{Level, StepState},
    id::{CheckpointId, VaultId},
    request::{CheckVault, Depth},
    size,
    state::{Integrity, RunState},
};
use holdfast_vault::{CheckReport, CheckScope, Meter, SnapshotId, Vault};

use super::job::{Ending, Job, JobError};
use crate::{store::Checked, vaults::blocking};

/// Problems that the log lists one by one.
const LISTED: usize = 50;
const STEP: &str = "check";

/// A check run, whole.
pub(crate) async fn check(job: &Job) -> Result<Ending, JobError> {
    job.refuse_worn_out()?;
    let (store, ctx) = (job.desk.store(), &job.hold.ctx);
    let id = job.vault_id()?;
    let depth = job.request::<CheckVault>()?.depth;
    let open = job.desk.vaults().get(id).await?;
    let before = store.copies_in(id).await?;
    let title = title(depth);
    ctx.step(STEP, &title, StepState::Started, None, None);
    let meter = Meter::new();
    let telling = job.telling(STEP, &meter);
    let cancel = ctx.cancel.clone();
    let report = blocking(open.vault.clone(), move |vault| vault.check(scope(depth), &cancel, &meter)).await;
    drop(telling);
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            ctx.step(STEP, &title, StepState::Failed, None, Some(error.to_string()));
            return Err(error.into());
        }
    };
    for problem in report.problems.iter().take(LISTED) {
        job.log(Level::Error, format!("damaged: {}", problem.what));
    }
    let mut damaged = damaged(&report, &before);
    let missing = missing(job, id, open.vault, &before).await?;
    let places = report.problems.len() + missing.len();
    damaged.extend(missing.clone());
    for (checkpoint, what) in &damaged {
        store.record_integrity(&job.claim, checkpoint, id, Integrity::Damaged, Some(what)).await?;
        job.log(Level::Error, format!("the damage touches the checkpoint {checkpoint}"));
    }
    if places > 0 {
        store.distrust_packs(id).await?;
    } else if depth == Depth::All {
        sound(job, id, &before).await?;
    }
    let part = if let Depth::Part { part, of } = depth { Some(part % of.max(1) + 1) } else { None };
    store.checked(&job.claim, id, &Checked { damaged: places as u64, next_part: part }).await?;
    let told = told(&report, &missing, damaged.len());
    if places == 0 {
        ctx.step(STEP, &title, StepState::Done, None, None);
        return Ok(Ending::well(Some(told)));
    }
    ctx.step(STEP, &title, StepState::Failed, None, None);
    Ok(Ending { state: RunState::Failed, message: Some(told), gate_open: None })
}

/// Checkpoints whose snapshot is gone, each with what is to be said of it: whoever follows the snapshots that are there
/// knows nothing of one that is not. `before` are the copies that the vault had a while ago; what was deleted since then
/// is not missed.
pub(super) async fn missing(
    job: &Job,
    id: &VaultId,
    vault: Vault,
    before: &[(CheckpointId, String)],
) -> Result<Vec<(CheckpointId, String)>, JobError> {
    let present: HashSet<String> =
        blocking(vault, Vault::snapshot_ids).await?.iter().map(ToString::to_string).collect();
    let still = job.desk.store().copies_in(id).await?;
    Ok(before
        .iter()
        .filter(|copy| !present.contains(&copy.1) && still.contains(copy))
        .map(|(checkpoint, snapshot)| (checkpoint.clone(), format!("its snapshot {snapshot} is not in the vault")))
        .collect())
}

/// All data of the vault was read and nothing was wrong: so each of its checkpoints is intact.
async fn sound(job: &Job, id: &VaultId, before: &[(CheckpointId, String)]) -> Result<(), JobError> {
    for (checkpoint, _) in before {
        job.desk.store().record_integrity(&job.claim, checkpoint, id, Integrity::Intact, None).await?;
    }
    Ok(())
}

/// Checkpoints that the damage touches, each with the first thing that is wrong with it.
fn damaged(report: &CheckReport, copies: &[(CheckpointId, String)]) -> Vec<(CheckpointId, String)> {
    let first = |snapshot: &str| {
        let snapshot: SnapshotId = snapshot.parse().ok()?;
        let (place, _) = report.touched.iter().find(|(_, touched)| touched.contains(&snapshot))?;
        report.problems.get(*place).map(|problem| problem.what.clone())
    };
    copies.iter().filter_map(|(checkpoint, snapshot)| Some((checkpoint.clone(), first(snapshot)?))).collect()
}

const fn scope(depth: Depth) -> CheckScope {
    match depth {
        Depth::Structure => CheckScope::Structure,
        Depth::Part { part, of } => CheckScope::Subset { part, of },
        Depth::All => CheckScope::AllData,
    }
}

fn title(depth: Depth) -> String {
    match depth {
        Depth::Structure => "Checking index, trees and packs, without their data".into(),
        Depth::Part { part, of } => format!("Checking the vault, with part {part} of {of} of its data"),
        Depth::All => "Checking the vault with all of its data".into(),
    }
}

fn told(report: &CheckReport, missing: &[(CheckpointId, String)], checkpoints: usize) -> String {
    let read = size::display(report.bytes_read);
    let places = report.problems.len() + missing.len();
    let first = report.problems.first().map(|problem| problem.what.as_str());
    match first.or_else(|| missing.first().map(|(_, what)| what.as_str())) {
        None => format!("nothing is damaged: {} packs and {} blobs, {read} read", report.packs, report.blobs),
        Some(first) => format!(
            "damaged in {places} places, in {checkpoints} checkpoints, the first: {first}; repair the vault, or copy it back"
        ),
    }
}
