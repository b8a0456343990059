//! A tree sealed as a checkpoint, with a manifest that says what it must and no more.

use std::collections::BTreeMap;

use holdfast_model::{
    id::{CheckpointId, EnvironmentId, RunId},
    manifest::{FORMAT, Manifest, ManifestComponent},
    state::Trigger,
};
use holdfast_vault::{Node, Sealed, SnapshotDraft, TreeId, Writer};
use time::OffsetDateTime;

/// The manifest of these components.
pub fn manifest(time: OffsetDateTime, components: Vec<ManifestComponent>) -> Manifest {
    Manifest {
        format: FORMAT,
        holdfast: "test".into(),
        tools: BTreeMap::new(),
        checkpoint: CheckpointId::from_parts(1, 1),
        run: RunId::from_parts(1, 1),
        attempt: 1,
        name: None,
        description: None,
        tags: Vec::new(),
        project: "shop".parse().unwrap(),
        environment: "test".parse().unwrap(),
        environment_id: EnvironmentId::from_parts(1, 1),
        created_at: time,
        created_by: "test".into(),
        trigger: Trigger::Manual,
        metadata: BTreeMap::new(),
        skew_ms: 0,
        total: components.iter().map(|c| c.size).sum(),
        stored: components.iter().map(|c| c.stored).sum(),
        components,
        left_out: Vec::new(),
        previous: None,
    }
}

/// Seals what `nodes` gives for the root.
pub fn seal(
    writer: Writer,
    manifest: Manifest,
    nodes: impl FnOnce(&Writer, &Manifest) -> Vec<Node>,
) -> (Manifest, TreeId, Sealed) {
    let nodes = nodes(&writer, &manifest);
    let tree = writer.put_tree(nodes).unwrap();
    let draft = SnapshotDraft {
        tree,
        time: manifest.created_at,
        paths: vec!["/shop/test".into()],
        tags: vec!["holdfast".into()],
        parent: None,
        hostname: "host".into(),
        username: "test".into(),
        program_version: "holdfast test".into(),
    };
    (manifest, tree, writer.seal(draft).unwrap())
}
