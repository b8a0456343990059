//! Prune: two phases and a grace, on a disk beside stock restic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/memory.rs"]
mod memory;
#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use holdfast_vault::{Cancel, Error, Meter, PruneOptions, PruneReport, RestoreOptions, SnapshotId, Stopped, Vault};
use memory::Content;
use support::*;

fn at_once() -> PruneOptions {
    PruneOptions { grace: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() }
}

fn prune(vault: &Vault, options: &PruneOptions) -> PruneReport {
    let report = vault.prune(options, &Cancel::new(), &Meter::new(), &|| false).unwrap();
    assert_eq!(report.stopped, None);
    assert_eq!(report.damaged, []);
    report
}

fn content(names: &[&str], size: usize) -> Content {
    names.iter().map(|name| ((*name).to_owned(), random(size))).collect()
}

/// Three snapshots of which the middle one shares half with each of the others.
fn three(vault: &Vault) -> Vec<(SnapshotId, Content)> {
    let first = content(&["a", "b", "c", "d"], 300_000);
    let mut second = content(&["e", "f"], 300_000);
    second.extend([("a".to_owned(), first["a"].clone()), ("b".to_owned(), first["b"].clone())]);
    let mut third = content(&["g", "h"], 300_000);
    third.extend([("e".to_owned(), second["e"].clone()), ("f".to_owned(), second["f"].clone())]);
    [first, second, third].into_iter().map(|content| (memory::put(vault, &content), content)).collect()
}

#[test]
fn what_nobody_needs_leaves_first_the_index_and_later_the_disk() {
    let place = Place::new();
    let vault = place.vault();
    let kept = three(&vault);
    let before = place.files("data");
    let idle = prune(&vault, &PruneOptions::default());
    assert_eq!((idle.snapshots, idle.packs_marked, idle.packs_repacked, idle.bytes_unused), (3, 0, 0, 0));
    assert_eq!(place.files("data"), before);

    vault.forget(&kept[0].0).unwrap();
    let expected_snapshots = vec![kept[1].0, kept[2].0];
    let options = PruneOptions { unused_share: 0.0, expected_snapshots, ..PruneOptions::default() };
    let marked = prune(&vault, &options);
    // The pack of a, b, c, d was repacked; it and the tree pack of the first snapshot wait.
    assert_eq!((marked.packs_repacked, marked.packs_marked, marked.packs_waiting), (1, 2, 2));
    assert!(marked.bytes_repacked > 600_000 && marked.bytes_repacked < 610_000, "{marked:?}");
    assert!(marked.bytes_waiting > 1_200_000 && marked.packs_removed == 0 && marked.bytes_unused == 0, "{marked:?}");
    assert!(marked.next_removal.unwrap() > time::OffsetDateTime::now_utc() + time::Duration::hours(22));
    assert!(before.iter().all(|pack| pack.exists()));
    place.restic_accepts();
    kept[1..].iter().for_each(|(id, content)| memory::holds(&vault, id, content));

    // Within the grace nothing more happens, and no file is written.
    let index = place.files("index");
    let again = prune(&vault, &options);
    assert_eq!((again.packs_marked, again.packs_repacked, again.packs_removed, again.packs_waiting), (0, 0, 0, 2));
    assert_eq!(place.files("index"), index);

    let removed = prune(&vault, &at_once());
    assert_eq!((removed.packs_removed, removed.packs_waiting, removed.next_removal), (2, 0, None));
    assert!(removed.bytes_removed > 1_200_000);
    assert_eq!(before.iter().filter(|pack| !pack.exists()).count(), 2);
    place.restic_accepts();
    let fresh = open(&place.path("vault"));
    kept[1..].iter().for_each(|(id, content)| memory::holds(&fresh, id, content));

    // The last ones too: nothing is left but what waits, and then not even that.
    kept[1..].iter().for_each(|(id, _)| vault.forget(id).unwrap());
    prune(&vault, &at_once());
    place.restic_accepts();
    prune(&vault, &at_once());
    assert_eq!((place.files("data").len(), place.files("index").len(), place.files("locks").len()), (0, 0, 0));
    memory::put(&vault, &kept[0].1);
    place.restic_accepts();
}

#[test]
fn the_share_of_unused_bytes_decides_what_is_repacked() {
    let place = Place::new();
    let vault = place.vault();
    let all = content(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 100_000);
    let most: Content = all.iter().skip(1).map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    let whole = memory::put(&vault, &all);
    let rest = memory::put(&vault, &most);
    vault.forget(&whole).unwrap();
    for (share, repacked) in [(1.0, 0), (0.5, 0), (0.11, 0), (0.05, 1)] {
        let report = prune(&vault, &PruneOptions { unused_share: share, ..PruneOptions::default() });
        assert_eq!(report.packs_repacked, repacked, "{share}");
        assert_eq!(report.bytes_unused > 0, repacked == 0, "{share}");
        place.restic_accepts();
        memory::holds(&vault, &rest, &most);
    }
}

