//! Check and repair: damage is named down to the snapshots that it touches, and what can be saved is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/memory.rs"]
mod memory;
#[path = "support/lib.rs"]
mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use holdfast_vault::{
    Broken, Cancel, CheckReport, CheckScope, Error, FileKind, Mended, Meter, RepairOptions, RepairReport, SnapshotId,
    Vault,
};
use memory::{Content, Fault, Memory, holds, put};
use support::*;

fn content(names: &[&str]) -> Content {
    names.iter().map(|name| ((*name).to_owned(), random(5000))).collect()
}

fn check(vault: &Vault, scope: CheckScope) -> CheckReport {
    vault.check(scope, &Cancel::new(), &Meter::new()).unwrap()
}

fn repair(vault: &Vault, options: &RepairOptions) -> RepairReport {
    vault.repair(options, &Cancel::new(), &Meter::new()).unwrap()
}

/// Three snapshots; the second one has a file of the first, the third nothing of either.
fn three(vault: &Vault) -> Vec<(SnapshotId, Content)> {
    let first = content(&["a", "b", "c"]);
    let mut second = content(&["d"]);
    second.insert("a".into(), first["a"].clone());
    [first, second, content(&["e"])].into_iter().map(|content| (put(vault, &content), content)).collect()
}

fn sorted(mut ids: Vec<SnapshotId>) -> Vec<SnapshotId> {
    ids.sort();
    ids
}

/// Packs of data are those with a blob of 5000 random bytes, which do not shrink.
fn data_packs(memory: &Memory) -> Vec<String> {
    let state = memory.state();
    let large = |(kind, _): &&(FileKind, String), bytes: usize| *kind == FileKind::Pack && bytes > 4900;
    state.iter().filter(|(key, bytes)| large(key, bytes.len())).map(|((_, name), _)| name.clone()).collect()
}

fn flip(memory: &Memory, pack: &str, at: usize) {
    memory.edit(FileKind::Pack, pack, |bytes| bytes[at] ^= 4);
}

/// The pack that holds the first snapshot's files: the largest one.
fn pack_of_first(memory: &Memory) -> String {
    let state = memory.state();
    let packs = state.iter().filter(|((kind, _), _)| *kind == FileKind::Pack);
    packs.max_by_key(|(_, bytes)| bytes.len()).unwrap().0.1.clone()
}

