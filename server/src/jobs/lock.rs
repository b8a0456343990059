//! In a bucket with object lock a seal is followed by a lock: what the checkpoint stands on cannot be removed for the
//! vault's period, by no credential at all.

use holdfast_model::{
    event::{Level, StepState},
    id::CheckpointId,
};
use holdfast_vault::{FileKind, Meter, SnapshotId};
use time::OffsetDateTime;

use super::job::{Job, JobError};
use crate::{
    store::StoreError,
    vaults::{
        OpenVault, blocking,
        place::{margin, period},
    },
};

const STEP: &str = "lock";
const TITLE: &str = "Locking the sealed copy in its bucket";

/// Locks a checkpoint's copy where its vault does that. The seal has happened: what cannot be locked is said, and the
/// checkpoint is not called locked.
pub(crate) async fn lock(
    job: &Job,
    open: &OpenVault,
    checkpoint: &CheckpointId,
    snapshot: &str,
) -> Result<(), JobError> {
    let Some(lock) = open.lock else { return Ok(()) };
    let ctx = &job.hold.ctx;
    ctx.step(STEP, TITLE, StepState::Started, None, None);
    // What this run wrote is locked from a later moment on than its beginning, so none of it has to be extended.
    let from = job.claim.run.view.started_at.unwrap_or_else(OffsetDateTime::now_utc);
    let until = from + period(lock);
    match extend(job, open, checkpoint, snapshot, until).await {
        Ok(extended) => {
            let detail = format!("until {}, {extended} locks set or extended", until.date());
            ctx.step(STEP, TITLE, StepState::Done, None, Some(detail));
            Ok(())
        }
        Err(JobError::Store(StoreError::Fenced)) => Err(JobError::Store(StoreError::Fenced)),
        Err(JobError::Cancelled) => Err(JobError::Cancelled),
        Err(error) => {
            ctx.step(STEP, TITLE, StepState::Failed, None, Some(error.to_string()));
            job.log(Level::Warning, format!("sealed, but not locked: {error}"));
            Ok(())
        }
    }
}

async fn extend(
    job: &Job,
    open: &OpenVault,
    checkpoint: &CheckpointId,
    snapshot: &str,
    until: OffsetDateTime,
) -> Result<usize, JobError> {
    let store = job.desk.store();
    let snapshot: SnapshotId = snapshot.parse().map_err(|error| StoreError::corrupt("snapshot id", error))?;
    let locks = store.file_locks(&open.id).await?;
    let further = until + open.lock.map(margin).unwrap_or_default();
    let cancel = job.hold.ctx.cancel.clone();
    let retained = blocking(open.vault.clone(), move |vault| {
        // What is locked for long enough counts as locked for as long as anything.
        let known = |kind: FileKind, name: &str| {
            let known = locks.get(&file(kind, name)).copied()?;
            Some(if known >= until { further } else { known })
        };
        vault.retain(&snapshot, further, &known, &cancel, &Meter::new())
    })
    .await?;
    let files: Vec<(String, OffsetDateTime)> = retained
        .extended
        .iter()
        .chain(&retained.asked)
        .map(|(kind, name, until)| (file(*kind, name), *until))
        .collect();
    store.locked(&job.claim, &open.id, &files, checkpoint, until).await?;
    Ok(retained.extended.len())
}

fn file(kind: FileKind, name: &str) -> String {
    format!("{}/{name}", kind.word())
}
