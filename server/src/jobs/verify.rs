//! Verify: every byte of a sealed checkpoint is read from the vault, decrypted and hashed, and so is what became true of
//! it since.

use holdfast_model::{
    event::{Level, StepState},
    id::CheckpointId,
    size,
    state::{Integrity, VaultRole},
};
use holdfast_vault::{CheckScope, Error as VaultError, Meter, SnapshotId, TreeId};

use super::job::{Ending, Job, JobError};
use crate::{
    store::CopyRow,
    vaults::{OpenVault, VaultsError, blocking},
};

/// Problems that the log lists one by one.
const LISTED: usize = 20;
const STEP: &str = "verify";

/// A verify run, whole: every copy that the checkpoint has.
pub(crate) async fn verify(job: &Job) -> Result<Ending, JobError> {
    job.refuse_worn_out()?;
    let store = job.desk.store();
    let id = job.claim.run.view.checkpoint.clone();
    let id = id.ok_or_else(|| JobError::Failed("the run names no checkpoint".into()))?;
    store.checkpoint(&id).await?;
    let (mut read, mut damaged, mut unread) = (0, None, None);
    for copy in store.copies_of(&id).await? {
        if copy.view.role == VaultRole::Former {
            continue;
        }
        match one(job, &id, &copy).await {
            Ok(Found::Intact(bytes)) => read += bytes,
            Ok(Found::Damaged(message)) => damaged = damaged.or(Some(message)),
            Err(JobError::Cancelled) => return Err(JobError::Cancelled),
            // The other copies are looked at all the same.
            Err(error) => unread = unread.or(Some(error)),
        }
    }
    match (damaged, unread) {
        (Some(message), _) => Err(JobError::Failed(message)),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Ending::well(Some(format!("intact: {} read and hashed", size::display(read))))),
    }
}

/// What reading one copy showed.
enum Found {
    /// Nothing is wrong; so many bytes were read.
    Intact(u64),
    /// What is wrong.
    Damaged(String),
}

async fn one(job: &Job, id: &CheckpointId, copy: &CopyRow) -> Result<Found, JobError> {
    let (store, ctx) = (job.desk.store(), &job.hold.ctx);
    let title = match copy.view.role {
        VaultRole::Primary => "Reading the sealed copy".to_owned(),
        _ => format!("Reading the copy in {}", copy.view.repository),
    };
    ctx.step(STEP, &title, StepState::Started, None, None);
    let found = match job.desk.vaults().get(&copy.vault).await {
        Ok(open) => {
            let meter = Meter::new();
            let _telling = job.telling(STEP, &meter);
            read(job, &open, id, copy, meter).await
        }
        Err(error) => Err(error.into()),
    };
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
        store.distrust_packs(&copy.vault).await?;
        store.record_integrity(&job.claim, id, &copy.vault, Integrity::Damaged, Some(&message)).await?;
        ctx.step(STEP, "Damaged", StepState::Failed, None, Some(message.clone()));
        return Ok(Found::Damaged(message));
    }
    store.record_integrity(&job.claim, id, &copy.vault, Integrity::Intact, None).await?;
    ctx.step(STEP, "Intact", StepState::Done, None, Some(format!("{} read", size::display(read))));
    Ok(Found::Intact(read))
}

/// Reads the checkpoint and the facts about it; gives what is damaged, and the bytes that were read.
async fn read(
    job: &Job,
    open: &OpenVault,
    id: &CheckpointId,
    copy: &CopyRow,
    meter: Meter,
) -> Result<(Vec<String>, u64), JobError> {
    let bad = |what: &str| JobError::Failed(format!("`{what}` is not an id"));
    let tree: TreeId = copy.tree.parse().map_err(|_| bad(&copy.tree))?;
    let snapshot: SnapshotId = copy.view.snapshot.parse().map_err(|_| bad(&copy.view.snapshot))?;
    let facts = job.desk.store().fact_snapshots(id, &open.id).await?;
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
