//! Copies of snapshots in another vault: the same content under another key, and whatever comes between can be made good
//! by copying again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use holdfast_vault::{
    Backend, BackendError, Cancel, CheckScope, CopyOptions, CopyReport, Error, FileKind, LocalBackend, Meter, Password,
    RestoreOptions, SnapshotId, Vault, VaultOptions,
};
use support::*;

const OTHER: &str = "another password";

/// Another vault, of another key and another seed.
fn other(place: &Place) -> Vault {
    let backend = LocalBackend::create(place.path("other")).unwrap();
    Vault::init(Arc::new(backend), &Password::new(OTHER.into()), options()).unwrap()
}

fn ids(vault: &Vault) -> Vec<SnapshotId> {
    vault.snapshots().unwrap().iter().map(|snapshot| snapshot.id).collect()
}

fn copy(from: &Vault, to: &Vault) -> CopyReport {
    let mut told = Vec::new();
    let mut each = |here: &SnapshotId, there: &SnapshotId| told.push((*here, *there));
    let report =
        from.copy_to(to, &ids(from), &CopyOptions::default(), &Cancel::new(), &Meter::new(), &mut each).unwrap();
    let mut expected = [report.copied.clone(), report.there_already.clone()].concat();
    expected.sort_unstable();
    told.sort_unstable();
    assert_eq!(told, expected);
    report
}

fn is_sound(vault: &Vault) {
    assert_eq!(vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap().problems, []);
}

fn packed(vault: &Path) -> u64 {
    let store = LocalBackend::open(vault).unwrap();
    store.list(FileKind::Pack).unwrap().iter().map(|(_, size)| size).sum()
}

/// Stock restic with both vaults.
fn restic_with_both(place: &Place, program: &str, args: &[&str]) -> String {
    let output = std::process::Command::new(program)
        .args(["--no-cache", "-r", place.path("other").to_str().unwrap()])
        .args(args)
        .env("RESTIC_PASSWORD", OTHER)
        .env("RESTIC_FROM_PASSWORD", PASSWORD)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {said}{errors}");
    said.into_owned()
}

#[test]
fn a_copy_is_whole_and_says_what_it_is_a_copy_of() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    let vault = place.vault();
    backup(&vault, &source);
    fs::write(source.join("a/new"), random(300_000)).unwrap();
    backup(&vault, &source);

    let to = other(&place);
    let report = copy(&vault, &to);
    assert_eq!(report.copied.len(), 2);
    assert_eq!(report.copied.iter().map(|(here, _)| *here).collect::<Vec<_>>(), ids(&vault), "oldest first");
    assert_eq!((report.damaged.len(), report.there_already.len()), (0, 0));
    is_sound(&to);
    assert!(restic_with_both(&place, "restic", &["check", "--read-data"]).contains("no errors"));
    // Nothing was compressed anew, nothing twice: as many blobs of the same lengths.
    let (here, there) = (vault.stats().unwrap(), to.stats().unwrap());
    assert_eq!((here.blobs, here.raw_bytes, here.snapshots), (there.blobs, there.raw_bytes, there.snapshots));
    assert_eq!(report.blobs, there.blobs);
    let stored: u64 = [FileKind::Pack, FileKind::Index, FileKind::Snapshot]
        .into_iter()
        .flat_map(|kind| LocalBackend::open(place.path("other")).unwrap().list(kind).unwrap())
        .map(|(_, size)| size)
        .sum();
    assert_eq!(report.bytes, stored);
    for (here, there) in vault.snapshots().unwrap().into_iter().zip(to.snapshots().unwrap()) {
        assert_eq!(
            (here.time, here.tree, &here.paths, &here.tags),
            (there.time, there.tree, &there.paths, &there.tags)
        );
        assert_eq!((here.hostname, here.username), (there.hostname, there.username));
        assert_eq!(there.parent, None);
        let json = restic_with_both(&place, "restic", &["cat", "snapshot", &there.id.to_string()]);
        assert!(json.contains(&format!("\"original\": \"{}\"", here.id)), "{json}");
    }
    let target = place.path("restored");
    let restored = to.restore(&to.snapshots().unwrap()[1].tree, &target, RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(rsync_differences(&source, &target.join("source"), &[]), "");

    // Again: nothing to do, by us or by restic.
    let again = copy(&vault, &to);
    assert_eq!((again.copied.len(), again.there_already, again.bytes), (0, report.copied, 0));
    let from = place.path("vault");
    let args = ["copy", "--from-repo", from.to_str().unwrap()];
    for program in restics() {
        restic_with_both(&place, &program, &args);
        assert_eq!(ids(&to).len(), 2, "{program} finds nothing to do");
    }
    // Onto itself, too.
    assert_eq!(copy(&vault, &vault).there_already.len(), 2);
    // The copy of a copy names the first one, and so what comes home is known there.
    let home = copy(&to, &vault);
    assert_eq!((home.copied.len(), home.there_already.len()), (0, 2));
    // What restic copied is known to us.
    fs::write(source.join("a/newer"), random(300_000)).unwrap();
    backup(&vault, &source);
    restic_with_both(&place, "restic", &args);
    assert_eq!(copy(&vault, &to).there_already.len(), 3);
    // Other tags make it another snapshot.
    place.restic(&["tag", "--add", "kept", "latest"]);
    let report = copy(&vault, &to);
    assert_eq!((report.copied.len(), report.there_already.len(), report.blobs), (1, 2, 0));
    assert!(LocalBackend::open(place.path("other")).unwrap().list(FileKind::Lock).unwrap().is_empty());
    assert!(LocalBackend::open(place.path("vault")).unwrap().list(FileKind::Lock).unwrap().is_empty());
}

