//! Repair: a vault's index is made anew from its packs. What cannot be whole again is told of each checkpoint, and so is
//! a snapshot that is gone; nothing is removed.

use holdfast_model::{
    event::{Level, StepState},
    id::{CheckpointId, VaultId},
    request::RepairVault,
    state::{Integrity, RunState},
};
use holdfast_vault::{Meter, RepairOptions, RepairReport};

use super::{
    check,
    job::{Ending, Job, JobError},
};
use crate::vaults::blocking;

const STEP: &str = "repair";
const UNDELETE: &str = "undelete";
const TITLE: &str = "Making the index anew from the packs";

/// A repair run, whole.
pub(crate) async fn repair(job: &Job) -> Result<Ending, JobError> {
    job.refuse_worn_out()?;
    let (store, ctx, vaults) = (job.desk.store(), &job.hold.ctx, job.desk.vaults());
    let id = job.vault_id()?;
    let asked: RepairVault = job.request()?;
    if asked.undelete {
        undelete(job, id).await?;
    }
    let vault = vaults.open_for_repair(id).await?;
    let copies = store.copies_in(id).await?;
    ctx.step(STEP, TITLE, StepState::Started, None, None);
    let meter = Meter::new();
    let telling = job.telling(STEP, &meter);
    let cancel = ctx.cancel.clone();
    let options = RepairOptions { read_data: asked.read_data, ..RepairOptions::default() };
    let report = blocking(vault.clone(), move |vault| vault.repair(&options, &cancel, &meter)).await;
    drop(telling);
    // What is in memory of it was read before.
    vaults.close(id).await;
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            ctx.step(STEP, TITLE, StepState::Failed, None, Some(error.to_string()));
            return Err(error.into());
        }
    };
    for problem in report.bad_packs.iter().chain(&report.bad_index_files) {
        job.log(Level::Warning, format!("damaged: {}", problem.what));
    }
    let missing = check::missing(job, id, vault, &copies).await?;
    let lacking = lacking(&report, &copies);
    for (checkpoint, what) in lacking.iter().chain(&missing) {
        store.record_integrity(&job.claim, checkpoint, id, Integrity::Damaged, Some(what)).await?;
        job.log(Level::Error, format!("the checkpoint {checkpoint} is not whole any more: {what}"));
    }
    store.distrust_packs(id).await?;
    let told = told(&report, lacking.len(), missing.len());
    ctx.step(STEP, TITLE, StepState::Done, None, None);
    let well = report.snapshots.is_empty() && missing.is_empty();
    let state = if well { RunState::Succeeded } else { RunState::Warning };
    Ok(Ending { state, message: Some(told), gate_open: None })
}

async fn undelete(job: &Job, id: &VaultId) -> Result<(), JobError> {
    let ctx = &job.hold.ctx;
    let title = "Bringing back what was removed from the bucket";
    ctx.step(UNDELETE, title, StepState::Started, None, None);
    match job.desk.vaults().undelete(id).await {
        Ok(found) => {
            let (seen, written) = (found.seen_again.len(), found.written_again.len());
            let detail = format!("{seen} files are seen again, {written} were overwritten and are as before");
            for lost in &found.lost {
                job.log(Level::Warning, format!("no version of it is what it was: {lost}"));
            }
            ctx.step(UNDELETE, title, StepState::Done, None, Some(detail));
            Ok(())
        }
        Err(error) => {
            ctx.step(UNDELETE, title, StepState::Failed, None, Some(error.to_string()));
            Err(error.into())
        }
    }
}

/// Checkpoints whose snapshots lack data, each with the first thing that is wrong with it.
fn lacking(report: &RepairReport, copies: &[(CheckpointId, String)]) -> Vec<(CheckpointId, String)> {
    let of = |(checkpoint, snapshot): &(CheckpointId, String)| {
        let found = report.snapshots.iter().find(|known| known.id.to_string() == *snapshot)?;
        let what = found.problems.first().map_or("it lacks data", |problem| problem.what.as_str());
        Some((checkpoint.clone(), what.to_owned()))
    };
    copies.iter().filter_map(of).collect()
}

fn told(report: &RepairReport, lacking: usize, missing: usize) -> String {
    let mut said = format!("the index names {} packs with {} blobs", report.packs, report.blobs);
    if !report.bad_packs.is_empty() {
        said.push_str(&format!(
            "; {} damaged packs were left out, {} of their blobs saved",
            report.bad_packs.len(),
            report.blobs_saved
        ));
    }
    match (report.snapshots.len(), lacking) {
        (0, _) if missing == 0 => said.push_str("; every snapshot is whole"),
        (0, _) => said.push_str("; every snapshot that is there is whole"),
        (all, checkpoints) => said
            .push_str(&format!("; {all} snapshots lack data, {checkpoints} of them checkpoints: the log names them")),
    }
    match missing {
        0 => {}
        1 => said.push_str("; the snapshot of one checkpoint is gone: the log names it"),
        many => said.push_str(&format!("; the snapshots of {many} checkpoints are gone: the log names them")),
    }
    said
}
