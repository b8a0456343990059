//! One flipped bit, anywhere: found, and never given out as content.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use holdfast_vault::{Cancel, CheckScope, Meter, RestoreOptions, Source, Vault};
use support::*;

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at % bytes.len();
    bytes[at] ^= 0x10;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn problems(vault: &Vault, scope: CheckScope) -> usize {
    vault.check(scope, &Cancel::new(), &Meter::new()).unwrap().problems.len()
}

#[test]
fn a_flipped_bit_in_each_kind_of_file_is_found() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    backup(&vault, &source);
    // A lock of somebody else, to have one of each kind.
    let writer = vault.writer(Cancel::new()).unwrap();
    assert_eq!(problems(&vault, CheckScope::AllData), 0);
    for dir in ["config", "keys", "locks", "snapshots", "index", "data"] {
        let files = if dir == "config" { vec![place.path("vault/config")] } else { place.files(dir) };
        assert!(!files.is_empty());
        for file in files {
            let before = fs::read(&file).unwrap();
            for at in [0, before.len() / 3, before.len() - 1] {
                flip(&file, at);
                assert!(problems(&vault, CheckScope::AllData) > 0, "{} at {at}", file.display());
                fs::write(&file, &before).unwrap();
            }
        }
    }
    assert_eq!(problems(&vault, CheckScope::AllData), 0);
    drop(writer);
}

/// The same open vault from before the damage until after the mending: what it has read is not what lies there.
#[test]
fn a_check_sees_what_lies_there_now() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    backup(&place.vault(), &source);
    for seen_before in [false, true] {
        let mut of_trees = 0;
        for pack in place.files("data") {
            let vault = open(&place.path("vault"));
            if seen_before {
                assert_eq!(problems(&vault, CheckScope::Structure), 0);
            }
            let sound = fs::read(&pack).unwrap();
            flip(&pack, sound.len() / 3);
            assert!(problems(&vault, CheckScope::AllData) > 0, "{}", pack.display());
            of_trees += usize::from(problems(&vault, CheckScope::Structure) > 0);
            fs::write(&pack, &sound).unwrap();
            assert_eq!(problems(&vault, CheckScope::AllData), 0, "{} is mended", pack.display());
        }
        assert_eq!(of_trees, 1, "without reading all data a check reads all trees");
    }
}

#[test]
fn a_damaged_pack_is_named_and_its_content_withheld() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("one"), random(3 << 20)).unwrap();
    let vault = place.vault();
    let (archived, sealed) = backup(&vault, &source);
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    let read_back = |fresh: bool| vault.read_back(&[tree], &|_| fresh, &Cancel::new(), &Meter::new()).unwrap();
    let sound = read_back(false);
    assert!(sound.damaged.is_empty() && sound.packs_read.len() == 2);
    assert!(sound.bytes_now > 3 << 20 && sound.bytes_earlier == 0 && sound.blobs >= 3);
    let earlier = read_back(true);
    assert_eq!((earlier.bytes_now, earlier.bytes_earlier), (0, sound.bytes_now));

    let pack = place.files("data").into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    flip(&pack, 2 << 20);
    let found = read_back(false);
    assert!(!found.damaged.is_empty() && found.packs_read.len() == 1);
    let name = pack.file_name().unwrap().to_str().unwrap();
    assert!(found.damaged.iter().all(|problem| problem.pack.is_some_and(|pack| pack.to_string() == name)));
    let report = vault.check_tree(&tree, CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert!(!report.problems.is_empty());

    let target = place.path("target");
    let restored = vault.restore(&archived.tree, &target, RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.problems.len(), 1);
    let node = vault.find(&archived.tree, Path::new("one")).unwrap();
    let error = std::io::copy(&mut vault.read(&node).unwrap(), &mut std::io::sink()).unwrap_err();
    assert!(matches!(holdfast_vault::Error::from_io(&error), Some(holdfast_vault::Error::Damaged { .. })));
}

#[test]
fn what_is_missing_or_cut_short_is_found_by_its_structure_alone() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, false);
    let vault = place.vault();
    backup(&vault, &source);
    assert_eq!(problems(&vault, CheckScope::Structure), 0);
    let mut files = place.files("data");
    files.extend(place.files("index"));
    for file in files {
        let before = fs::read(&file).unwrap();
        for length in [0, 3, 40, before.len() / 2, before.len() - 1] {
            fs::write(&file, &before[..length]).unwrap();
            assert!(problems(&vault, CheckScope::Structure) > 0, "{} of {length}", file.display());
        }
        fs::remove_file(&file).unwrap();
        assert!(problems(&vault, CheckScope::Structure) > 0, "without {}", file.display());
        fs::write(&file, &before).unwrap();
    }
    // A snapshot that cannot be read makes the list an error, never a shorter list.
    flip(&place.files("snapshots")[0], 50);
    assert!(vault.snapshots().is_err());
    fs::remove_dir_all(place.path("vault/snapshots")).unwrap();
    assert!(vault.snapshots().is_err());
    let again = vault.writer(Cancel::new()).unwrap();
    assert!(again.archive(&Source::new(&source), &Meter::new()).is_ok());
}