/// A target that is slow and can be stopped in the middle.
struct Slow {
    inner: LocalBackend,
    packs: AtomicU64,
    /// After so many packs.
    cancel_at: u64,
    cancel: Cancel,
    pause: Duration,
}

impl Backend for Slow {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError> {
        self.inner.list(kind)
    }

    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError> {
        self.inner.read(kind, name)
    }

    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        self.inner.read_range(kind, name, offset, len)
    }

    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        if kind == FileKind::Pack {
            if self.packs.fetch_add(1, Ordering::SeqCst) + 1 == self.cancel_at {
                self.cancel.cancel();
            }
            std::thread::sleep(self.pause);
        }
        self.inner.write(kind, name, bytes)
    }

    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.inner.remove(kind, name)
    }
}

fn slow(place: &Place, cancel_at: u64, cancel: &Cancel, pause: Duration) -> Vault {
    let inner = LocalBackend::open(place.path("other")).unwrap();
    let slow = Slow { inner, packs: AtomicU64::new(0), cancel_at, cancel: cancel.clone(), pause };
    // Small packs.
    let bounds = VaultOptions { memory: 48 << 20, ..options() };
    Vault::open(Arc::new(slow), &Password::new(OTHER.into()), bounds).unwrap()
}

#[test]
fn a_cancelled_copy_is_gone_within_a_second_and_the_next_one_goes_on() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    for n in 0..6 {
        fs::write(source.join(format!("file-{n}")), random(10 << 20)).unwrap();
    }
    let vault = place.vault();
    backup(&vault, &source);
    other(&place);

    let cancel = Cancel::new();
    let to = slow(&place, 5, &cancel, Duration::from_millis(300));
    let outcome = std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            vault.copy_to(&to, &ids(&vault), &CopyOptions::default(), &cancel, &Meter::new(), &mut |_, _| panic!())
        });
        while !cancel.is_cancelled() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let cancelled = Instant::now();
        let outcome = copying.join().unwrap();
        assert!(cancelled.elapsed() < Duration::from_secs(1), "{:?}", cancelled.elapsed());
        outcome
    });
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    let store = LocalBackend::open(place.path("other")).unwrap();
    let patience = Instant::now();
    while !store.list(FileKind::Lock).unwrap().is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(10), "the locks stay");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ids(&to), []);
    let before = packed(&place.path("other"));
    assert!(before > 8 << 20, "{before}");

    let report = copy(&vault, &Vault::open(Arc::new(store), &Password::new(OTHER.into()), options()).unwrap());
    assert_eq!(report.copied.len(), 1);
    assert!(report.bytes < (61 << 20) - before, "{} again, {before} before", report.bytes);
    is_sound(&to);
    assert_eq!(to.stats().unwrap().blobs, vault.stats().unwrap().blobs);
    assert!(packed(&place.path("other")) < packed(&place.path("vault")) + 10_000, "nothing is stored twice");
}

#[test]
fn a_request_that_hangs_does_not_hold_a_cancelled_copy() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(30 << 20)).unwrap();
    let vault = place.vault();
    backup(&vault, &source);
    other(&place);
    let cancel = Cancel::new();
    let to = slow(&place, 1, &cancel, Duration::from_secs(4));
    let started = Instant::now();
    let outcome = vault.copy_to(&to, &ids(&vault), &CopyOptions::default(), &cancel, &Meter::new(), &mut |_, _| {});
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    // It ends by itself, and what it had on its way is not lost.
    let store = LocalBackend::open(place.path("other")).unwrap();
    while !store.list(FileKind::Lock).unwrap().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "the locks stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!store.list(FileKind::Index).unwrap().is_empty());
}