#[test]
fn a_subset_each_day_reads_every_pack_once() {
    let memory = Memory::default();
    let vault = memory.init();
    three(&vault);
    let before = memory.state();
    let whole = check(&vault, CheckScope::AllData).bytes_read;
    let shares: u64 = (1..=3).map(|part| check(&vault, CheckScope::Subset { part, of: 3 }).bytes_read).sum();
    assert!(shares > whole && shares < 2 * whole, "{shares} of {whole}");
    for pack in memory.names(FileKind::Pack) {
        // Inside of a blob, where only reading it all can tell.
        flip(&memory, &pack, 20);
        let fresh = memory.open();
        let found = |part| !check(&fresh, CheckScope::Subset { part, of: 3 }).problems.is_empty();
        let finds = (1..=3).filter(|part| found(*part)).count();
        let tree = !data_packs(&memory).contains(&pack);
        assert!(if tree { finds == 3 } else { finds == 1 }, "{finds} parts found {pack}");
        memory.set(&before);
    }
    for (part, of) in [(0, 3), (4, 3), (1, 0)] {
        let refused = vault.check(CheckScope::Subset { part, of }, &Cancel::new(), &Meter::new());
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
}

#[test]
fn a_check_names_the_snapshots_that_damage_touches() {
    let memory = Memory::default();
    let vault = memory.init();
    let kept = three(&vault);
    let before = memory.state();
    let sound = check(&vault, CheckScope::AllData);
    assert!(sound.problems.is_empty() && sound.touched.is_empty());
    let first_two = sorted(vec![kept[0].0, kept[1].0]);
    // Only the second file of the pack: that is the first snapshot's alone. Order in the pack is that of the names.
    let pack = pack_of_first(&memory);
    for (at, touches) in [(20, &first_two), (5032 + 20, &vec![kept[0].0])] {
        flip(&memory, &pack, at);
        let report = check(&memory.open(), CheckScope::AllData);
        let of_blob: Vec<usize> = (0..report.problems.len())
            .filter(|at| report.problems[*at].blob.is_some_and(|blob| blob != holdfast_vault::Id::default()))
            .collect();
        assert_eq!(of_blob.len(), 1, "{:?}", report.problems);
        assert_eq!(&report.touched[&of_blob[0]], touches);
        memory.set(&before);
    }
    // Gone altogether.
    memory.remove(FileKind::Pack, &pack);
    assert_eq!(check(&memory.open(), CheckScope::Structure).touched_snapshots(), first_two);
    memory.set(&before);
    // A snapshot that cannot be read touches itself, damage that nobody needs nobody.
    memory.edit(FileKind::Snapshot, &kept[2].0.to_string(), |bytes| bytes[30] ^= 1);
    assert_eq!(check(&vault, CheckScope::Structure).touched_snapshots(), [kept[2].0]);
    memory.set(&before);
    kept[..2].iter().for_each(|(id, _)| vault.forget(id).unwrap());
    flip(&memory, &pack, 20);
    let unneeded = check(&memory.open(), CheckScope::AllData);
    assert!(!unneeded.problems.is_empty() && unneeded.touched.is_empty());
}

#[test]
fn an_index_that_is_lost_or_unreadable_is_made_again() {
    let memory = Memory::default();
    let vault = memory.init();
    let kept = three(&vault);
    let before = memory.state();
    let index = memory.names(FileKind::Index);
    // Nothing wrong: everything is written again, and nothing changes.
    let report = repair(&vault, &RepairOptions::default());
    assert_eq!((report.index_written, report.index_removed, report.packs), (1, 3, 6));
    assert!(report.bad_packs.is_empty() && report.snapshots.is_empty());
    assert_eq!(check(&vault, CheckScope::AllData).problems, []);
    memory.restic_accepts();
    // All gone.
    memory.set(&before);
    index.iter().for_each(|name| memory.remove(FileKind::Index, name));
    let report = repair(&memory.open(), &RepairOptions::default());
    assert_eq!((report.index_written, report.index_removed, report.packs), (1, 0, 6));
    kept.iter().for_each(|(id, content)| holds(&memory.open(), id, content));
    memory.restic_accepts();
    // One that cannot be read: then the vault does not even open.
    memory.set(&before);
    memory.edit(FileKind::Index, &index[0], |bytes| bytes[40] ^= 1);
    let backend = || Arc::new(memory.handle());
    assert!(matches!(Vault::open(backend(), &password(), options()), Err(Error::Damaged { .. })));
    let vault = Vault::open_for_repair(backend(), &password(), options()).unwrap();
    let report = repair(&vault, &RepairOptions { broken: Broken::Forget, ..RepairOptions::default() });
    assert_eq!((report.bad_index_files.len(), report.index_removed, report.snapshots.len()), (1, 3, 0));
    kept.iter().for_each(|(id, content)| holds(&vault, id, content));
    memory.restic_accepts();
}

#[test]
fn what_is_sound_in_a_bad_pack_is_saved() {
    let memory = Memory::default();
    let kept = three(&memory.init());
    let before = memory.state();
    let pack = pack_of_first(&memory);
    let size = before[&(FileKind::Pack, pack.clone())].len();
    // A header that cannot be read, its length, and a file that has lost its end.
    for what in 0..3 {
        memory.set(&before);
        match what {
            0 => flip(&memory, &pack, size - 30),
            1 => flip(&memory, &pack, size - 1),
            _ => memory.edit(FileKind::Pack, &pack, |bytes| bytes.truncate(size - 10)),
        }
        let vault = memory.open();
        let report = repair(&vault, &RepairOptions { broken: Broken::Forget, ..RepairOptions::default() });
        assert_eq!(report.bad_packs.iter().map(|bad| bad.pack.unwrap().to_string()).collect::<Vec<_>>(), [&*pack]);
        assert_eq!((report.blobs_saved, report.snapshots.len()), (3, 0), "{what}");
        kept.iter().for_each(|(id, content)| holds(&vault, id, content));
        assert_eq!(check(&vault, CheckScope::AllData).problems, []);
        // The bad pack is still there.
        assert_eq!(memory.state()[&(FileKind::Pack, pack.clone())].len(), if what == 2 { size - 10 } else { size });
        // A prune marks it, and removes it when its grace is over.
        let at_once = holdfast_vault::PruneOptions { grace: std::time::Duration::ZERO, ..Default::default() };
        for _ in 0..2 {
            vault.prune(&at_once, &Cancel::new(), &Meter::new(), &|| false).unwrap();
        }
        assert!(!memory.names(FileKind::Pack).contains(&pack));
        memory.restic_accepts();
    }
}

#[test]
fn broken_snapshots_are_listed_replaced_or_forgotten_as_asked() {
    let memory = Memory::default();
    let kept = three(&memory.init());
    // The first of three files, which two snapshots need.
    flip(&memory, &pack_of_first(&memory), 20);
    let before = memory.state();
    let packs = memory.names(FileKind::Pack);
    let options = |broken| RepairOptions { read_data: true, broken, ..RepairOptions::default() };
    let ids = |report: &RepairReport| report.snapshots.iter().map(|broken| broken.id).collect::<Vec<_>>();
    let first_two = sorted(vec![kept[0].0, kept[1].0]);

    // Headers alone do not tell.
    assert_eq!(repair(&memory.open(), &RepairOptions::default()).bad_packs, []);
    memory.set(&before);
    let listed = repair(&memory.open(), &options(Broken::List));
    assert_eq!((ids(&listed), listed.blobs_saved), (first_two.clone(), 2));
    assert!(listed.snapshots.iter().all(|broken| broken.mended == Mended::Listed && !broken.problems.is_empty()));
    assert_eq!(memory.names(FileKind::Snapshot).len(), 3);

    memory.set(&before);
    let vault = memory.open();
    let replaced = repair(&vault, &options(Broken::Replace));
    assert_eq!(ids(&replaced), first_two);
    for (id, content) in &kept[..2] {
        let broken = replaced.snapshots.iter().find(|broken| broken.id == *id).unwrap();
        let Mended::Replaced { by, dropped } = &broken.mended else { panic!("{broken:?}") };
        assert_eq!(*dropped, [PathBuf::from("files/a")]);
        let mut left = content.clone();
        left.remove("a");
        holds(&vault, by, &left);
        let snapshot = vault.snapshot(by).unwrap();
        assert_eq!(snapshot.tags, ["test", "repaired"]);
        assert!(matches!(vault.snapshot(id), Err(Error::NoSuchSnapshot(_))));
    }
    holds(&vault, &kept[2].0, &kept[2].1);
    assert!(packs.iter().all(|pack| memory.names(FileKind::Pack).contains(pack)));
    assert_eq!(check(&vault, CheckScope::AllData).problems, []);
    memory.restic_accepts();
    assert_eq!(repair(&vault, &options(Broken::Replace)).snapshots, []);

    memory.set(&before);
    let vault = memory.open();
    let forgotten = repair(&vault, &options(Broken::Forget));
    assert!(forgotten.snapshots.iter().all(|broken| broken.mended == Mended::Forgotten));
    assert_eq!(vault.snapshots().unwrap().iter().map(|snapshot| snapshot.id).collect::<Vec<_>>(), [kept[2].0]);
    memory.restic_accepts();
}

#[test]
fn what_cannot_be_mended_stays_and_lists_that_lie_end_it() {
    let memory = Memory::default();
    let kept = three(&memory.init());
    let before = memory.state();
    let replace = RepairOptions { broken: Broken::Replace, ..RepairOptions::default() };
    // Every tree is gone.
    let data = data_packs(&memory);
    for pack in memory.names(FileKind::Pack).iter().filter(|pack| !data.contains(pack)) {
        memory.remove(FileKind::Pack, pack);
    }
    memory.edit(FileKind::Snapshot, &kept[2].0.to_string(), |bytes| bytes[30] ^= 1);
    let report = repair(&memory.open(), &replace);
    assert_eq!(report.snapshots.len(), 3);
    assert!(report.snapshots.iter().all(|broken| broken.mended == Mended::Hopeless));
    assert_eq!(memory.names(FileKind::Snapshot).len(), 3);
    // A list of packs that is empty while they are there; a storage that fails.
    memory.set(&before);
    let handle = memory.handle();
    let vault = handle.open();
    handle.fault(Fault::EmptyList(FileKind::Pack));
    assert!(vault.repair(&replace, &Cancel::new(), &Meter::new()).is_err());
    for kind in [FileKind::Pack, FileKind::Index, FileKind::Snapshot] {
        handle.fault(Fault::NoList(kind));
        assert!(matches!(vault.repair(&replace, &Cancel::new(), &Meter::new()), Err(Error::Backend(_))));
    }
    handle.fault(Fault::None);
    kept.iter().for_each(|(id, content)| holds(&memory.open(), id, content));
    let writer = vault.writer(Cancel::new()).unwrap();
    let refused = vault.repair(&replace, &Cancel::new(), &Meter::new());
    assert!(matches!(refused, Err(Error::Locked { .. })));
    drop(writer);
}

#[test]
fn a_repair_that_dies_anywhere_is_run_again() {
    let memory = Memory::default();
    let kept = three(&memory.init());
    flip(&memory, &pack_of_first(&memory), 20);
    let before = memory.state();
    let options = RepairOptions { read_data: true, broken: Broken::Replace, ..RepairOptions::default() };
    let handle = memory.handle();
    let (repairing, vault) = (handle.open(), memory.open());
    for at in 1.. {
        memory.set(&before);
        handle.fault(Fault::Dead(at));
        let outcome = repairing.repair(&options, &Cancel::new(), &Meter::new());
        let operations = handle.done.load(Ordering::SeqCst);
        handle.fault(Fault::None);
        memory.remove_locks();
        repair(&vault, &options);
        assert_eq!(check(&vault, CheckScope::AllData).problems, [], "{at}");
        // Each has its one successor, or two of the same if it died between writing and removing.
        let snapshots = vault.snapshots().unwrap();
        assert!(snapshots.iter().any(|snapshot| snapshot.id == kept[2].0));
        assert!((3..=5).contains(&snapshots.len()), "{at}: {}", snapshots.len());
        for snapshot in snapshots.iter().filter(|snapshot| snapshot.id != kept[2].0) {
            let of_first = vault.find(&snapshot.tree, "files/b".as_ref()).is_ok();
            let mut left = kept[usize::from(!of_first)].1.clone();
            left.remove("a");
            holds(&vault, &snapshot.id, &left);
        }
        if operations < at {
            outcome.unwrap();
            break;
        }
    }
    memory.restic_accepts();
}
