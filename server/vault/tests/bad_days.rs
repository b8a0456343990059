//! Cancelled, killed, locked out, out of space: nothing half done is ever published, and the next run is fine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use holdfast_vault::{Cancel, Error, LocalBackend, Meter, RestoreOptions, Source, Vault, VaultOptions};
use support::*;

fn fill(source: &Path, files: usize, size: usize) {
    fs::create_dir_all(source).unwrap();
    for n in 0..files {
        fs::write(source.join(format!("file-{n}")), random(size)).unwrap();
    }
}

#[test]
fn cancelled_in_the_middle_nothing_is_published() {
    let place = Place::new();
    let source = place.path("source");
    fill(&source, 60, 1 << 20);
    let vault = place.vault();
    let (cancel, meter) = (Cancel::new(), Meter::new());
    let writer = vault.writer(cancel.clone()).unwrap();
    let outcome = std::thread::scope(|scope| {
        let archive = scope.spawn(|| writer.archive(&Source::new(&source), &meter));
        while meter.bytes() < 10 << 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        cancel.cancel();
        archive.join().unwrap()
    });
    assert!(matches!(outcome, Err(Error::Cancelled)));
    let tree = writer.put_tree(Vec::new());
    assert!(matches!(tree, Err(Error::Cancelled)));
    writer.abandon();
    for empty in ["index", "snapshots", "locks"] {
        assert_eq!(place.files(empty), Vec::<std::path::PathBuf>::new(), "{empty}");
    }
    let (archived, sealed) = backup(&vault, &source);
    assert_eq!(archived.files, 60);
    place.restic_accepts();
    // A restore stops too.
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    let options = RestoreOptions::faithful();
    options.cancel.cancel();
    assert!(matches!(vault.restore(&tree, &place.path("target"), options), Err(Error::Cancelled)));
}

#[test]
fn locks_are_honoured_both_ways_and_dead_ones_are_not() {
    let place = Place::new();
    let source = place.path("source");
    fill(&source, 3, 1000);
    let vault = place.vault();
    backup(&vault, &source);

    // Ours keeps restic's exclusive commands out, and lets its shared ones in.
    let writer = vault.writer(Cancel::new()).unwrap();
    assert_eq!(place.files("locks").len(), 1);
    let refused = place.restic_command(&["prune"]).output().unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("already locked"));
    place.restic(&["snapshots"]);
    // restic asks our process whether it lives; we survive the question, and so does the lock.
    place.restic(&["unlock"]);
    assert_eq!(place.files("locks").len(), 1);
    assert_eq!(vault.remove_dead_locks().unwrap(), 0);
    drop(writer);
    assert_eq!(place.files("locks").len(), 0);

    // restic's exclusive lock keeps us out while it is held.
    let mut holder = place.restic_command(&["check", "--read-data", "--limit-download", "1"]);
    let mut holder = holder.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while place.files("locks").is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    let refused = vault.writer(Cancel::new());
    let Err(Error::Locked { by }) = refused else { panic!("the exclusive lock was not honoured") };
    assert!(by.contains(&holder.id().to_string()), "{by}");
    // Killed, it leaves its lock behind, which is nobody's now.
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(place.files("locks").len(), 1);
    let writer = vault.writer(Cancel::new()).unwrap();
    assert_eq!(place.files("locks").len(), 1);
    drop(writer);
    assert_eq!(place.files("locks").len(), 0);
    place.restic_accepts();
}

/// Not a test by itself: the process that [`killed_at_any_moment`] kills.
#[test]
fn victim() {
    let (Ok(vault), Ok(source)) = (std::env::var("VICTIM_VAULT"), std::env::var("VICTIM_SOURCE")) else { return };
    let vault = open(Path::new(&vault));
    println!("ready");
    for n in 0.. {
        fs::write(Path::new(&source).join("changing"), random(2 << 20)).unwrap();
        backup(&vault, Path::new(&source));
        println!("sealed {n}");
    }
}

#[test]
fn killed_at_any_moment() {
    let place = Place::new();
    let source = place.path("source");
    fill(&source, 40, 300_000);
    let vault = place.vault();
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env("VICTIM_VAULT", place.path("vault"))
            .env("VICTIM_SOURCE", &source)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.by_ref().any(|line| line.unwrap().contains("ready")));
        std::thread::sleep(Duration::from_millis(7 + round * 23));
        child.kill().unwrap();
        child.wait().unwrap();
        let sealed = said.filter(|line| line.as_ref().is_ok_and(|line| line.contains("sealed"))).count();
        assert!(vault.snapshots().unwrap().len() >= sealed);
        vault.remove_dead_locks().unwrap();
        assert_eq!(place.files("locks").len(), 0);
        place.restic_accepts();
        // No remains of files that were being written.
        let strays: Vec<_> = ["data", "index", "snapshots", "keys"]
            .iter()
            .flat_map(|dir| place.files(dir))
            .filter(|path| path.file_name().unwrap().len() != 64)
            .collect();
        assert_eq!(strays, Vec::<std::path::PathBuf>::new());
    }
    backup(&vault, &source);
    for snapshot in vault.snapshots().unwrap() {
        let target = tempfile::tempdir().unwrap();
        let restored = vault.restore(&snapshot.tree, target.path(), RestoreOptions::faithful()).unwrap();
        assert!(restored.problems.is_empty());
    }
}

#[test]
fn a_full_disk_is_said_to_be_full_and_harms_nothing() {
    let place = Place::new();
    let small = place.path("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: no tmpfs can be mounted here");
        return;
    }
    let _unmount = Unmount(&small);
    let source = place.path("source");
    fill(&source, 4, 500_000);
    let backend = Arc::new(LocalBackend::create(small.join("vault")).unwrap());
    let vault = Vault::init(backend, &password(), VaultOptions { threads: 2, ..options() }).unwrap();
    backup(&vault, &source);
    fill(&source.join("more"), 20, 1 << 20);
    let writer = vault.writer(Cancel::new()).unwrap();
    let outcome = writer.archive(&Source::new(&source), &Meter::new()).and_then(|archived| {
        let tree = writer.put_tree(vec![archived.node.with_name("source")])?;
        writer.seal(draft(tree))
    });
    assert!(matches!(outcome, Err(Error::NoSpace { .. })), "{outcome:?}");
    let snapshots = vault.snapshots().unwrap();
    assert_eq!(snapshots.len(), 1);
    let target = place.path("target");
    let restored = vault.restore(&snapshots[0].tree, &target, RestoreOptions::faithful()).unwrap();
    assert_eq!((restored.problems.len(), restored.bytes), (0, 2_000_000));
    // A restore into a full place says so as well.
    let mut filler = fs::File::create(small.join("filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[1; 64 << 10]).is_ok() {}
    let into_full = vault.restore(&snapshots[0].tree, &small.join("target"), RestoreOptions::faithful());
    assert!(matches!(into_full, Err(Error::NoSpace { .. })), "{into_full:?}");
    fs::remove_dir_all(small.join("target")).unwrap();
    fs::remove_file(small.join("filler")).unwrap();
    // With what was in the way gone, the next run is fine.
    fs::remove_dir_all(source.join("more")).unwrap();
    fill(&source, 1, 10_000);
    let status = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&small).status().unwrap();
    assert!(status.success());
    backup(&vault, &source);
    let check = vault.check(holdfast_vault::CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(check.problems, []);
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}
