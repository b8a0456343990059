//! Trees that an attacker with the vault's password could write: nothing is written outside of the target, nothing in
//! it can do more than a file may, and what is sound is put back all the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_pass_by_value)]

#[path = "attack/hand.rs"]
mod hand;
#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hand::*;
use holdfast_vault::{Existing, RestoreOptions, Wanted};
use serde_json::json;
use support::*;

/// The surroundings: what must not change, whatever is restored into `target`.
fn surroundings(place: &Place) -> PathBuf {
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("sub")).unwrap();
    fs::write(outside.join("precious"), "precious").unwrap();
    fs::write(outside.join("sub/file"), "precious too").unwrap();
    fs::write(place.path("evil"), "not this one").unwrap();
    outside
}

/// Everything below the place but the vault and the target: kinds, modes, owners, links, content.
fn around(place: &Place) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![place.dir.path().to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if ["vault", "target", "trash"].iter().any(|own| path == place.path(own)) {
                continue;
            }
            let facts = path.symlink_metadata().unwrap();
            let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let link = fs::read_link(&path).unwrap_or_default();
            let text = format!("{:o} {} {} {} {content:?}", facts.mode(), facts.uid(), facts.gid(), link.display());
            if facts.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, text);
        }
    }
    found
}

/// Every entry of the target.
fn inside(place: &Place) -> Vec<(PathBuf, fs::Metadata)> {
    let (mut found, mut open) = (Vec::new(), vec![place.path("target")]);
    while let Some(folder) = open.pop() {
        // A path beyond the system's limit cannot be walked by its name; what is in it was made step by step.
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let Ok(facts) = path.symlink_metadata() else { continue };
            if facts.is_dir() {
                open.push(path.clone());
            }
            found.push((path, facts));
        }
    }
    found
}

fn replacing(place: &Place) -> RestoreOptions {
    let existing = Existing::Replace { trash: place.path("trash"), keep: Arc::new(|_, _| false) };
    RestoreOptions { existing, ..RestoreOptions::default() }
}

/// What came of it, in every way of restoring.
fn look(place: &Place, before: &BTreeMap<PathBuf, String>, privileged: bool) {
    assert_eq!(&around(place), before, "something outside of the target has changed");
    let target = place.path("target");
    assert_eq!(fs::read_to_string(target.join("sound")).unwrap(), "evil");
    assert_eq!(fs::read_link(target.join("door")).unwrap(), Path::new("../outside"), "a link is put back as a link");
    for name in ["Name", "name", "NAME", "\u{e9}", "e\u{301}"] {
        assert!(target.join("cases").join(name).is_file(), "{name:?}");
    }
    let odd: [&[u8]; 4] = [b"new\nline", b"\xff\xfe", b"-rf *", b"$(reboot)"];
    for name in odd {
        assert!(target.join("odd").join(OsStr::from_bytes(name)).is_file(), "{name:?}");
    }
    assert!(target.join("long").join("n".repeat(255)).is_file());
    let (one, two) = (target.join("hard/one").metadata().unwrap(), target.join("hard/two").metadata().unwrap());
    assert_eq!((one.ino(), one.nlink()), (two.ino(), 2));
    for (number, bad) in BAD_NAMES.iter().enumerate() {
        for kind in 0..3 {
            let folder = target.join(format!("bad {number} {kind}"));
            let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, ["sound"], "{bad:?} left something");
        }
    }
    for (path, facts) in inside(place) {
        let kind = facts.file_type();
        let is_device = kind.is_block_device() || kind.is_char_device();
        assert!(privileged || !is_device, "{} is a device", path.display());
        assert!(privileged || facts.is_dir() || facts.mode() & 0o6000 == 0, "{} is raised", path.display());
    }
    let able = std::process::Command::new("getfattr")
        .args(["-n", "security.capability"])
        .arg(target.join("raised/able"))
        .output();
    if let Ok(able) = able {
        assert_eq!(able.status.success(), privileged, "{}", String::from_utf8_lossy(&able.stderr));
    }
    assert_eq!(target.join("raised/null").symlink_metadata().is_ok(), privileged);
    assert_eq!(target.join("raised/setuid").metadata().unwrap().mode() & 0o4000 != 0, privileged);
    assert_eq!(target.join("raised/setgid").metadata().unwrap().mode() & 0o2000 != 0, privileged);
}