#[test]
fn stock_restic_prunes_after_us_and_we_after_it() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    place.restic(&["init"]);
    place.restic(&["backup", "source"]);
    let vault = open(&place.path("vault"));
    fs::write(source.join("big"), random(3 << 20)).unwrap();
    backup(&vault, &source);
    fs::remove_file(source.join("big")).unwrap();
    fs::write(source.join("a/text"), "other").unwrap();
    place.restic(&["backup", "source"]);
    let forget = |at: usize| vault.forget(&vault.snapshots().unwrap()[at].id).unwrap();

    forget(1);
    assert!(prune(&vault, &PruneOptions { unused_share: 0.0, ..PruneOptions::default() }).packs_waiting > 0);
    place.restic_accepts();
    // restic knows nothing of the marks: to it these packs are remains, which it removes.
    place.restic(&["prune", "--max-unused", "0"]);
    place.restic_accepts();
    let after = prune(&vault, &at_once());
    assert_eq!((after.packs_removed, after.packs_waiting), (0, 0));
    place.restic_accepts();

    forget(0);
    prune(&vault, &at_once());
    place.restic_accepts();
    // A new index by restic brings the marked packs back, where they are found unused again.
    place.restic(&["rebuild-index"]);
    place.restic_accepts();
    assert!(prune(&vault, &at_once()).packs_marked > 0);
    assert!(prune(&vault, &at_once()).packs_removed > 0);
    place.restic_accepts();
    let target = place.path("target");
    let newest = vault.snapshots().unwrap().pop().unwrap();
    assert_eq!(vault.restore(&newest.tree, &target, RestoreOptions::faithful()).unwrap().problems, []);
    assert_eq!(rsync_differences(&source, &target.join("source"), &["--exclude=/socket"]), "");
    // Whoever was here, nothing is left over.
    let report = prune(&vault, &at_once());
    assert_eq!((report.packs_marked, report.packs_waiting, report.packs_removed), (0, 0, 0));
}

#[test]
fn a_stopped_restic_that_goes_on_gets_its_packs_back() {
    let place = Place::new();
    let vault = place.vault();
    let bytes = random(5 << 20);
    let stdin = ["backup", "--stdin", "--stdin-filename", "file"];
    let start = || {
        let mut command = place.restic_command(&stdin);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut first = start();
    first.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(first.wait().unwrap().success());
    let kept = memory::put(&vault, &content(&["kept"], 100_000));
    let old = vault.snapshots().unwrap()[0].id;

    // It has read the index and half of its input, and then it stands still for so long that its lock dies.
    let mut stopped = start();
    let mut input = stopped.stdin.take().unwrap();
    input.write_all(&bytes[..3 << 20]).unwrap();
    while place.files("locks").is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1500));
    place.files("locks").iter().for_each(|lock| fs::remove_file(lock).unwrap());
    vault.forget(&old).unwrap();
    let options = PruneOptions { expected_snapshots: vec![kept], ..PruneOptions::default() };
    assert!(prune(&vault, &options).packs_marked > 0);

    // It goes on and relies on packs that have left the index.
    input.write_all(&bytes[3 << 20..]).unwrap();
    drop(input);
    // Under its own name: restic writes under another one first.
    while vault.snapshot_ids().unwrap().len() < 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    // It would try for a minute to remove the lock that it has no more.
    stopped.kill().unwrap();
    stopped.wait().unwrap();
    let broken = place.restic_command(&["check"]).output().unwrap();
    let said = String::from_utf8_lossy(&broken.stdout);
    assert!(!broken.status.success(), "it did not rely on them, and this test shows nothing: {said}");
    let report = prune(&vault, &at_once());
    assert!(report.packs_returned > 0, "{report:?}");
    place.restic_accepts();
    let newest = vault.snapshots().unwrap().pop().unwrap();
    assert!(newest.id != kept);
    assert!(place.restic_command(&["dump", &newest.id.to_string(), "/file"]).output().unwrap().stdout == bytes);
    let removed = prune(&vault, &at_once());
    assert_eq!((removed.packs_returned, removed.packs_marked), (0, 0));
    place.restic_accepts();
}

#[test]
fn somebody_at_work_is_respected() {
    let place = Place::new();
    let vault = place.vault();
    three(&vault);
    let writer = vault.writer(Cancel::new()).unwrap();
    let refused = vault.prune(&at_once(), &Cancel::new(), &Meter::new(), &|| false);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    drop(writer);
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = vault.prune(&at_once(), &cancel, &Meter::new(), &|| false).unwrap();
    assert_eq!(cancelled.stopped, Some(Stopped::Cancelled));
    let wanted = vault.prune(&at_once(), &Cancel::new(), &Meter::new(), &|| true).unwrap();
    assert_eq!((wanted.stopped.clone(), wanted.is_done()), (Some(Stopped::Wanted), false));
    assert_eq!(place.files("locks"), Vec::<std::path::PathBuf>::new());
}

/// Not a test by itself: the process that [`killed_in_the_middle`] kills.
#[test]
fn victim() {
    let Ok(vault) = std::env::var("PRUNE_VICTIM") else { return };
    let vault = open(Path::new(&vault));
    println!("ready");
    for n in 0.. {
        let kept = memory::put(&vault, &content(&["x", "y"], 50_000));
        println!("kept {kept}");
        let mut one = content(&["x"], 50_000);
        one.insert("y".into(), random(50_000));
        let gone = memory::put(&vault, &one);
        vault.forget(&gone).unwrap();
        prune(&vault, &at_once());
        println!("pruned {n}");
    }
}

#[test]
fn killed_in_the_middle() {
    let place = Place::new();
    let vault = place.vault();
    let mut kept = three(&vault);
    vault.forget(&kept.remove(0).0).unwrap();
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env("PRUNE_VICTIM", place.path("vault"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(said.by_ref().any(|line| line.contains("pruned 0")));
        std::thread::sleep(Duration::from_millis(11 + round * 17));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut sealed: Vec<SnapshotId> =
            said.filter_map(|line| line.split_once("kept ").map(|(_, id)| memory::id(id))).collect();
        sealed.extend(kept.iter().map(|(id, _)| *id));
        vault.remove_dead_locks().unwrap();
        place.restic_accepts();
        let options = PruneOptions { expected_snapshots: sealed, ..at_once() };
        prune(&vault, &options);
        prune(&vault, &options);
        place.restic_accepts();
        kept.iter().for_each(|(id, content)| memory::holds(&vault, id, content));
    }
}
