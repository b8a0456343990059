//! Verify: every byte of a sealed checkpoint is read from the vault, decrypted and hashed, and so is what became true of
//! it since.

use std::time::Duration;

use holdfast_model::{
    event::{EventBody, Level, StepState},
    size,
    state::Integrity,
};
use holdfast_vault::{CheckScope, Error as VaultError, Meter, SnapshotId, TreeId};

use super::job::{Ending, Job, JobError};
use crate::{
    store::{ATTEMPTS, CheckpointRow},
    vaults::{OpenVault, VaultsError, blocking},
};

/// Problems that the log lists one by one.
const LISTED: usize = 20;
/// How often progress is told.
const TELL: Duration = Duration::from_millis(300);
const STEP: &str = "verify";

/// A verify run, whole.
pub(crate) async fn verify(job: &Job) -> Result<Ending, JobError> {
    if job.claim.attempt > ATTEMPTS {
        return Err(JobError::Failed("the server stopped during this verification too often; start it again".into()));
    }
    let store = job.desk.store();
    let ctx = &job.hold.ctx;
    let id = job.claim.run.view.checkpoint.clone();
    let id = id.ok_or_else(|| JobError::Failed("the run names no checkpoint".into()))?;
    let row = store.checkpoint(&id).await?;
    let open = job.desk.vaults().get(&row.vault).await?;
    ctx.step(STEP, "Reading the sealed copy", StepState::Started, None, None);
    let meter = Meter::new();
    let telling = tell(job, &meter);
    let found = read(job, &open, &row, meter).await;
    telling.abort();
    let (problems, read) = match found {
        Ok(found) => found,
        Err(JobError::Vaults(VaultsError::Vault { source: VaultError::Damaged { what }, .. })) => (vec![what], 0),
        Err(JobError::Vaults(VaultsError::Vault { source: VaultError::NoSuchSnapshot(id), .. })) => {
            (vec![format!("its snapshot {id} is not in the vault")], 0)
        }
        Err(error) => {
            ctx.step(STEP, "Not verified", StepState::Failed, None, Some(error.to_string()));
            return Err(error);
        }
    };
    for problem in problems.iter().take(LISTED) {
        job.log(Level::Error, format!("damaged: {problem}"));
    }
    if let Some(first) = problems.first() {
        let message = match problems.len() {
            1 => format!("damaged: {first}"),
            many => format!("damaged in {many} places, the first: {first}"),
        };
        store.distrust_packs(&open.id).await?;
        store.record_integrity(&job.claim, &row.id, &open.id, Integrity::Damaged, Some(&message)).await?;
        ctx.step(STEP, "Damaged", StepState::Failed, None, Some(message.clone()));
        return Err(JobError::Failed(message));
    }
    store.record_integrity(&job.claim, &row.id, &open.id, Integrity::Intact, None).await?;
    ctx.step(STEP, "Intact", StepState::Done, None, Some(format!("{} read", size::display(read))));
    Ok(Ending::well(Some(format!("intact: {} read and hashed", size::display(read)))))
}

/// Reads the checkpoint and the facts about it; gives what is damaged, and the bytes that were read.
async fn read(job: &Job, open: &OpenVault, row: &CheckpointRow, meter: Meter) -> Result<(Vec<String>, u64), JobError> {
    let bad = |what: &str| JobError::Failed(format!("`{what}` is not an id"));
    let tree: TreeId = row.tree.parse().map_err(|_| bad(&row.tree))?;
    let snapshot: SnapshotId = row.snapshot.parse().map_err(|_| bad(&row.snapshot))?;
    let facts = job.desk.store().fact_snapshots(&row.id, &open.id).await?;
    let facts: Vec<SnapshotId> = facts.iter().map(|id| id.parse().map_err(|_| bad(id))).collect::<Result<_, _>>()?;
    let cancel = job.hold.ctx.cancel.clone();
    let found = blocking(open.vault.clone(), move |vault| {
        let known = vault.snapshot(&snapshot)?;
        if known.tree != tree {
            let what = format!("the snapshot {snapshot} has another root than the catalogue says");
            return Err(VaultError::Damaged { what });
        }
        let (mut problems, mut read) = (Vec::new(), 0);
        let mut check = |tree: &TreeId| {
            let report = vault.check_tree(tree, CheckScope::AllData, &cancel, &meter)?;
            problems.extend(report.problems.into_iter().map(|problem| problem.what));
            read += report.bytes_read;
            Ok::<(), VaultError>(())
        };
        check(&tree)?;
        let mut missing = Vec::new();
        for id in facts {
            match vault.snapshot(&id) {
                Ok(known) => check(&known.tree)?,
                Err(VaultError::NoSuchSnapshot(_)) => {
                    missing.push(format!("the snapshot {id} of its drills' reports is not there"));
                }
                Err(error) => return Err(error),
            }
        }
        problems.extend(missing);
        Ok((problems, read))
    })
    .await?;
    Ok(found)
}

fn tell(job: &Job, meter: &Meter) -> tokio::task::JoinHandle<()> {
    let (events, meter) = (job.hold.ctx.events.clone(), meter.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TELL).await;
            events.emit(EventBody::Progress {
                step: STEP.into(),
                component: None,
                files: meter.files(),
                bytes: meter.bytes(),
                total: None,
                stored: meter.stored(),
                tables: 0,
                current: Some(meter.current()).filter(|current| !current.is_empty()),
            });
        }
    })
}