#[test]
fn nothing_of_a_hostile_tree_leaves_the_target() {
    let place = Place::new();
    let vault = place.vault();
    let outside = surroundings(&place);
    let tree = sealed(&vault, hostile);
    let before = around(&place);

    // Into nothing.
    let restored = vault.restore(&tree, &place.path("target"), RestoreOptions::default()).unwrap();
    look(&place, &before, false);
    let withheld: Vec<String> = restored.withheld.iter().map(|problem| problem.what.clone()).collect();
    assert_eq!(withheld.len(), 5, "{withheld:?}");
    let said = restored.problems.iter().map(|problem| problem.what.as_str()).collect::<Vec<_>>().join("\n");
    for word in ["cannot be a name", "../evil", "lost", "File name too long"] {
        assert!(said.contains(word), "{word}: {said}");
    }

    // Over itself, and over links and files that stand where its folders and files go.
    let again = vault.restore(&tree, &place.path("target"), replacing(&place)).unwrap();
    look(&place, &before, false);
    assert_eq!(again.trashed, Vec::<PathBuf>::new());
    fs::remove_dir_all(place.path("target")).unwrap();
    fs::create_dir(place.path("target")).unwrap();
    for name in ["sound", "cases", "long", "hard", "raised", "deep", "odd", "bad 0 1"] {
        symlink(&outside, place.path("target").join(name)).unwrap();
    }
    fs::create_dir(place.path("target/bad 1 0")).unwrap();
    symlink(outside.join("precious"), place.path("target/bad 1 0/sound")).unwrap();
    vault.restore(&tree, &place.path("target"), replacing(&place)).unwrap();
    look(&place, &before, false);
    assert!(fs::symlink_metadata(place.path("trash/cases")).unwrap().is_symlink(), "the link itself made way");

    // Only a part of it.
    fs::remove_dir_all(place.path("target")).unwrap();
    let only: holdfast_vault::Choice = Arc::new(|_, _| Wanted::Yes);
    vault.restore(&tree, &place.path("target"), RestoreOptions { only: Some(only), ..replacing(&place) }).unwrap();
    look(&place, &before, false);

    // Who asks for it gets devices and bits; nothing leaves the target then either.
    fs::remove_dir_all(place.path("target")).unwrap();
    let restored = vault.restore(&tree, &place.path("target"), RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.withheld, []);
    look(&place, &before, true);
}

