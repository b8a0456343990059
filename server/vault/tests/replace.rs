//! Restoring over what stands there: nothing is lost, nothing outside of the target is touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_vault::{Cancel, Error, Existing, Id, Meter, Node, RestoreOptions, Source};
use support::*;
use time::OffsetDateTime;

fn replace(trash: &Path, keep: impl Fn(&Path, bool) -> bool + Send + Sync + 'static) -> RestoreOptions {
    let existing = Existing::Replace { trash: trash.to_owned(), keep: Arc::new(keep) };
    RestoreOptions { existing, ..RestoreOptions::faithful() }
}

#[test]
fn a_target_that_is_not_empty_is_refused_unless_asked() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let error = vault.restore(&archived.tree, &source, RestoreOptions::faithful()).unwrap_err();
    assert!(matches!(error, Error::TargetNotEmpty { .. }), "{error}");
}

#[test]
fn an_untouched_target_is_left_alone() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let ctime = |name: &str| fs::metadata(source.join(name)).unwrap().ctime_nsec();
    let before = (ctime("a/text"), ctime("a/b/random"), ctime("a"));
    let trash = place.path("trash");
    let restored = vault.restore(&archived.tree, &source, replace(&trash, |_, _| false)).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(restored.trashed, Vec::<PathBuf>::new());
    assert_eq!((restored.unchanged, restored.bytes), (archived.files, 0));
    assert!(!trash.exists());
    assert_eq!(before, (ctime("a/text"), ctime("a/b/random"), ctime("a")));
}

#[test]
fn what_differs_or_is_new_goes_to_the_trash_and_what_is_kept_stays() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let original = place.path("original");
    vault.restore(&archived.tree, &original, RestoreOptions::faithful()).unwrap();

    let at = |name: &str| source.join(name);
    fs::write(at("a/b/compressible"), "overwritten").unwrap();
    fs::remove_file(at("a/b/random")).unwrap();
    fs::write(at("newer"), "newer").unwrap();
    fs::create_dir_all(at("new dir/deep")).unwrap();
    fs::write(at("new dir/deep/keep.me"), "kept").unwrap();
    fs::write(at("new dir/deep/not me"), "not kept").unwrap();
    fs::create_dir_all(at("other dir/deep")).unwrap();
    fs::write(at("other dir/deep/file"), "x").unwrap();
    fs::write(at("a/excluded.log"), "log").unwrap();
    fs::remove_dir_all(at("a/b/c")).unwrap();
    fs::write(at("a/b/c"), "a file where a directory was").unwrap();
    fs::remove_file(at("link")).unwrap();
    fs::create_dir(at("link")).unwrap();
    fs::set_permissions(at("a"), fs::Permissions::from_mode(0o700)).unwrap();
    // Same content, other time: only its metadata is set.
    let inode = fs::metadata(at("latin")).map(|known| known.ino()).unwrap_or(0);
    mtime(&at("sparse"), 5, 5);
    let sparse = fs::metadata(at("sparse")).unwrap().ino();

    let trash = place.path("source/.trash");
    let keep = |path: &Path, _: bool| {
        path.extension().is_some_and(|extension| extension == "log") || path.ends_with("keep.me")
    };
    let restored = vault.restore(&archived.tree, &source, replace(&trash, keep)).unwrap();
    assert_eq!(restored.problems, []);
    let expected = ["a/b/c", "a/b/compressible", "link", "new dir/deep/not me", "newer", "other dir"];
    assert_eq!(restored.trashed, expected.map(PathBuf::from));
    assert_eq!(fs::read_to_string(trash.join("a/b/compressible")).unwrap(), "overwritten");
    assert_eq!(fs::read_to_string(trash.join("newer")).unwrap(), "newer");
    assert_eq!(fs::read_to_string(trash.join("other dir/deep/file")).unwrap(), "x");
    assert_eq!(fs::read_to_string(at("new dir/deep/keep.me")).unwrap(), "kept");
    assert_eq!(fs::read_to_string(at("a/excluded.log")).unwrap(), "log");
    assert_eq!(fs::metadata(at("sparse")).unwrap().ino(), sparse);
    assert_eq!(inode, 0);
    let but = ["--exclude=/.trash", "--exclude=/new dir", "--exclude=*.log", "--exclude=/./"];
    let differences = rsync_differences(&original, &source, &but);
    let differences: Vec<&str> = differences.lines().filter(|line| !line.ends_with(" ./")).collect();
    assert_eq!(differences, Vec::<&str>::new());
}

#[test]
fn a_trash_on_another_file_system_gets_whole_copies() {
    let place = Place::new();
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else { return };
    let source = place.path("source");
    fs::create_dir_all(source.join("dir")).unwrap();
    fs::write(source.join("dir/file"), "old").unwrap();
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    fs::remove_dir_all(source.join("dir")).unwrap();
    awkward(&source.join("extra"), false);
    let copy = place.path("copy");
    run("cp", &["-a".as_ref(), source.join("extra").as_os_str(), copy.as_os_str()]);
    let trash = elsewhere.path().join("trash");
    let restored = vault.restore(&archived.tree, &source, replace(&trash, |_, _| false)).unwrap();
    assert_eq!(restored.trashed, [PathBuf::from("extra")]);
    assert!(!source.join("extra").exists());
    // Only hard links become files of their own.
    let differences = rsync_differences(&copy, &trash.join("extra"), &["--no-H"]);
    assert_eq!(differences, "");
}

