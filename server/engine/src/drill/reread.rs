//! Files and repositories are proven by reading every blob of theirs back from the vault and hashing it.
//!
//! Packs that were read whole recently enough are not read again, so that a drill's time grows with the change.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{manifest::ManifestComponent, state::Kind};
use holdfast_vault::{Meter, PackId, Problem, TreeId};

use super::DrillWork;
use crate::{
    context::{Context, now_and_then},
    failure::{Failure, blocking},
};

/// What reading back found.
pub(super) struct Read {
    pub bytes_now: u64,
    pub bytes_earlier: u64,
    pub packs_read: Vec<PackId>,
    /// Per component: what is wrong with its blobs; an empty list says that all of them are sound.
    pub damage: BTreeMap<String, Vec<Problem>>,
}

fn is_read(component: &ManifestComponent) -> bool {
    matches!(component.kind, Kind::Files | Kind::Git | Kind::Config)
}

/// Reads back all of them in one go, so that a pack that several share is read once.
pub(super) async fn read_back(work: &DrillWork, ctx: &Context) -> Result<Read, Failure> {
    let meter = Meter::new();
    let _sampler = now_and_then(ctx, "drill", None, meter.clone(), Arc::new(AtomicU64::new(0)), None);
    let (work, cancel) = (work.clone(), ctx.cancel.clone());
    blocking(move || {
        let (mut trees, mut damage): (Vec<(String, TreeId)>, _) = (Vec::new(), BTreeMap::new());
        for component in work.manifest.components.iter().filter(|component| is_read(component)) {
            let name = component.name.to_string();
            match work.vault.find(&work.root, Path::new(&component.place)) {
                // A configuration is one small file, which its own drill reads whole.
                Ok(node) => trees.extend(node.subtree.map(|tree| (name.clone(), tree))),
                Err(error) => match Failure::from(error) {
                    Failure::Said(what) => drop(damage.insert(name.clone(), vec![problem(what)])),
                    other => return Err(other),
                },
            }
            damage.entry(name).or_insert_with(Vec::new);
        }
        let ids: Vec<TreeId> = trees.iter().map(|(_, tree)| *tree).collect();
        let whole = work.vault.read_back(&ids, &|pack| work.fresh_packs.contains(pack), &cancel, &meter);
        let whole = match whole.map_err(Failure::from) {
            Ok(whole) => whole,
            // A tree that cannot be read ends the walk: each component is then looked at alone.
            Err(Failure::Said(_)) => {
                holdfast_vault::ReadBack { damaged: vec![problem(String::new())], ..Default::default() }
            }
            Err(other) => return Err(other),
        };
        if !whole.damaged.is_empty() {
            let sound: HashSet<PackId> = whole.packs_read.iter().chain(&work.fresh_packs).copied().collect();
            for (name, tree) in &trees {
                let found = match work.vault.read_back(&[*tree], &|pack| sound.contains(pack), &cancel, &meter) {
                    Ok(found) => found.damaged,
                    Err(error) => match Failure::from(error) {
                        Failure::Said(what) => vec![problem(what)],
                        other => return Err(other),
                    },
                };
                damage.entry(name.clone()).or_insert_with(Vec::new).extend(found);
            }
        }
        Ok(Read {
            bytes_now: whole.bytes_now,
            bytes_earlier: whole.bytes_earlier,
            packs_read: whole.packs_read,
            damage,
        })
    })
    .await
}

fn problem(what: String) -> Problem {
    Problem { what, path: None, pack: None, blob: None, snapshot: None }
}
