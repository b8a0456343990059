//! Drill: the sealed copy is restored into scratch space and compared; its report is kept.

use std::collections::HashSet;

use holdfast_engine::DrillWork;
use holdfast_model::{
    drill::DrillReport,
    state::{Integrity, Proof},
};
use holdfast_vault::PackId;

use super::{
    facts,
    job::{Ending, Job, JobError},
};
use crate::store::{ATTEMPTS, CheckpointRow};

/// What was read whole within this time counts as read: 7 days, in seconds.
const REREAD: i64 = 7 * 24 * 3600;

/// A drill run, whole.
pub(crate) async fn drill(job: &Job) -> Result<Ending, JobError> {
    if job.claim.attempt > ATTEMPTS {
        return Err(JobError::Failed("the server stopped during this drill too often; start it again".into()));
    }
    let id = job.claim.run.view.checkpoint.clone();
    let id = id.ok_or_else(|| JobError::Failed("the run names no checkpoint".into()))?;
    let row = job.desk.store().checkpoint(&id).await?;
    of_row(job, &row).await
}

/// Drills one checkpoint and keeps what was found.
pub(crate) async fn of_row(job: &Job, row: &CheckpointRow) -> Result<Ending, JobError> {
    let store = job.desk.store();
    let open = job.desk.vaults().get(&row.vault).await?;
    let fresh = store.fresh_packs(&open.id, REREAD).await?;
    let fresh_packs: HashSet<PackId> = fresh.iter().filter_map(|pack| pack.parse().ok()).collect();
    let work = DrillWork {
        vault: open.vault,
        root: row.tree.parse().map_err(|_| JobError::Failed(format!("`{}` is not the id of a tree", row.tree)))?,
        manifest: store.manifest(&row.id).await?,
        plan: job.applied().await?.definition.drill,
        scratch: job.scratch.path(),
        fresh_packs,
        expected_ms: store.last_drill_ms(job.environment()?).await?,
    };
    let drilled = holdfast_engine::drill(work, job.desk.tools(), &job.hold.ctx).await?;
    // The events of the drill stand before its verdict.
    let packs: Vec<String> = drilled.packs_read.iter().map(ToString::to_string).collect();
    store.record_packs(&job.claim, &open.id, &packs).await?;
    if let Some(damage) = damage(&drilled.report) {
        store.distrust_packs(&open.id).await?;
        store.record_integrity(&job.claim, &row.id, &open.id, Integrity::Damaged, Some(&damage)).await?;
    }
    store.record_drill(&job.claim, &row.id, &drilled.report).await?;
    facts::append_for(job, &open.id).await;
    Ok(ending(&drilled.report))
}

fn ending(report: &DrillReport) -> Ending {
    let why = report.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
    let message = match report.verdict {
        Proof::Proven => "proven".to_owned(),
        Proof::Partial => format!("proven in part, the gate stays shut{why}"),
        Proof::Failed => format!("the drill failed, the gate stays shut{why}"),
        Proof::Unproven | Proof::Stale => format!("not proven, the gate stays shut{why}"),
    };
    Ending { gate_open: Some(report.verdict.opens_gate()), ..Ending::well(Some(message)) }
}

/// What reading back found to be damaged, if anything.
fn damage(report: &DrillReport) -> Option<String> {
    report
        .components
        .iter()
        .flat_map(|component| &component.checks)
        .find(|check| !check.passed && check.name.starts_with(READ_BACK))
        .map(|check| check.message.clone().unwrap_or_else(|| format!("{} of {}", check.name, check.component)))
}

/// The name of the engine's check that every blob of a component is what it was.
const READ_BACK: &str = "read back";