#[test]
fn a_restore_that_is_cancelled_leaves_what_stood_there() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let original = place.path("original");
    vault.restore(&archived.tree, &original, RestoreOptions::faithful()).unwrap();
    let at = |name: &str| source.join(name);
    fs::write(at("a/b/compressible"), "overwritten").unwrap();
    fs::remove_file(at("a/b/random")).unwrap();
    fs::create_dir_all(at("new dir/deep")).unwrap();
    fs::write(at("new dir/deep/newer"), "newer").unwrap();
    fs::remove_dir_all(at("a/b/c")).unwrap();
    fs::write(at("a/b/c"), "a file where a directory was").unwrap();
    fs::remove_file(at("link")).unwrap();
    fs::create_dir(at("link")).unwrap();
    let before = place.path("before");
    run("cp", &["-a".as_ref(), source.as_os_str(), before.as_os_str()]);

    let trash = place.path("trash");
    let mut cancelled = 0;
    loop {
        // At every look at what stands there, one after the other.
        let (cancel, looks, number) = (Cancel::new(), AtomicUsize::new(0), cancelled);
        let stop = cancel.clone();
        let options = replace(&trash, move |_, _| {
            if looks.fetch_add(1, Ordering::Relaxed) == number {
                stop.cancel();
            }
            false
        });
        match vault.restore(&archived.tree, &source, RestoreOptions { cancel, ..options }) {
            Ok(_) => break,
            Err(Error::Cancelled) => cancelled += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(rsync_differences(&before, &source, &["--omit-dir-times"]), "", "cancelled at look {number}");
        assert!(!trash.exists(), "something was left in the trash at look {number}");
    }
    assert!(cancelled > 20, "{cancelled}");
    assert_eq!(
        rsync_differences(&original, &source, &["--exclude=/./"]).lines().find(|line| !line.ends_with(" ./")),
        None
    );
}

#[test]
fn a_full_disk_leaves_what_stood_there() {
    let place = Place::new();
    let (source, small) = (place.path("source"), place.path("small"));
    for number in 0..8 {
        fs::create_dir_all(source.join(format!("dir {number}"))).unwrap();
        fs::write(source.join(format!("dir {number}/file")), random(1 << 20)).unwrap();
    }
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(&small).status();
    if !mounted.is_ok_and(|status| status.success()) {
        println!("SKIPPED: no tmpfs can be mounted here");
        return;
    }
    let _unmount = Unmount(&small);
    let target = small.join("target");
    for number in 2..10 {
        fs::create_dir_all(target.join(format!("dir {number}"))).unwrap();
        fs::write(target.join(format!("dir {number}/file")), format!("as it was {number}")).unwrap();
    }
    fs::write(target.join("dir 0"), "a file where a directory belongs").unwrap();
    let before = place.path("before");
    run("cp", &["-a".as_ref(), target.as_os_str(), before.as_os_str()]);
    let mut filler = fs::File::create(small.join("filler")).unwrap();
    let mut filled = 0;
    while std::io::Write::write_all(&mut filler, &[1; 64 << 10]).is_ok() {
        filled += 64 << 10;
    }
    let mut full = 0;
    loop {
        match vault.restore(&archived.tree, &target, replace(&small.join("trash"), |_, _| false)) {
            Ok(restored) => break assert_eq!((restored.problems, restored.files), (vec![], 16)),
            Err(Error::NoSpace { .. }) => full += 1,
            Err(error) => panic!("{error}"),
        }
        assert_eq!(rsync_differences(&before, &target, &["--omit-dir-times"]), "", "full for the {full}. time");
        assert!(!small.join("trash").exists(), "something was left in the trash");
        filled -= 300 << 10;
        filler.set_len(filled).unwrap();
    }
    assert!(full > 10, "{full}");
    assert_eq!(rsync_differences(&source, &target, &["--omit-dir-times"]), "");
}

struct Unmount<'a>(&'a Path);

impl Drop for Unmount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn links_in_the_target_lead_nowhere() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(source.join("dir/sub")).unwrap();
    fs::write(source.join("dir/sub/file"), "from the vault").unwrap();
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::write(outside.join("sub/file"), "precious").unwrap();
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("dir")).unwrap();
    let trash = place.path("trash");
    let restored = vault.restore(&archived.tree, &target, replace(&trash, |_, _| false)).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(restored.trashed, [PathBuf::from("dir")]);
    assert_eq!(fs::read_to_string(outside.join("sub/file")).unwrap(), "precious");
    assert_eq!(fs::read_to_string(target.join("dir/sub/file")).unwrap(), "from the vault");
    assert!(!fs::symlink_metadata(target.join("dir")).unwrap().is_symlink());
}

#[test]
fn names_that_lead_out_are_neither_written_nor_restored() {
    let place = Place::new();
    let vault = place.vault();
    let writer = vault.writer(Cancel::new()).unwrap();
    let empty = writer.put_tree(Vec::new()).unwrap();
    for name in ["..", ".", "", "a/b", "/etc", "a\0b"] {
        let bad = writer.put_tree(vec![Node::dir(name, empty, OffsetDateTime::now_utc())]);
        assert!(matches!(bad, Err(Error::Refused(_))), "{name:?}");
    }
    // A tree by somebody else's hand, smuggled in as a file's content and then used as a tree, is not even found.
    let evil = br#"{"nodes":[{"name":"../evil","type":"file","uid":0,"gid":0,"content":[]}]}"#;
    assert!(vault.restore(&Id::of(evil), &place.path("target"), RestoreOptions::faithful()).is_err());
    assert!(!place.path("target").exists());
    let _ = writer.archive(&Source::new(place.path("vault")), &Meter::new()).unwrap();
}
