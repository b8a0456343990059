//! Snapshots that plain restic wrote, seen as checkpoints: each path of one is a component of kind `files`.
//!
//! Every id follows from the snapshot's own, so that adopting it twice is adopting it once.

use std::collections::{BTreeMap, HashMap};

use holdfast_model::{
    id::{CheckpointId, EnvironmentId, RunId},
    manifest::{FORMAT, Facts, Manifest, ManifestComponent},
    name::Name,
    state::{Kind, Trigger},
};
use holdfast_vault::{Error as VaultError, Id, Snapshot, TreeId, Vault};
use serde_json::json;
use zeroize::Zeroizing;

/// Files, directories, all else, and bytes below a tree.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    files: u64,
    dirs: u64,
    others: u64,
    bytes: u64,
}

/// Makes manifests; trees that many snapshots share are counted once.
pub(crate) struct Reader<'a> {
    vault: &'a Vault,
    project: Name,
    known: HashMap<TreeId, Extent>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(vault: &'a Vault, project: Name) -> Self {
        Self { vault, project, known: HashMap::new() }
    }

    /// The manifest that the snapshot would have, had we written it. Blocking.
    pub(crate) fn manifest(&mut self, snapshot: &Snapshot) -> Result<Manifest, VaultError> {
        let millis = u64::try_from(snapshot.time.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let random = number(&snapshot.id);
        let environment = Name::nearest(&snapshot.hostname);
        let mut components = Vec::new();
        for (name, path) in components_of(snapshot) {
            let place = path.trim_start_matches('/').to_owned();
            let node = self.vault.find(&snapshot.tree, std::path::Path::new(&place))?;
            let extent = match node.subtree {
                Some(tree) => self.extent(&tree)?,
                None => Extent { files: 1, bytes: node.size, ..Extent::default() },
            };
            components.push(ManifestComponent {
                name,
                kind: Kind::Files,
                host: "local".into(),
                place,
                instant: snapshot.time,
                size: extent.bytes,
                stored: 0,
                items: extent.files + extent.dirs + extent.others,
                ledger: None,
                facts: Facts::Files {
                    path,
                    exclude: Vec::new(),
                    files: extent.files,
                    dirs: extent.dirs,
                    others: extent.others,
                    unchanged: 0,
                },
                skipped: Vec::new(),
                not_covered: vec!["what restic was told to leave out".into()],
            });
        }
        Ok(Manifest {
            format: FORMAT,
            holdfast: env!("CARGO_PKG_VERSION").to_owned(),
            tools: BTreeMap::from([("restic".to_owned(), snapshot.program_version.clone())]),
            checkpoint: CheckpointId::from_parts(millis, random),
            run: RunId::from_parts(millis, random),
            attempt: 1,
            name: None,
            description: None,
            tags: snapshot.tags.clone(),
            project: self.project.clone(),
            environment_id: environment_id(&self.project, &environment),
            environment,
            created_at: snapshot.time,
            created_by: format!("{}@{}", snapshot.username, snapshot.hostname),
            trigger: Trigger::Import,
            metadata: BTreeMap::from([("restic_snapshot".to_owned(), snapshot.id.to_string())]),
            skew_ms: 0,
            total: components.iter().map(|component| component.size).sum(),
            stored: 0,
            components,
            left_out: Vec::new(),
            previous: None,
        })
    }

    /// The definition that captures the same again.
    pub(crate) fn definition(manifest: &Manifest) -> Zeroizing<Vec<u8>> {
        let components: Vec<_> = manifest
            .components
            .iter()
            .map(|component| json!({"name": component.name, "kind": "files", "path": format!("/{}", component.place)}))
            .collect();
        let definition =
            json!({"project": manifest.project, "environment": manifest.environment, "components": components});
        Zeroizing::new(definition.to_string().into_bytes())
    }

    fn extent(&mut self, tree: &TreeId) -> Result<Extent, VaultError> {
        if let Some(known) = self.known.get(tree) {
            return Ok(*known);
        }
        let mut extent = Extent { dirs: 1, ..Extent::default() };
        for node in self.vault.tree(tree)?.nodes {
            if let Some(inner) = &node.subtree {
                let inner = self.extent(inner)?;
                extent.files += inner.files;
                extent.dirs += inner.dirs;
                extent.others += inner.others;
                extent.bytes += inner.bytes;
            } else if node.is_file() {
                extent.files += 1;
                extent.bytes += node.size;
            } else {
                extent.others += 1;
            }
        }
        self.known.insert(*tree, extent);
        Ok(extent)
    }
}

/// The first eight bytes of an id.
fn number(id: &Id) -> u64 {
    u64::from_str_radix(&id.to_string()[..16], 16).unwrap_or(0)
}

fn environment_id(project: &Name, environment: &Name) -> EnvironmentId {
    EnvironmentId::from_parts(0, number(&Id::of(format!("{project}/{environment}").as_bytes())))
}

/// Each path with the name of its component: its last part, numbered where two have the same.
fn components_of(snapshot: &Snapshot) -> Vec<(Name, String)> {
    let mut taken: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for path in &snapshot.paths {
        let plain = Name::nearest(path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("root"));
        let many = taken.entry(plain.to_string()).or_insert(0);
        *many += 1;
        let numbered = if *many == 1 { plain } else { Name::nearest(&format!("{:.55}-{many}", plain.as_str())) };
        found.push((numbered, path.clone()));
    }
    found
}
