//! Prune on its worst days: every single operation fails once, or is the last one; lists lie; a writer stands still.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/memory.rs"]
mod memory;
#[path = "faults/report.rs"]
mod report;
#[path = "support/lib.rs"]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdfast_vault::{
    Cancel, CheckScope, Error, FileKind, Meter, PruneOptions, PruneReport, SnapshotId, Stopped, Vault,
};
use memory::{Content, Fault, Memory, holds, put, put_into};
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
    report::report(&report::Row { part, what: what.into(), count: runs });
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

/// A writer stands still before each of its operations in turn, for longer than its lock lives; meanwhile its parent is
/// forgotten and a prune runs, or three without any grace. It goes on: either it refuses, or all of it is there.
#[test]
fn a_writer_that_stood_still_refuses_or_is_whole() {
    let memory = Memory::default();
    let kept = vault_in_use(&memory);
    let base = content(&["one", "two", "three"]);
    let parent = put(&memory.open(), &base);
    let before = memory.state();
    let handle = memory.handle();
    let writing = handle.open();
    let (pruning, looking) = (memory.open(), memory.open());
    let mut next = base;
    next.insert("new".into(), random(5000));
    let (mut refused, mut sealed) = (0, 0);
    for (round, harsh) in [false, true].into_iter().enumerate() {
        for at in 1.. {
            memory.set(&before);
            let (files, prunes) = (memory.clone(), pruning.clone());
            let meanwhile = move || {
                files.remove_locks();
                prunes.forget(&parent).unwrap();
                let options = PruneOptions { unused_share: 0.0, ..PruneOptions::default() };
                for _ in 0..if harsh { 3 } else { 1 } {
                    let options = if harsh { at_once() } else { options.clone() };
                    assert_eq!(try_prune(&prunes, &options).unwrap().stopped, None);
                }
            };
            handle.fault(Fault::Before(at, Some(Box::new(meanwhile))));
            let outcome = writing.writer(Cancel::new()).and_then(|writer| put_into(writer, &next));
            let operations = handle.done.load(Ordering::SeqCst);
            handle.fault(Fault::None);
            let mut there = kept.clone();
            match outcome {
                Ok(done) => {
                    sealed += 1;
                    there.push((done.snapshot, next.clone()));
                }
                Err(Error::VaultChanged { .. }) => refused += 1,
                Err(error) => panic!("at {at}: {error}"),
            }
            if operations < at {
                assert!(round == 0 || refused > 4 && sealed > 4, "{refused} refused, {sealed} sealed");
                break;
            }
            memory.remove_locks();
            there.iter().for_each(|(id, content)| holds(&looking, id, content));
            assert_eq!(looking.snapshots().unwrap().len(), there.len());
            // Whatever happened, the next writer and the next prune are fine, and so is all that was sealed.
            let again = put(&writing, &next);
            there.push((again, next.clone()));
            there.dedup_by_key(|(id, _)| *id);
            for _ in 0..2 {
                try_prune(&pruning, &at_once()).unwrap();
            }
            all_well(&looking, &there);
        }
    }
    memory.restic_accepts();
}

/// The prune itself stands still before each of its operations in turn, for longer than its lock lives. Meanwhile a
/// writer seals something that relies on what is about to go, and others forget and prune without any grace. It goes on:
/// with the next prune at the latest all of it is there, and nobody who comes later is led astray.
#[test]
fn a_prune_that_stood_still_takes_nothing_from_those_who_came() {
    let memory = Memory::default();
    let mut kept = vault_in_use(&memory);
    let base = content(&["one", "two", "three"]);
    let partly = some_of(&base, &["one"]);
    let (given_up, old) = kept.pop().unwrap();
    let whole = put(&memory.open(), &base);
    kept.push((put(&memory.open(), &partly), partly));
    memory.open().forget(&whole).unwrap();
    let before = memory.state();
    let handle = memory.handle();
    let pruning = handle.open();
    let (others, looking) = (memory.open(), memory.open());
    for (harsh, forgets) in [(false, false), (true, false), (true, true)] {
        let mut stopped = 0;
        for at in 1.. {
            memory.set(&before);
            let (files, theirs, again) = (memory.clone(), others.clone(), base.clone());
            let (sealed, seal) = std::sync::mpsc::channel();
            let meanwhile = move || {
                files.remove_locks();
                sealed.send(put(&theirs, &again)).unwrap();
                if forgets {
                    theirs.forget(&given_up).unwrap();
                }
                for _ in 0..if harsh { 3 } else { 0 } {
                    try_prune(&theirs, &at_once()).unwrap();
                }
            };
            handle.fault(Fault::Before(at, Some(Box::new(meanwhile))));
            let outcome = try_prune(&pruning, &PruneOptions { unused_share: 0.0, ..PruneOptions::default() });
            let operations = handle.done.load(Ordering::SeqCst);
            handle.fault(Fault::None);
            memory.remove_locks();
            if operations < at {
                outcome.unwrap();
                break;
            }
            stopped += 1;
            let mut there = kept.clone();
            there.extend(seal.try_iter().map(|id| (id, base.clone())));
            if forgets {
                // Nobody may be led to rely on what the others have removed.
                there.push((put(&others, &old), old.clone()));
                all_well(&looking, &there);
            } else {
                there.push((given_up, old.clone()));
            }
            // What it may not have done yet, the next one does, within the grace.
            let next = try_prune(&others, &PruneOptions::default());
            assert!(next.is_ok(), "{at}, {harsh}, {forgets}: {next:?} after {outcome:?}");
            all_well(&looking, &there);
            try_prune(&others, &at_once()).unwrap();
            try_prune(&others, &at_once()).unwrap();
            all_well(&looking, &there);
        }
        assert!(stopped > 40, "{stopped}");
    }
    memory.restic_accepts();
}

