//! Flipped bits, truncations and swapped objects, anywhere: a check finds each of them, and nothing that is not what was
//! put in is ever restored without a word.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use holdfast_vault::{
    Cancel, CheckScope, FileKind, LocalBackend, Meter, Password, RestoreOptions, Snapshot, SystemDisk, Vault,
    VaultOptions,
};

use super::life::*;
use super::memory::{Handle, Memory};
use super::report::{Row, report};
use super::support::{PASSWORD, options};

/// One of the three.
fn harm(memory: &Memory, rng: &mut Rng, kinds: &mut BTreeMap<String, usize>) -> (FileKind, String) {
    let state = memory.state();
    // Every kind as often as any other, or most would hit the packs.
    let kind = *rng.pick(&[
        FileKind::Config,
        FileKind::Key,
        FileKind::Lock,
        FileKind::Snapshot,
        FileKind::Snapshot,
        FileKind::Index,
        FileKind::Index,
        FileKind::Pack,
        FileKind::Pack,
        FileKind::Pack,
        FileKind::Pack,
    ]);
    let all: Vec<_> = state.keys().cloned().collect();
    let of_kind: Vec<_> = all.iter().filter(|(of, _)| *of == kind).collect();
    let (_, name) = (*rng.pick(&of_kind)).clone();
    let bytes = state[&(kind, name.clone())].clone();
    let word = match rng.below(3) {
        0 => {
            let (at, bit) = (rng.below(bytes.len()), rng.below(8));
            memory.edit(kind, &name, |bytes| bytes[at] ^= 1 << bit);
            format!("bit {bit} of byte {at} of {} flipped", bytes.len())
        }
        1 => {
            let length = rng.below(bytes.len());
            memory.edit(kind, &name, |bytes| bytes.truncate(length));
            format!("cut to {length} of {} bytes", bytes.len())
        }
        _ => {
            // With another one, of the same kind if there is one.
            let others: Vec<_> = of_kind.iter().copied().filter(|(_, other)| *other != name).collect();
            let other = if others.is_empty() || rng.chance(20) {
                let differing: Vec<_> = all.iter().filter(|other| state[other] != bytes).collect();
                (*rng.pick(&differing)).clone()
            } else {
                (*rng.pick(&others)).clone()
            };
            let content = state[&other].to_vec();
            memory.edit(other.0, &other.1, |there| *there = bytes.to_vec());
            memory.edit(kind, &name, |here| *here = content);
            format!("swapped with {:?} {}", other.0, other.1)
        }
    };
    *kinds.entry(word.split(' ').next().unwrap().to_owned()).or_default() += 1;
    (kind, format!("{kind:?} {name}: {word}"))
}

/// The right bytes, or a word about it. Gives whether all came back.
fn restores_or_says(vault: &Vault, snapshot: &Snapshot, content: &Content) -> Result<bool, String> {
    let target = room();
    let Ok(restored) = vault.restore(&snapshot.tree, target.path(), RestoreOptions::faithful()) else {
        return Ok(false);
    };
    let root = target.path().join("files");
    for (name, bytes) in content {
        let path = std::path::Path::new("files").join(name);
        let excused =
            restored.problems.iter().any(|problem| problem.path.as_ref().is_some_and(|at| path.starts_with(at)));
        if !excused && fs::read(root.join(name)).ok().as_ref() != Some(bytes) {
            return Err(format!("{name} is wrong, and nothing is said of it"));
        }
    }
    Ok(restored.problems.is_empty())
}

/// The same through a vault that is opened now, and so knows nothing.
fn opens_and_restores_or_says(handle: &Handle, snapshots: &[Snapshot], contents: &Contents) -> Result<bool, String> {
    let fresh = Vault::open(Arc::new(handle.clone()), &Password::new(PASSWORD.into()), options());
    let Ok(vault) = fresh else { return Ok(false) };
    // A list is whole, or an error.
    match vault.snapshots() {
        Ok(list) if list.len() != snapshots.len() => return Err("a shorter list of snapshots".into()),
        Ok(list) if list != snapshots => return Err("another list of snapshots".into()),
        _ => {}
    }
    let mut all = true;
    for snapshot in snapshots {
        all &= restores_or_says(&vault, snapshot, &contents[&snapshot.tags[0]])?;
    }
    Ok(all)
}

#[test]
fn damage_is_found_and_never_restored() {
    let mut rng = Rng::new(8);
    let room = room();
    let path = room.path().join("vault");
    let (mut contents, _) = vault_in_use(&path, &mut rng);
    let ours = open_on(Arc::new(SystemDisk), &path).unwrap();
    // What no snapshot needs is nobody's loss, and no check reads it.
    for _ in 0..3 {
        prune(&ours).unwrap();
    }
    for tag in ["more", "and more"] {
        let content = content(&mut rng, 4);
        put(&ours, tag, &content).unwrap();
        contents.insert(tag.to_owned(), content);
    }
    let memory = Memory::default();
    let disk = LocalBackend::open(&path).unwrap();
    let mut files = BTreeMap::new();
    for kind in [FileKind::Config, FileKind::Key, FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
        for (name, _) in holdfast_vault::Backend::list(&disk, kind).unwrap() {
            let bytes = holdfast_vault::Backend::read(&disk, kind, &name).unwrap();
            files.insert((kind, name), Arc::new(bytes));
        }
    }
    memory.set(&files);
    // One thread: there is little to read, and much to start.
    let handle = memory.handle();
    let one = VaultOptions { threads: 1, ..options() };
    let vault = Vault::open(Arc::new(handle.clone()), &Password::new(PASSWORD.into()), one).unwrap();
    // A lock, to have one of each kind.
    let at_work = memory.open();
    let _writer = at_work.writer(Cancel::new()).unwrap();
    let snapshots = vault.snapshots().unwrap();
    let sound = memory.state();
    all_whole(&vault, &contents).unwrap();
    let rounds = many(120, 10_000);
    let (mut kinds, mut withheld) = (BTreeMap::new(), 0);
    for round in 0..rounds {
        memory.set(&sound);
        let (kind, what) = harm(&memory, &mut rng, &mut kinds);
        let about = format!("round {round}, {what}");
        match vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()) {
            Ok(report) => assert!(!report.problems.is_empty(), "{about}: not found"),
            // What cannot be gone on from is named by the error.
            Err(error) => assert!(kind != FileKind::Pack, "{about}: {error}"),
        }
        memory.remove_locks();
        // Whoever opens it now: each key costs a tenth of a second, so not every time.
        if round % 10 == 0 || matches!(kind, FileKind::Config | FileKind::Key) && round % 3 == 0 {
            let restored = opens_and_restores_or_says(&handle, &snapshots, &contents);
            withheld += usize::from(!restored.unwrap_or_else(|error| panic!("{about}: {error}")));
        } else {
            for snapshot in &snapshots {
                let restored = restores_or_says(&vault, snapshot, &contents[&snapshot.tags[0]]);
                withheld += usize::from(!restored.unwrap_or_else(|error| panic!("{about}: {error}")));
            }
        }
    }
    memory.set(&sound);
    all_whole(&vault, &contents).unwrap();
    let kinds: Vec<String> = kinds.iter().map(|(word, count)| format!("{word} {count}")).collect();
    report(&Row {
        part: "damage",
        what: format!(
            "damage to one file of any kind ({}): found by a check each time; {withheld} restores gave an error, all others \
             the right bytes",
            kinds.join(", ")
        ),
        count: rounds,
    });
}
