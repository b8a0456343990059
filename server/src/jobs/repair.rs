//! Repair: a vault's index is made anew from its packs. What cannot be whole again is told of each checkpoint; nothing
//! is removed.

use holdfast_model::{
    event::{Level, StepState},
    id::VaultId,
    request::RepairVault,
    state::{Integrity, RunState},
};
use holdfast_vault::{Meter, RepairOptions, RepairReport};

use super::job::{Ending, Job, JobError};
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
    let report = blocking(vault, move |vault| vault.repair(&options, &cancel, &meter)).await;
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
    let mut broken = 0;
    for (checkpoint, snapshot) in &copies {
        let Some(found) = report.snapshots.iter().find(|known| known.id.to_string() == *snapshot) else { continue };
        broken += 1;
        let what = found.problems.first().map_or("it lacks data", |problem| problem.what.as_str());
        store.record_integrity(&job.claim, checkpoint, id, Integrity::Damaged, Some(what)).await?;
        job.log(Level::Error, format!("the checkpoint {checkpoint} is not whole any more: {what}"));
    }
    store.distrust_packs(id).await?;
    let told = told(&report, broken);
    ctx.step(STEP, TITLE, StepState::Done, None, None);
    let state = if report.snapshots.is_empty() { RunState::Succeeded } else { RunState::Warning };
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

fn told(report: &RepairReport, broken: usize) -> String {
    let mut said = format!("the index names {} packs with {} blobs", report.packs, report.blobs);
    if !report.bad_packs.is_empty() {
        said.push_str(&format!(
            "; {} damaged packs were left out, {} of their blobs saved",
            report.bad_packs.len(),
            report.blobs_saved
        ));
    }
    match (report.snapshots.len(), broken) {
        (0, _) => said.push_str("; every snapshot is whole"),
        (all, checkpoints) => said
            .push_str(&format!("; {all} snapshots lack data, {checkpoints} of them checkpoints: the log names them")),
    }
    said
}
