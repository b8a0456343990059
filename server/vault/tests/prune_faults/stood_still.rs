//! A writer or a prune stands still for longer than its lock lives, and goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use holdfast_vault::{Cancel, Error, PruneOptions};

use super::memory::{Fault, Memory, holds, put, put_into};
use super::support::random;
use super::{all_well, at_once, content, some_of, try_prune, vault_in_use};

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
