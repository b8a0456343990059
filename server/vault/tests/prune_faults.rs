//! Prune on its worst days: every single operation fails once, or is the last one; lists lie; a writer stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/memory.rs"]
mod memory;
#[path = "prune_faults/operations.rs"]
mod operations;
#[path = "prune_faults/others.rs"]
mod others;
#[path = "faults/report.rs"]
mod report;
#[path = "prune_faults/stood_still.rs"]
mod stood_still;
#[path = "support/lib.rs"]
mod support;

use std::time::Duration;

use holdfast_vault::{Cancel, CheckScope, Error, FileKind, Meter, PruneOptions, PruneReport, SnapshotId, Vault};
use memory::{Content, Memory, holds, put};
use support::*;

fn at_once() -> PruneOptions {
    PruneOptions { grace: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() }
}

fn try_prune(vault: &Vault, options: &PruneOptions) -> Result<PruneReport, Error> {
    vault.prune(options, &Cancel::new(), &Meter::new(), &|| false)
}

fn content(names: &[&str]) -> Content {
    names.iter().map(|name| ((*name).to_owned(), random(5000))).collect()
}

fn some_of(content: &Content, names: &[&str]) -> Content {
    content.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(a, b)| (a.clone(), b.clone())).collect()
}

/// A vault with everything that a prune can meet: packs in use, partly in use and in no use, marked ones whose grace is
/// over, remains that no index names, many small index files. Gives what must survive.
fn vault_in_use(memory: &Memory) -> Vec<(SnapshotId, Content)> {
    let vault = memory.init();
    let all = content(&["a", "b", "c", "d"]);
    let mut gone = vec![put(&vault, &all)];
    let mut kept = Vec::new();
    for names in [&["a"][..], &["b"]] {
        let mut content = content(&["x", "y"]);
        content.extend(some_of(&all, names));
        kept.push((put(&vault, &content), content));
    }
    let unused = put(&vault, &content(&["u"]));
    vault.forget(&unused).unwrap();
    try_prune(&vault, &PruneOptions { unused_share: 1.0, ..PruneOptions::default() }).unwrap();
    for _ in 0..4 {
        let content = content(&["s"]);
        kept.push((put(&vault, &content), content));
    }
    gone.push(put(&vault, &content(&["v"])));
    gone.iter().for_each(|id| vault.forget(id).unwrap());
    let index = memory.names(FileKind::Index);
    let remains = put(&vault, &content(&["r"]));
    vault.forget(&remains).unwrap();
    for name in memory.names(FileKind::Index) {
        if !index.contains(&name) {
            memory.remove(FileKind::Index, &name);
        }
    }
    kept
}

fn all_well(vault: &Vault, kept: &[(SnapshotId, Content)]) {
    assert_eq!(vault.snapshots().unwrap().len(), kept.len());
    kept.iter().for_each(|(id, content)| holds(vault, id, content));
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
}