#[test]
fn what_was_written_before_a_kill_is_found_by_the_index() {
    // As an interrupted copy leaves it: an index of packs, and no snapshot.
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(40 << 20)).unwrap();
    let vault = place.vault();
    backup(&vault, &source);
    let to = other(&place);
    let bounds = CopyOptions { round: 8 << 20, ..CopyOptions::default() };
    let bounded = slow(&place, u64::MAX, &Cancel::new(), Duration::from_millis(250));
    vault.copy_to(&bounded, &ids(&vault), &bounds, &Cancel::new(), &Meter::new(), &mut |_, _| {}).unwrap();
    let store = LocalBackend::open(place.path("other")).unwrap();
    let indexes = store.list(FileKind::Index).unwrap().len();
    assert!(indexes > 1, "an index is written on the way");
    let copy_there = ids(&to)[0];
    store.remove(FileKind::Snapshot, &copy_there.to_string()).unwrap();
    let report = copy(&vault, &to);
    assert_eq!((report.copied.len(), report.blobs), (1, 0));
    is_sound(&to);
}

#[test]
fn a_damaged_snapshot_is_reported_and_the_others_are_copied() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(source.join("deep")).unwrap();
    fs::write(source.join("good"), random(100_000)).unwrap();
    let vault = place.vault();
    let (_, first) = backup(&vault, &source);
    let before = place.files("data");
    fs::write(source.join("deep/bad"), random(1 << 20)).unwrap();
    let (_, second) = backup(&vault, &source);
    let after = place.files("data");
    fs::remove_file(source.join("deep/bad")).unwrap();
    fs::write(source.join("later"), random(1000)).unwrap();
    let (_, third) = backup(&vault, &source);
    let largest = after.iter().filter(|file| !before.contains(file)).max_by_key(|file| file.metadata().unwrap().len());
    let largest = largest.unwrap();
    let whole = fs::read(largest).unwrap();
    let mut bent = whole.clone();
    bent[1000] ^= 1;
    fs::write(largest, &bent).unwrap();

    let to = other(&place);
    for _ in 0..2 {
        let report = copy(&vault, &to);
        assert_eq!(report.copied.len() + report.there_already.len(), 2);
        let [(id, problems)] = &report.damaged[..] else { panic!("{report:?}") };
        assert_eq!(*id, second.snapshot);
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert_eq!(problem.path.as_deref(), Some(Path::new("source/deep/bad")));
        assert_eq!(problem.snapshot, Some(second.snapshot));
        assert!(problem.blob.is_some() && problem.pack.is_some());
        is_sound(&to);
    }
    // Cut short, or gone: the same verdict.
    fs::write(largest, &whole[..500]).unwrap();
    assert_eq!(copy(&vault, &to).damaged.len(), 1);
    fs::remove_file(largest).unwrap();
    assert_eq!(copy(&vault, &to).damaged.len(), 1);
    // Whole again, it follows.
    fs::write(largest, &whole).unwrap();
    let report = copy(&vault, &to);
    assert_eq!((report.copied.len(), report.copied[0].0), (1, second.snapshot));
    is_sound(&to);

    // A tree, a snapshot's file, and one that there never was.
    let vault = open(&place.path("vault"));
    let nobody = holdfast_vault::Id::of(b"nobody");
    let file = place.path("vault/snapshots").join(third.snapshot.to_string());
    fs::write(&file, b"not a snapshot").unwrap();
    let fresh = Place::new();
    let to = other(&fresh);
    let wanted = [first.snapshot, third.snapshot, nobody];
    let report =
        vault.copy_to(&to, &wanted, &CopyOptions::default(), &Cancel::new(), &Meter::new(), &mut |_, _| {}).unwrap();
    assert_eq!((report.copied.len(), report.damaged.len()), (1, 2));
}

#[test]
fn a_lock_that_is_gone_at_the_end_means_no_snapshot() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(20 << 20)).unwrap();
    let vault = place.vault();
    backup(&vault, &source);
    let to = other(&place);
    let slow = slow(&place, u64::MAX, &Cancel::new(), Duration::from_millis(500));
    let outcome = std::thread::scope(|scope| {
        let copying = scope.spawn(|| {
            let (options, cancel) = (CopyOptions::default(), Cancel::new());
            vault.copy_to(&slow, &ids(&vault), &options, &cancel, &Meter::new(), &mut |_, _| panic!())
        });
        let store = LocalBackend::open(place.path("other")).unwrap();
        while store.list(FileKind::Pack).unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        for (name, _) in store.list(FileKind::Lock).unwrap() {
            store.remove(FileKind::Lock, &name).unwrap();
        }
        copying.join().unwrap()
    });
    assert!(matches!(outcome, Err(Error::VaultChanged { .. })), "{outcome:?}");
    assert_eq!(ids(&to), []);
    copy(&vault, &to);
    is_sound(&to);
}