#[test]
fn what_stands_there_is_not_raised_by_a_tree() {
    let place = Place::new();
    let vault = place.vault();
    let target = place.path("target");
    fs::create_dir(&target).unwrap();
    // Somebody's own file of that content and time, with the bit set; the tree says that it is root's.
    fs::write(target.join("theirs"), "evil").unwrap();
    fs::write(target.join("ours"), "evil").unwrap();
    for name in ["theirs", "ours"] {
        mtime(&target.join(name), 978_307_200, 0);
    }
    std::os::unix::fs::chown(target.join("theirs"), Some(12345), Some(12345)).unwrap();
    let bits = |name: &str| fs::metadata(target.join(name)).unwrap().mode() & 0o7777;
    for name in ["theirs", "ours"] {
        fs::set_permissions(target.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    }
    fs::write(target.join("null"), "a file where the tree has a device").unwrap();
    let tree = sealed(&vault, |hand| {
        let raised = json!({ "mode": SETUID | 0o755 });
        let null = hand.node("null", "chardev", json!({ "mode": DEVICE | CHAR | 0o666, "device": 259 }));
        hand.tree(&[hand.file("theirs", raised.clone()), hand.file("ours", raised), null])
    });
    let restored = vault.restore(&tree, &target, replacing(&place)).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(bits("theirs"), 0o755, "a file of another owner became root's with its bit set");
    assert_eq!(bits("ours"), 0o4755, "what it was, it stays");
    assert_eq!(fs::read_to_string(target.join("null")).unwrap(), "a file where the tree has a device");
    assert_eq!(restored.trashed, Vec::<PathBuf>::new());
}

#[test]
fn a_link_that_is_swapped_in_meanwhile_leads_nowhere() {
    for moment in ["dir", "dir/sub", "dir/sub/late"] {
        let place = Place::new();
        let vault = place.vault();
        let outside = surroundings(&place);
        let tree = sealed(&vault, |hand| {
            let late = [hand.file("file", json!({})), hand.file("late", json!({})), hand.file("precious", json!({}))];
            let dir = hand.dir("dir", &[hand.dir("sub", &late), hand.file("precious", json!({}))]);
            hand.tree(&[dir, hand.file("sound", json!({}))])
        });
        let before = around(&place);
        let (target, done) = (place.path("target"), Arc::new(AtomicBool::new(false)));
        let swap = {
            let (target, done) = (target.clone(), done.clone());
            move |path: &Path, _: bool| {
                if path == Path::new(moment) && !done.swap(true, Ordering::SeqCst) {
                    // Whatever stands there by now goes away, and a link takes its name.
                    let _ = fs::rename(target.join("dir"), target.join("moved"));
                    let _ = symlink(&outside, target.join("dir"));
                }
                Wanted::Yes
            }
        };
        let options = RestoreOptions { only: Some(Arc::new(swap)), ..replacing(&place) };
        let restored = vault.restore(&tree, &target, options).unwrap();
        assert!(done.load(Ordering::SeqCst));
        assert_eq!(around(&place), before, "at {moment}");
        assert_eq!(fs::read_to_string(target.join("sound")).unwrap(), "evil");
        assert_ne!(restored.problems, [], "at {moment}: it was not noticed");
    }
}

#[test]
fn a_later_tree_does_not_go_through_the_links_of_an_earlier_one() {
    let place = Place::new();
    let vault = place.vault();
    let outside = surroundings(&place);
    let first = sealed(&vault, |hand| {
        hand.tree(&[hand.link("door", outside.to_str().unwrap()), hand.link("hall", "../outside/sub")])
    });
    let second = sealed(&vault, |hand| {
        let evil = [hand.file("precious", json!({})), hand.dir("sub", &[hand.file("file", json!({}))])];
        hand.tree(&[hand.dir("door", &evil), hand.dir("hall", &[hand.file("file", json!({}))])])
    });
    let before = around(&place);
    let target = place.path("target");
    vault.restore(&first, &target, RestoreOptions::default()).unwrap();
    // Only what is inside of it: then the link bars the way, and it is said.
    let through: holdfast_vault::Choice = Arc::new(|path, is_dir| match (is_dir, path.starts_with("door/sub")) {
        (_, true) => Wanted::Yes,
        (true, false) => Wanted::Through,
        (false, false) => Wanted::No,
    });
    let barred =
        vault.restore(&second, &target, RestoreOptions { only: Some(through.clone()), ..replacing(&place) }).unwrap();
    assert_eq!(barred.problems.len(), 2, "{:?}", barred.problems);
    assert!(barred.problems[0].what.contains("move it away"), "{:?}", barred.problems);
    assert_eq!(around(&place), before);
    assert!(fs::symlink_metadata(target.join("door")).unwrap().is_symlink());
    // The whole of it: the link makes way.
    let whole = vault.restore(&second, &target, replacing(&place)).unwrap();
    assert_eq!(whole.problems, []);
    assert_eq!(around(&place), before);
    assert_eq!(fs::read_to_string(target.join("door/precious")).unwrap(), "evil");
    // Passed through, a folder that stands there stays as it is, and what else is in it.
    fs::write(target.join("door/mine"), "newer").unwrap();
    fs::remove_dir_all(target.join("door/sub")).unwrap();
    fs::set_permissions(target.join("door"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let part = vault.restore(&second, &target, RestoreOptions { only: Some(through), ..replacing(&place) }).unwrap();
    assert_eq!((part.problems.len(), part.trashed.len()), (0, 0), "{:?}", part.problems);
    assert_eq!(fs::read_to_string(target.join("door/sub/file")).unwrap(), "evil");
    assert_eq!(fs::read_to_string(target.join("door/mine")).unwrap(), "newer");
    assert_eq!(fs::metadata(target.join("door")).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn content_is_found_by_names_and_never_by_links() {
    let place = Place::new();
    let vault = place.vault();
    let tree = sealed(&vault, hostile);
    let mut text = String::new();
    vault.read(&vault.find(&tree, Path::new("sound")).unwrap()).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "evil");
    for path in [
        "door/precious",
        "etc/passwd",
        "self/sound",
        "../sound",
        "cases/../sound",
        "/../sound",
        "../evil",
        "twins/x/evil",
        "sound/evil",
    ] {
        assert!(vault.find(&tree, Path::new(path)).is_err(), "{path}");
    }
    // What is no file has nothing to read, and a file whose content is gone says so.
    for path in ["door", "raised/null", "lost/file"] {
        let node = vault.find(&tree, Path::new(path)).unwrap();
        let read = vault.read(&node).and_then(|mut reader| {
            reader
                .read_to_end(&mut Vec::new())
                .map_err(|error| holdfast_vault::Error::from_io(&error).cloned().unwrap())
        });
        assert!(read.is_err() || matches!(read, Ok(0)), "{path}");
    }
}
