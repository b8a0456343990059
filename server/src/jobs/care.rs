//! What is done besides runs: taking up what an earlier process left, leases that ran out, snapshots to be forgotten,
//! daily samples.

use std::{path::Path, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{Desk, catalogue, export, facts, upkeep};
use crate::{compare, tables, vaults::blocking};

/// How often leases are looked at.
const LEASES: Duration = Duration::from_secs(5);
/// How often samples are taken and deletions finished.
const HOURLY: Duration = Duration::from_secs(3600);
/// How often facts are offered again to a vault that could not take them.
const FACTS: Duration = Duration::from_secs(60);

/// Before any worker starts: an earlier process of ours is gone, and what it held is free again.
pub(crate) async fn take_over(desk: &Desk) {
    // Throwaway servers first: what they write to is removed after them.
    holdfast_engine::postgres::sweep(&desk.settings().scratch).await;
    sweep(&desk.settings().scratch);
    match desk.vaults().remove_dead_locks().await {
        Ok(0) => {}
        Ok(many) => tracing::info!(many, "locks of dead processes were removed"),
        Err(error) => tracing::error!(%error, "locks of dead processes could not be removed"),
    }
    // One server on this catalogue: whatever is running there was ours, and is not running.
    match desk.store().reap(desk.store().has_one_server()).await {
        Ok(runs) if runs.is_empty() => {}
        Ok(runs) => tracing::warn!(many = runs.len(), "runs of an earlier process are taken up"),
        Err(error) => tracing::error!(%error, "runs of an earlier process could not be taken up"),
    }
    facts::append_all(desk).await;
}

/// Until `stop`.
pub(crate) async fn keep(desk: Desk, stop: CancellationToken) {
    let mut leases = tokio::time::interval(LEASES);
    let mut hourly = tokio::time::interval(HOURLY);
    let mut waiting = tokio::time::interval(FACTS);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = leases.tick() => {
                if let Err(error) = desk.store().reap(false).await {
                    tracing::error!(%error, "leases could not be looked at");
                }
            }
            _ = waiting.tick() => facts::append_all(&desk).await,
            _ = hourly.tick() => {
                if let Err(error) = desk.store().sample().await {
                    tracing::error!(%error, "the daily sample could not be taken");
                }
                forget(&desk).await;
                upkeep::ask(&desk).await;
            }
        }
    }
}

/// Removes the snapshots of deleted checkpoints from their vaults. What fails is tried again in an hour.
pub(crate) async fn forget(desk: &Desk) {
    let waiting = match desk.store().unforgotten().await {
        Ok(waiting) => waiting,
        Err(error) => return tracing::error!(%error, "deleted checkpoints could not be read"),
    };
    for (checkpoint, vault, snapshot) in waiting {
        let gone = async {
            let open = desk.vaults().get(&vault).await?;
            if let Ok(id) = snapshot.parse() {
                blocking(open.vault, move |vault| match vault.forget(&id) {
                    Err(holdfast_vault::Error::NoSuchSnapshot(_)) => Ok(()),
                    done => done,
                })
                .await?;
            }
            desk.store().forgotten(&checkpoint, &vault).await?;
            Ok::<(), crate::vaults::VaultsError>(())
        };
        if let Err(error) = gone.await {
            tracing::error!(%checkpoint, %error, "a deleted checkpoint's snapshot could not be forgotten yet");
        }
    }
}

/// Throwaway copies that an earlier process left.
fn sweep(scratch: &Path) {
    let Ok(entries) = std::fs::read_dir(scratch) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if ["run_", catalogue::SCRATCH, export::SCRATCH, compare::SCRATCH, tables::SCRATCH]
            .iter()
            .any(|ours| name.starts_with(ours))
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "scratch space could not be swept");
        }
    }
}
