//! What goes in comes out: by our own restore and by stock restic's, down to the last attribute.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use holdfast_vault::{Cancel, CheckScope, Error, Meter, RestoreOptions, Source};
use support::*;

#[test]
fn an_awkward_tree_comes_back_identical() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (archived, sealed) = backup(&vault, &source);
    assert_eq!(archived.skipped, []);
    let snapshot = vault.snapshot(&sealed.snapshot).unwrap();

    let ours = place.path("ours");
    let restored = vault.restore(&snapshot.tree, &ours, RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(rsync_differences(&source, &ours.join("source"), &[]), "");
    assert_eq!(restored.files, archived.files + archived.dirs + archived.others);

    for name in ["sparse", "all hole"] {
        let (had, has) =
            (fs::metadata(source.join(name)).unwrap(), fs::metadata(ours.join("source").join(name)).unwrap());
        assert!(has.blocks() <= had.blocks(), "{name}: {} blocks became {}", had.blocks(), has.blocks());
    }
    place.restic_accepts();
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
    assert!(report.bytes_read > 3 << 20);
}

#[test]
fn stock_restic_restores_it_identical() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    backup(&place.vault(), &source);
    let target = place.path("restored");
    place.restic(&["restore", "latest", "--target", target.to_str().unwrap()]);
    // restic makes no sockets.
    assert_eq!(rsync_differences(&source, &target.join("source"), &["--exclude=/socket"]), "");
    assert!(place.restic(&["ls", "latest"]).contains("/source/a/b/hard"));
}

#[test]
fn a_second_run_reads_nothing_and_stores_next_to_nothing() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    let (first, _) = backup(&vault, &source);
    let (second, sealed) = backup(&open(&place.path("vault")), &source);
    assert_eq!(second.unchanged, first.files);
    assert_eq!((second.files, second.dirs, second.others), (first.files, first.dirs, first.others));
    assert_eq!(second.bytes, first.bytes);
    assert_eq!(second.tree, first.tree);
    assert_eq!(second.stored, 0);
    assert!(sealed.stored < 1000, "{}", sealed.stored);

    fs::write(source.join("a/b/c/new"), "new").unwrap();
    let (third, _) = backup(&vault, &source);
    assert_eq!((third.files, third.unchanged), (first.files + 1, first.files));
    assert!(third.stored > 0 && third.stored < 20_000, "{}", third.stored);
    let tree = vault.find(&third.tree, Path::new("a/b/c/new")).unwrap();
    assert_eq!(tree.size, 3);
    place.restic_accepts();
}

#[test]
fn the_same_content_under_new_names_is_stored_once() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let content = random(5 << 20);
    fs::write(source.join("one"), &content).unwrap();
    fs::write(source.join("two"), &content).unwrap();
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    assert_eq!(archived.bytes, 10 << 20);
    assert!(archived.stored < (5 << 20) + 100_000, "{}", archived.stored);
}

#[test]
fn filters_decide_and_missing_paths_are_named() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(source.join("skip/deep")).unwrap();
    fs::create_dir_all(source.join("take")).unwrap();
    fs::write(source.join("skip/deep/file"), "x").unwrap();
    fs::write(source.join("take/file.log"), "x").unwrap();
    fs::write(source.join("take/file"), "x").unwrap();
    let vault = place.vault();
    let writer = vault.writer(Cancel::new()).unwrap();
    let filter = |path: &Path, is_dir: bool| {
        assert!(path.is_relative());
        !(path == Path::new("skip") && is_dir) && path.extension().is_none_or(|extension| extension != "log")
    };
    let source = Source { filter: std::sync::Arc::new(filter), ..Source::new(&source) };
    let archived = writer.archive(&source, &Meter::new()).unwrap();
    let sealed = seal(writer, &archived);
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    assert!(vault.find(&tree, Path::new("source/take/file")).is_ok());
    for missing in ["source/skip", "source/take/file.log"] {
        let error = vault.find(&tree, &Path::new(missing).join("more")).unwrap_err();
        assert!(matches!(&error, Error::NoSuchPath { missing: part, .. } if part == Path::new(missing)), "{error}");
    }
    assert_eq!((archived.files, archived.dirs), (1, 2));
}

#[test]
fn a_file_that_keeps_changing_is_unsettled_and_one_that_goes_was_not_there() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let busy = source.join("busy");
    fs::write(&busy, random(30 << 20)).unwrap();
    let stop = Cancel::new();
    let writing = std::thread::spawn({
        let (stop, busy, source) = (stop.clone(), busy, source.clone());
        move || {
            let file = fs::OpenOptions::new().write(true).open(busy).unwrap();
            let mut n = 0u64;
            while !stop.is_cancelled() {
                std::os::unix::fs::FileExt::write_all_at(&file, &n.to_le_bytes(), (n * 4096) % (30 << 20)).unwrap();
                let short_lived = source.join(format!("short-{}", n % 50));
                fs::write(&short_lived, "x").unwrap();
                fs::remove_file(&short_lived).unwrap();
                n += 1;
            }
        }
    });
    let vault = place.vault();
    let (archived, sealed) = backup(&vault, &source);
    stop.cancel();
    writing.join().unwrap();
    let skipped: Vec<_> = archived.skipped.iter().map(|skipped| (skipped.path.as_path(), skipped.reason)).collect();
    assert_eq!(skipped, [(Path::new("busy"), holdfast_vault::SkipReason::Unsettled)]);
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    assert_eq!(vault.find(&tree, Path::new("source/busy")).unwrap().size, 30 << 20);
    place.restic_accepts();
}
