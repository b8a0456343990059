//! Taking out of a vault what no checkpoint needs any more: once a day, and when somebody asks. Whoever wants to take or
//! restore a checkpoint goes first: the prune stops at its next safe point and goes on the next time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_model::{id::VaultId, size};
use holdfast_vault::{Cancel, Meter, PruneOptions, PruneReport, SnapshotId, Stopped, Vault};
use tokio_util::task::AbortOnDropHandle;

use super::Desk;
use crate::{
    store::StoreError,
    vaults::{VaultsError, blocking},
};

/// Between two prunes of a vault: a day, with some room for the hour at which it is looked at.
const EVERY: i64 = 23 * 3600;
/// How often the queue is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(500);

/// Prunes every vault whose day has come.
pub(crate) async fn prune_due(desk: &Desk) {
    let due = match desk.store().vaults_to_prune(EVERY).await {
        Ok(due) => due,
        Err(error) => return tracing::error!(%error, "the vaults to prune could not be read"),
    };
    for vault in due {
        match prune(desk, &vault, "server", Cancel::new()).await {
            Ok(report) => tracing::info!(%vault, result = told(&report), "a vault was pruned"),
            Err(error) => tracing::warn!(%vault, %error, "a vault could not be pruned; in an hour again"),
        }
    }
}

/// Prunes one vault now; audited.
pub(crate) async fn prune(desk: &Desk, id: &VaultId, by: &str, cancel: Cancel) -> Result<PruneReport, VaultsError> {
    let store = desk.store();
    let open = desk.vaults().get(id).await?;
    let expected = store.snapshots_of(id).await?;
    let expected: Vec<SnapshotId> = expected
        .iter()
        .map(|id| id.parse().map_err(|error| StoreError::corrupt("snapshot id", error)))
        .collect::<Result<_, _>>()?;
    let options = PruneOptions { expected_snapshots: expected, ..PruneOptions::default() };
    let wanted = Arc::new(AtomicBool::new(store.wants_vault(id).await?));
    let (seen, looking, vault) = (wanted.clone(), store.clone(), id.clone());
    let _looking = AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            if let Ok(now) = looking.wants_vault(&vault).await {
                wanted.store(now, Ordering::Relaxed);
            }
        }
    }));
    let report = blocking(open.vault.clone(), move |vault| {
        vault.prune(&options, &cancel, &Meter::new(), &|| seen.load(Ordering::Relaxed))
    })
    .await?;
    store.pruned(id, by, report.is_done(), &told(&report)).await?;
    let stats = blocking(open.vault, Vault::stats).await?;
    store.vault_holds(id, stats.stored_bytes).await?;
    Ok(report)
}

/// What a prune did, in one sentence for people.
pub(crate) fn told(report: &PruneReport) -> String {
    let mut said = format!(
        "{} freed, {} wait for the end of their grace, {} in use",
        size::display(report.bytes_removed),
        size::display(report.bytes_waiting),
        size::display(report.bytes_used),
    );
    match &report.stopped {
        None => {}
        Some(Stopped::Wanted) => said.push_str("; it gave way to a checkpoint, and goes on the next time"),
        Some(Stopped::Cancelled) => said.push_str("; it was cancelled, and goes on the next time"),
        Some(Stopped::Busy { by }) => said.push_str(&format!("; it gave way to {by}, and goes on the next time")),
    }
    if !report.damaged.is_empty() {
        said.push_str(&format!(
            "; {} packs are damaged and stay as they are: verify the checkpoints",
            report.damaged.len()
        ));
    }
    said
}
