//! What a vault says of itself: the checkpoints in it, what became true of them, and snapshots of others.

use std::{
    collections::{BTreeMap, HashSet},
    io::Read as _,
    path::Path,
};

use holdfast_model::{
    fact::{self, Fact},
    id::{CheckpointId, FactId},
    manifest::{self, Manifest},
};
use holdfast_vault::{Error as VaultError, Snapshot, TreeId, Vault};
use zeroize::Zeroizing;

use super::tags;

/// Everything that an adoption can make rows of.
pub(crate) struct Contents {
    /// By the moment that they hold, oldest first; one for each checkpoint.
    pub(crate) checkpoints: Vec<Sealed>,
    /// In the order in which they became true, each once, with the snapshot in which it stands.
    pub(crate) facts: Vec<(Fact, String)>,
    /// Snapshots that Holdfast did not write, oldest first.
    pub(crate) foreign: Vec<Snapshot>,
    /// What could not be read, for people.
    pub(crate) problems: Vec<String>,
}

/// A checkpoint as it lies in a vault.
pub(crate) struct Sealed {
    pub(crate) manifest: Manifest,
    /// `manifest.json`, byte for byte.
    pub(crate) text: String,
    pub(crate) snapshot: Snapshot,
}

/// Reads all that a vault says. What cannot be read is listed and does not keep the rest from being read. Blocking.
pub(crate) fn read(vault: &Vault) -> Result<Contents, VaultError> {
    let mut contents =
        Contents { checkpoints: Vec::new(), facts: Vec::new(), foreign: Vec::new(), problems: Vec::new() };
    let mut checkpoints: BTreeMap<CheckpointId, Snapshot> = BTreeMap::new();
    let mut of_facts = Vec::new();
    for id in vault.snapshot_ids()? {
        let snapshot = match vault.snapshot(&id) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                contents.problems.push(format!("snapshot {id}: {error}"));
                continue;
            }
        };
        if snapshot.tags.iter().any(|tag| tag == tags::FACTS) {
            of_facts.push(snapshot);
        } else if let Some(checkpoint) = tags::checkpoint_of(&snapshot) {
            // Of two of one checkpoint the lowest attempt stands.
            let earlier = checkpoints.get(&checkpoint).is_none_or(|known| rank(&snapshot) < rank(known));
            if earlier {
                checkpoints.insert(checkpoint, snapshot);
            }
        } else if !snapshot.tags.iter().any(|tag| tag.starts_with(tags::OURS)) {
            contents.foreign.push(snapshot);
        }
    }
    for (id, snapshot) in checkpoints {
        match sealed(vault, &id, snapshot) {
            Ok(sealed) => contents.checkpoints.push(sealed),
            Err(why) => contents.problems.push(format!("{id}: {why}")),
        }
    }
    contents.checkpoints.sort_by_key(|sealed| sealed.manifest.created_at);
    contents.foreign.sort_by_key(|snapshot| snapshot.time);
    facts(vault, &of_facts, &mut contents);
    Ok(contents)
}

fn rank(snapshot: &Snapshot) -> (u32, time::OffsetDateTime) {
    (tags::attempt_of(snapshot), snapshot.time)
}

fn sealed(vault: &Vault, id: &CheckpointId, snapshot: Snapshot) -> Result<Sealed, String> {
    let text = text(vault, &snapshot.tree, "manifest.json").map_err(|error| error.to_string())?;
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| format!("its manifest: {error}"))?;
    if manifest.format > manifest::FORMAT {
        return Err(format!("written by Holdfast {}, which is newer than this one; update", manifest.holdfast));
    }
    if &manifest.checkpoint != id {
        return Err(format!("its snapshot {} holds {}", snapshot.id, manifest.checkpoint));
    }
    Ok(Sealed { manifest, text, snapshot })
}

fn facts(vault: &Vault, snapshots: &[Snapshot], contents: &mut Contents) {
    let mut known: HashSet<FactId> = HashSet::new();
    for snapshot in snapshots {
        let found = match facts_of(vault, snapshot) {
            Ok(found) => found,
            Err(error) => {
                contents.problems.push(format!("facts in snapshot {}: {error}", snapshot.id));
                continue;
            }
        };
        for fact in found {
            match fact {
                Ok(fact) if known.insert(fact.id.clone()) => contents.facts.push((fact, snapshot.id.to_string())),
                Ok(_) => {}
                Err(why) => contents.problems.push(format!("a fact in snapshot {}: {why}", snapshot.id)),
            }
        }
    }
    contents.facts.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
}

fn facts_of(vault: &Vault, snapshot: &Snapshot) -> Result<Vec<Result<Fact, String>>, VaultError> {
    let folder = vault.find(&snapshot.tree, Path::new("facts"))?;
    let Some(tree) = folder.subtree else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for node in vault.tree(&tree)?.nodes {
        let mut bytes = Vec::new();
        let read = vault.read(&node)?.read_to_end(&mut bytes).map_err(|error| error.to_string());
        found.push(read.and_then(|_| {
            let fact: Fact = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            if fact.format > fact::FORMAT { Err("written by a newer Holdfast".to_owned()) } else { Ok(fact) }
        }));
    }
    Ok(found)
}

/// `environment.json` of a checkpoint: the definition with its secrets. Blocking.
pub(crate) fn definition(vault: &Vault, tree: &TreeId) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    Ok(Zeroizing::new(text(vault, tree, "environment.json")?.into_bytes()))
}

/// A small file of text at the root of a checkpoint. Blocking.
pub(crate) fn text(vault: &Vault, root: &TreeId, name: &str) -> Result<String, VaultError> {
    let node = vault.find(root, Path::new(name))?;
    let mut text = String::new();
    vault.read(&node)?.read_to_string(&mut text).map_err(|error| {
        VaultError::from_io(&error).cloned().unwrap_or_else(|| VaultError::Refused(format!("{name}: {error}")))
    })?;
    Ok(text)
}
