//! Every single operation of a prune fails once, or is the last one; lists lie.

use std::sync::atomic::Ordering;

use holdfast_vault::{Error, FileKind, PruneOptions};

use super::memory::{Fault, Memory};
use super::report::{Row, report};
use super::{all_well, at_once, try_prune, vault_in_use};

/// Lets each operation of a prune be the one, until a prune has fewer of them.
fn at_every_operation(part: &'static str, fault: fn(usize) -> Fault) {
    let memory = Memory::default();
    let kept = vault_in_use(&memory);
    let before = memory.state();
    let handle = memory.handle();
    let (pruning, looking) = (handle.open(), memory.open());
    let options = PruneOptions { expected_snapshots: kept.iter().map(|(id, _)| *id).collect(), ..at_once() };
    let (mut failed, mut runs) = (0, 0);
    for at in 1.. {
        runs = at;
        memory.set(&before);
        handle.fault(fault(at));
        let outcome = try_prune(&pruning, &options);
        let operations = handle.done.load(Ordering::SeqCst);
        handle.fault(Fault::None);
        failed += usize::from(outcome.is_err());
        memory.remove_locks();
        all_well(&looking, &kept);
        if at % 40 == 0 {
            memory.restic_accepts();
        }
        // Running again is all that is needed, and the end is always the same.
        for _ in 0..2 {
            assert_eq!(try_prune(&pruning, &options).unwrap().stopped, None);
        }
        all_well(&looking, &kept);
        let report = try_prune(&pruning, &options).unwrap();
        assert_eq!((report.bytes_unused, report.packs_waiting, report.packs_marked), (0, 0, 0), "{at}");
        if operations < at {
            outcome.unwrap();
            break;
        }
    }
    assert!(failed > 40, "{failed}");
    memory.restic_accepts();
    let what = match part {
        "prune-fails" => "every single operation on the storage fails once",
        "prune-lost" => "every single one is done and said to have failed",
        _ => "every single one is the last that works",
    };
    report(&Row { part, what: what.into(), count: runs });
}

#[test]
fn each_operation_fails_once() {
    at_every_operation("prune-fails", Fault::Fails);
}

#[test]
fn each_answer_is_lost_once() {
    at_every_operation("prune-lost", Fault::Lost);
}

#[test]
fn each_operation_is_the_last_one() {
    at_every_operation("prune-dies", Fault::Dead);
}

#[test]
fn what_cannot_be_read_stops_it_and_nothing_is_touched() {
    let memory = Memory::default();
    let kept = vault_in_use(&memory);
    let before = memory.state();
    let handle = memory.handle();
    let vault = handle.open();
    let refused = |options: &PruneOptions| {
        let error = try_prune(&vault, options).unwrap_err();
        handle.fault(Fault::None);
        memory.remove_locks();
        error
    };
    let untouched = || assert!(memory.state() == before);
    let expected = PruneOptions { expected_snapshots: kept.iter().map(|(id, _)| *id).collect(), ..at_once() };

    // A list that is suddenly empty.
    handle.fault(Fault::EmptyList(FileKind::Snapshot));
    let Error::SnapshotsMissing { missing } = refused(&expected) else { panic!() };
    assert_eq!(missing, expected.expected_snapshots);
    untouched();
    // A list that is shorter than it should be.
    memory.remove(FileKind::Snapshot, &kept[1].0.to_string());
    let error = refused(&expected);
    assert!(matches!(&error, Error::SnapshotsMissing { missing } if *missing == [kept[1].0]), "{error}");
    assert!(error.to_string().contains(&kept[1].0.to_string()));
    memory.set(&before);
    // Lists that fail.
    for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack, FileKind::Lock] {
        handle.fault(Fault::NoList(kind));
        assert!(matches!(refused(&at_once()), Error::Backend(_)), "{kind:?}");
        untouched();
    }
    // A list of packs that is empty while snapshots need some.
    handle.fault(Fault::EmptyList(FileKind::Pack));
    assert!(matches!(refused(&at_once()), Error::Damaged { .. }));
    untouched();
    // Snapshots and index files that cannot be read.
    let snapshot = kept[0].0.to_string();
    for (kind, name) in [(FileKind::Snapshot, &snapshot), (FileKind::Index, &memory.names(FileKind::Index)[0])] {
        memory.edit(kind, name, |bytes| bytes[20] ^= 1);
        let error = refused(&at_once());
        assert!(matches!(&error, Error::Damaged { what } if what.contains(name)), "{error}");
        memory.set(&before);
    }
    // A tree that cannot be read, or is in no pack: who knows what it needs?
    for name in memory.names(FileKind::Pack) {
        memory.remove(FileKind::Pack, &name);
        let needed = try_prune(&vault, &at_once());
        if let Err(error) = needed {
            assert!(matches!(error, Error::Damaged { .. }), "{error}");
            assert!(
                memory.names(FileKind::Pack).len() == before.keys().filter(|key| key.0 == FileKind::Pack).count() - 1
            );
        }
        memory.set(&before);
    }
    try_prune(&vault, &expected).unwrap();
    all_well(&vault, &kept);
}