/// A writer comes before each operation in turn, and seals if the vault is free just then. Nobody stood still: so when
/// the prune ends, all that was sealed is whole at once, and what the prune knew before is of no account.
#[test]
fn whoever_seals_between_two_steps_loses_nothing() {
    let memory = Memory::default();
    let mut kept = vault_in_use(&memory);
    let base = content(&["one", "two", "three"]);
    let partly = some_of(&base, &["one"]);
    let whole = put(&memory.open(), &base);
    kept.push((put(&memory.open(), &partly), partly));
    memory.open().forget(&whole).unwrap();
    let before = memory.state();
    let handle = memory.handle();
    let (pruning, others, looking) = (handle.open(), memory.open(), memory.open());
    let options = PruneOptions { slice: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() };
    let (mut came_in, mut done) = (0, 0);
    for at in 1.. {
        memory.set(&before);
        let (theirs, again) = (others.clone(), base.clone());
        let (sealed, seal) = std::sync::mpsc::channel();
        let come = move || match theirs.writer(Cancel::new()) {
            Ok(writer) => sealed.send(put_into(writer, &again).unwrap().snapshot).unwrap(),
            Err(Error::Locked { .. }) => {}
            Err(error) => panic!("{error}"),
        };
        handle.fault(Fault::Before(at, Some(Box::new(come))));
        let report = try_prune(&pruning, &options).unwrap();
        let operations = handle.done.load(Ordering::SeqCst);
        handle.fault(Fault::None);
        let mut there = kept.clone();
        there.extend(seal.try_iter().map(|id| (id, base.clone())));
        came_in += there.len() - kept.len();
        done += usize::from(report.is_done());
        all_well(&looking, &there);
        if operations < at {
            break;
        }
    }
    assert!(came_in > 20 && done > 20, "{came_in} came in, {done} prunes came to their end");
    memory.restic_accepts();
}

/// The lead-in of a long prune on a slow storage.
fn slow(packs: usize, each: Duration) -> (Memory, Vault, memory::Handle) {
    let memory = Memory::default();
    let vault = memory.init();
    for _ in 0..packs / 2 {
        let id = put(&vault, &content(&["gone"]));
        vault.forget(&id).unwrap();
    }
    let kept = put(&vault, &content(&["kept"]));
    assert!(vault.snapshot(&kept).is_ok());
    try_prune(&vault, &at_once()).unwrap();
    let handle = memory.handle();
    let pruning = handle.open();
    handle.fault(Fault::Slow(each));
    (memory, pruning, handle)
}

#[test]
fn whoever_wants_the_vault_gets_it_and_the_rest_is_done_later() {
    let (memory, pruning, handle) = slow(400, Duration::from_millis(10));
    let writing = memory.open();
    let wanted = AtomicBool::new(false);
    let options = PruneOptions { slice: Duration::from_millis(300), ..at_once() };
    let total = memory.names(FileKind::Pack).len();
    std::thread::scope(|scope| {
        let prune = scope.spawn(|| {
            let report =
                pruning.prune(&options, &Cancel::new(), &Meter::new(), &|| wanted.load(Ordering::SeqCst)).unwrap();
            (report, Instant::now())
        });
        while memory.names(FileKind::Pack).len() == total {
            std::thread::sleep(Duration::from_millis(5));
        }
        let since = Instant::now();
        wanted.store(true, Ordering::SeqCst);
        let writer = loop {
            match writing.writer(Cancel::new()) {
                Ok(writer) => break writer,
                Err(Error::Locked { .. }) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => panic!("{error}"),
            }
        };
        assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
        put_into(writer, &content(&["urgent"])).unwrap();
        let (report, ended) = prune.join().unwrap();
        assert_eq!(report.stopped, Some(Stopped::Wanted));
        assert!(ended - since < Duration::from_secs(5));
        assert!(report.packs_removed > 0 && report.packs_removed < 400, "{report:?}");
    });
    handle.fault(Fault::None);
    let rest = try_prune(&pruning, &options).unwrap();
    assert!(rest.is_done() && rest.packs_removed > 0);
    assert_eq!(memory.names(FileKind::Pack).len(), 4);
    memory.restic_accepts();
}

#[test]
fn between_two_slices_the_vault_is_free() {
    let (memory, pruning, handle) = slow(300, Duration::from_millis(4));
    let options = PruneOptions { slice: Duration::from_millis(100), ..at_once() };
    let writing = memory.open();
    let total = memory.names(FileKind::Pack).len();
    // Nobody tells the prune; who comes by chance between two slices gets in, and the prune gives way.
    std::thread::scope(|scope| {
        let prune = scope.spawn(|| try_prune(&pruning, &options).unwrap());
        while memory.names(FileKind::Pack).len() == total {
            std::thread::sleep(Duration::from_millis(1));
        }
        let writer = loop {
            match writing.writer(Cancel::new()) {
                Ok(writer) => break writer,
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let report = prune.join().unwrap();
        assert!(matches!(report.stopped, Some(Stopped::Busy { .. })), "{report:?}");
        put_into(writer, &content(&["mine"])).unwrap();
    });
    handle.fault(Fault::None);
    assert!(try_prune(&pruning, &options).unwrap().is_done());
    memory.restic_accepts();
}
