//! Facts on their way into a vault: what became true of checkpoints after their seal is appended as a small snapshot
//! of its own, so that a rebuilt catalogue knows it too.
//!
//! The catalogue has each fact first, under the fence of the run that found it. Appending one again after a crash in
//! between does no harm: its id says that it is the same. A vault that cannot be written to now is tried again later.

use holdfast_model::{
    event::Level,
    fact::Fact,
    id::{FactId, VaultId},
};
use holdfast_vault::{Cancel, Error as VaultError, Node, SnapshotDraft, SnapshotId, Vault};
use time::OffsetDateTime;

use super::{
    Desk,
    job::Job,
    seal::{file, hostname},
};
use crate::{
    store::StoreError,
    vaults::{OpenVault, VaultsError, blocking, tags},
};

/// Facts in one snapshot.
const MOST: u32 = 500;
/// So many snapshots of facts may stand beside each other; a prune makes few of more.
const MANY: usize = 30;

/// Appends what a run has found; a failure is told in its log and takes nothing from it.
pub(crate) async fn append_for(job: &Job, vault: &VaultId) {
    if let Err(error) = append(&job.desk, vault, job.hold.ctx.cancel.clone()).await {
        job.log(
            Level::Warning,
            format!("the report is in the catalogue, but not in the vault yet; later again: {error}"),
        );
    }
}

/// Appends all that waits for any vault. What fails is tried again the next time.
pub(crate) async fn append_all(desk: &Desk) {
    let behind = match desk.store().vaults_behind().await {
        Ok(behind) => behind,
        Err(error) => return tracing::error!(%error, "waiting facts could not be read"),
    };
    for vault in behind {
        match append(desk, &vault, Cancel::new()).await {
            Ok(0) => {}
            Ok(many) => tracing::info!(%vault, many, "facts were appended to a vault"),
            Err(error) => tracing::warn!(%vault, %error, "facts could not be appended to a vault yet"),
        }
    }
}

/// Appends what waits for one vault, and gives how many facts that were.
async fn append(desk: &Desk, vault: &VaultId, cancel: Cancel) -> Result<u64, VaultsError> {
    // One at a time, so that no fact is written twice for nothing.
    let _turn = desk.facts_turn().await;
    let mut appended = 0;
    loop {
        let facts = desk.store().waiting_facts(vault, MOST).await?;
        if facts.is_empty() {
            return Ok(appended);
        }
        let ids: Vec<FactId> = facts.iter().map(|fact| fact.id.clone()).collect();
        let files: Vec<(String, Vec<u8>)> = facts.iter().map(text).collect::<Result<_, _>>()?;
        let open = desk.vaults().get(vault).await?;
        let cancel = cancel.clone();
        let snapshot = blocking(open.vault, move |vault| write(vault, &files, cancel)).await?;
        desk.store().facts_appended(vault, &ids, &snapshot.to_string()).await?;
        appended += ids.len() as u64;
    }
}

/// Writes all facts of a vault into few snapshots, once they lie in many, and forgets those; gives how many there were.
/// The new ones are sealed before any old one goes.
pub(crate) async fn condense(desk: &Desk, open: &OpenVault, cancel: &Cancel) -> Result<usize, VaultsError> {
    // In a bucket with object lock none of them could go.
    if open.lock.is_some() {
        return Ok(0);
    }
    let _turn = desk.facts_turn().await;
    let store = desk.store();
    let old = store.snapshots_of_facts(&open.id).await?;
    if old.len() <= MANY {
        return Ok(0);
    }
    let mut after: Option<FactId> = None;
    loop {
        let facts = store.appended_facts(&open.id, after.as_ref(), MOST).await?;
        let Some(last) = facts.last() else { break };
        after = Some(last.id.clone());
        let ids: Vec<FactId> = facts.iter().map(|fact| fact.id.clone()).collect();
        let files: Vec<(String, Vec<u8>)> = facts.iter().map(text).collect::<Result<_, _>>()?;
        let cancel = cancel.clone();
        let snapshot = blocking(open.vault.clone(), move |vault| write(vault, &files, cancel)).await?;
        store.facts_appended(&open.id, &ids, &snapshot.to_string()).await?;
    }
    let known = store.snapshots_of_facts(&open.id).await?;
    let gone: Vec<SnapshotId> = old.iter().filter(|id| !known.contains(id)).filter_map(|id| id.parse().ok()).collect();
    let many = gone.len();
    blocking(open.vault.clone(), move |vault| {
        for id in &gone {
            match vault.forget(id) {
                Ok(()) | Err(VaultError::NoSuchSnapshot(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    })
    .await?;
    Ok(many)
}

fn text(fact: &Fact) -> Result<(String, Vec<u8>), VaultsError> {
    let text = serde_json::to_vec_pretty(fact).map_err(|error| StoreError::corrupt("fact", error))?;
    Ok((format!("{}.json", fact.id), text))
}

/// Blocking.
fn write(vault: &Vault, files: &[(String, Vec<u8>)], cancel: Cancel) -> Result<SnapshotId, VaultError> {
    let writer = vault.writer(cancel)?;
    let now = OffsetDateTime::now_utc();
    let mut nodes = Vec::with_capacity(files.len());
    for (name, content) in files {
        nodes.push(file(&writer, name, content, now)?);
    }
    let folder = Node::dir("facts", writer.put_tree(nodes)?, now);
    let tree = writer.put_tree(vec![folder])?;
    let sealed = writer.seal(SnapshotDraft {
        tree,
        time: now,
        paths: vec!["/facts".into()],
        tags: vec![tags::FACTS.into()],
        parent: None,
        hostname: hostname(),
        username: "holdfast".into(),
        program_version: format!("holdfast {}", env!("CARGO_PKG_VERSION")),
    })?;
    Ok(sealed.snapshot)
}
