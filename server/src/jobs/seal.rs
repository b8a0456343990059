//! The seal: manifest, definition and root tree of a checkpoint become one snapshot, which is its commit point; and
//! how a seal that has happened is found again.

use std::{collections::BTreeMap, io::Write as _, sync::Arc};

use holdfast_engine::Captured;
use holdfast_model::{id::CheckpointId, manifest::Manifest};
use holdfast_vault::{Chunking, Error as VaultError, Meter, Node, Snapshot, SnapshotDraft, SnapshotId, TreeId, Writer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::job::JobError;
use crate::{
    store::Publication,
    vaults::{OpenVault, blocking, contents::text, tags},
};

/// Everything that becomes one snapshot.
pub(crate) struct Draft {
    pub(crate) manifest: Manifest,
    /// The exact text of `manifest.json`.
    pub(crate) text: String,
    /// `environment.json`: the definition with its secrets.
    pub(crate) environment: Zeroizing<Vec<u8>>,
    pub(crate) captured: Captured,
    pub(crate) parent: Option<SnapshotId>,
    pub(crate) hostname: String,
}

/// What is in the vault once [`seal`] returns.
pub(crate) struct Done {
    pub(crate) snapshot: SnapshotId,
    pub(crate) tree: TreeId,
    /// Bytes that the whole checkpoint added, manifest and trees included.
    pub(crate) stored: u64,
}

/// Writes the last files and the root, then the snapshot. Blocking.
pub(crate) fn seal(writer: Arc<Writer>, draft: &Draft) -> Result<Done, VaultError> {
    let tree = root(&writer, draft)?;
    let writer = Arc::try_unwrap(writer)
        .map_err(|_| VaultError::Refused("a component is still writing after its capture ended".into()))?;
    let manifest = &draft.manifest;
    let sealed = writer.seal(SnapshotDraft {
        tree,
        time: manifest.created_at,
        paths: vec![format!("/{}/{}", manifest.project, manifest.environment)],
        tags: vec![
            tags::OURS.to_owned(),
            tags::checkpoint(&manifest.checkpoint),
            tags::attempt(manifest.attempt),
            format!("holdfast-env:{}/{}", manifest.project, manifest.environment),
        ],
        parent: draft.parent,
        hostname: draft.hostname.clone(),
        username: manifest.created_by.clone(),
        program_version: format!("holdfast {}", manifest.holdfast),
    })?;
    Ok(Done { snapshot: sealed.snapshot, tree, stored: sealed.stored })
}

fn root(writer: &Writer, draft: &Draft) -> Result<TreeId, VaultError> {
    let at = draft.manifest.created_at;
    let mut folders: BTreeMap<&str, Vec<Node>> = BTreeMap::new();
    for component in &draft.captured.components {
        let (folder, name) =
            component.manifest.place.split_once('/').ok_or_else(|| {
                VaultError::Refused(format!("{} is no place in a checkpoint", component.manifest.place))
            })?;
        folders.entry(folder).or_default().push(component.node.clone().with_name(name));
    }
    let mut nodes = vec![
        file(writer, "manifest.json", draft.text.as_bytes(), at)?,
        file(writer, "environment.json", &draft.environment, at)?,
    ];
    for (folder, entries) in folders {
        nodes.push(Node::dir(folder, writer.put_tree(entries)?, at));
    }
    writer.put_tree(nodes)
}

/// A small file, written whole.
pub(super) fn file(writer: &Writer, name: &str, content: &[u8], at: OffsetDateTime) -> Result<Node, VaultError> {
    let mut stream = writer.stream(Chunking::Files, &Meter::new());
    stream.write_all(content).map_err(|error| {
        VaultError::from_io(&error).cloned().unwrap_or_else(|| VaultError::Refused(format!("{name}: {error}")))
    })?;
    let streamed = stream.finish()?;
    Ok(Node::file(name, streamed.content, streamed.bytes, at))
}

/// This host's name, as snapshots carry it.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A seal that was found again.
pub(crate) struct Found {
    pub(crate) publication: Publication,
    /// Snapshots of later attempts, which were forgotten.
    pub(crate) forgotten: Vec<SnapshotId>,
}

/// Looks whether a checkpoint has been sealed. Of several snapshots the lowest attempt stands, the others are
/// forgotten.
pub(crate) async fn find(open: &OpenVault, checkpoint: &CheckpointId) -> Result<Option<Found>, JobError> {
    let wanted = tags::checkpoint(checkpoint);
    let found = blocking(open.vault.clone(), move |vault| {
        let mut ours: Vec<Snapshot> =
            vault.snapshots()?.into_iter().filter(|snapshot| snapshot.tags.contains(&wanted)).collect();
        ours.sort_by_key(|snapshot| (tags::attempt_of(snapshot), snapshot.time, snapshot.id));
        let mut ours = ours.into_iter();
        let Some(first) = ours.next() else { return Ok(None) };
        let text = text(vault, &first.tree, "manifest.json")?;
        let mut forgotten = Vec::new();
        for later in ours {
            vault.forget(&later.id)?;
            forgotten.push(later.id);
        }
        Ok(Some((first, text, forgotten)))
    })
    .await?;
    let Some((snapshot, text, forgotten)) = found else { return Ok(None) };
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| JobError::Failed(format!("the sealed manifest of {checkpoint} cannot be read: {error}")))?;
    if &manifest.checkpoint != checkpoint {
        return Err(JobError::Failed(format!("the snapshot {} is of another checkpoint", snapshot.id)));
    }
    Ok(Some(Found {
        publication: Publication {
            manifest,
            text,
            vault: open.id.clone(),
            snapshot: snapshot.id.to_string(),
            tree: snapshot.tree.to_string(),
        },
        forgotten,
    }))
}
