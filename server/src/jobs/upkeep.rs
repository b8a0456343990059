//! When a vault is due for what is done with it as a whole: a prune and a check of a share of its data once a day. Asked
//! for as runs, one for each vault and day, however many servers there are.

use holdfast_model::{
    id::VaultId,
    request::{CheckVault, Depth, PruneVault},
    state::{RunKind, Trigger},
};

use super::Desk;
use crate::{
    store::{NewRun, On, StoreError},
    vaults::{OpenVault, VaultsError, blocking},
};

/// Between two of a kind: a day, with some room for the hour at which it is looked at.
const EVERY: i64 = 23 * 3600;
/// Every pack is read within so many days.
pub(crate) const PARTS: u32 = 30;

/// Asks for what is due. What cannot be asked for now is asked for in an hour.
pub(crate) async fn ask(desk: &Desk) {
    if let Err(error) = due(desk).await {
        tracing::error!(%error, "the upkeep of vaults could not be asked for");
    }
}

async fn due(desk: &Desk) -> Result<(), StoreError> {
    let store = desk.store();
    for id in store.vaults_to_prune(EVERY).await? {
        slot(desk, RunKind::Prune, &id, &PruneVault::default()).await?;
    }
    for (id, part) in store.vaults_to_check(EVERY).await? {
        let depth = Depth::Part { part: part.clamp(1, PARTS), of: PARTS };
        slot(desk, RunKind::Check, &id, &CheckVault { location: None, depth }).await?;
    }
    copy_to_mirrors(desk).await
}

/// Asks for a copy into every mirror that lacks something.
pub(crate) async fn copy_to_mirrors(desk: &Desk) -> Result<(), StoreError> {
    for vault in desk.store().mirrors_behind().await? {
        let run = NewRun {
            kind: RunKind::Copy,
            on: On::Vault(vault),
            checkpoint: None,
            request: serde_json::Value::Object(serde_json::Map::new()),
            created_by: "server".into(),
            trigger: Trigger::Schedule,
            slot: None,
        };
        desk.store().enqueue(run).await?;
    }
    Ok(())
}

/// Keeps how full a vault is.
pub(crate) async fn measure(desk: &Desk, open: &OpenVault) -> Result<(), VaultsError> {
    let seen = blocking(open.vault.clone(), |vault| Ok((vault.stats()?.stored_bytes, vault.free()?))).await;
    let (stored, free) = seen?;
    Ok(desk.store().vault_holds(&open.id, stored, free).await?)
}

async fn slot(
    desk: &Desk,
    kind: RunKind,
    vault: &VaultId,
    request: &(impl serde::Serialize + Sync),
) -> Result<(), StoreError> {
    let run = NewRun {
        kind,
        on: On::Vault(vault.clone()),
        checkpoint: None,
        request: serde_json::to_value(request).map_err(|error| StoreError::corrupt("request", error))?,
        created_by: "server".into(),
        trigger: Trigger::Schedule,
        slot: Some(format!("{kind}/{vault}/{}", time::OffsetDateTime::now_utc().date())),
    };
    match desk.store().enqueue(run).await {
        Err(error) if error.is_unique_violation() => Ok(()),
        done => done.map(|_| ()),
    }
}
