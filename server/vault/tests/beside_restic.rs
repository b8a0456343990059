//! Stock restic and we use one vault in turns.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/lib.rs"]
mod support;

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use holdfast_vault::{Cancel, CheckScope, Error, LocalBackend, Meter, Password, RestoreOptions, Vault};
use support::*;

#[test]
fn we_read_what_restic_wrote_and_it_what_we_add() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    place.restic(&["init"]);
    place.restic(&["backup", "source"]);

    let vault = open(&place.path("vault"));
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
    let theirs = vault.snapshots().unwrap().pop().unwrap();
    // `restic backup source` with a relative path puts `source` at the root; it takes no sockets.
    let target = place.path("ours");
    let restored = vault.restore(&theirs.tree, &target, RestoreOptions::faithful()).unwrap();
    assert_eq!(restored.problems, []);
    assert_eq!(rsync_differences(&source, &target.join("source"), &["--exclude=/socket"]), "");

    // Its snapshot is a parent for ours: nothing is read again.
    let (archived, _) = backup(&vault, &source);
    assert_eq!(archived.unchanged, archived.files);
    assert!(archived.stored < 100_000, "{}", archived.stored);
    place.restic_accepts();

    // And ours for it.
    fs::write(source.join("more"), "more").unwrap();
    place.restic(&["backup", "source"]);
    place.restic_accepts();
    let vault = open(&place.path("vault"));
    assert_eq!(vault.snapshots().unwrap().len(), 3);
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
    let newest = vault.snapshots().unwrap().pop().unwrap();
    assert_eq!(vault.find(&newest.tree, Path::new("source/more")).unwrap().size, 4);
}

#[test]
fn a_prune_by_restic_beside_an_open_vault_is_noticed() {
    let place = Place::new();
    let source = place.path("source");
    awkward(&source, true);
    let vault = place.vault();
    let (_, sealed) = backup(&vault, &source);
    vault.forget(&sealed.snapshot).unwrap();
    assert!(matches!(vault.forget(&sealed.snapshot), Err(Error::NoSuchSnapshot(_))));
    // Between our start and our seal everything that we rely upon goes away, and our lock with it.
    let writer = vault.writer(Cancel::new()).unwrap();
    let archived = writer.archive(&holdfast_vault::Source::new(&source), &Meter::new()).unwrap();
    assert_eq!(archived.stored, 0);
    place.restic(&["unlock", "--remove-all"]);
    place.restic(&["prune", "--max-unused", "0"]);
    let tree = writer.put_tree(vec![archived.node.with_name("source")]).unwrap();
    let error = writer.seal(draft(tree)).unwrap_err();
    assert!(matches!(error, Error::VaultChanged { .. }), "{error}");
    assert_eq!(vault.snapshots().unwrap(), []);
    // Running again is all that is needed.
    let (archived, sealed) = backup(&vault, &source);
    assert!(archived.stored > 0);
    place.restic_accepts();
    let tree = vault.snapshot(&sealed.snapshot).unwrap().tree;
    let report = vault.check_tree(&tree, CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
}

#[test]
fn passwords_places_and_kits() {
    let place = Place::new();
    let vault = place.vault();
    let backend = || std::sync::Arc::new(LocalBackend::open(place.path("vault")).unwrap());
    let wrong = Vault::open(backend(), &Password::new("wrong".into()), options());
    assert!(matches!(wrong, Err(Error::WrongPassword)));
    assert!(matches!(Vault::init(backend(), &password(), options()), Err(Error::AlreadyAVault { .. })));
    let empty = std::sync::Arc::new(LocalBackend::create(place.path("empty")).unwrap());
    assert!(matches!(Vault::open(empty, &password(), options()), Err(Error::NotAVault { .. })));
    let (name, bytes) = vault.key_file().unwrap();
    assert_eq!(fs::read(place.path("vault/keys").join(name)).unwrap(), bytes);
    assert_eq!(vault.id().len(), 64);
    // A second password by stock restic opens it too.
    fs::write(place.path("second"), "second").unwrap();
    place.restic(&["key", "add", "--new-password-file", "second"]);
    assert!(Vault::open(backend(), &Password::new("second".into()), options()).is_ok());
    assert!(format!("{:?}", Password::new("second".into())).find("second").is_none());
}

#[test]
fn a_file_is_read_from_any_place_on() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let content = random(9 << 20);
    fs::write(source.join("file"), &content).unwrap();
    let vault = place.vault();
    let (archived, _) = backup(&vault, &source);
    let node = vault.find(&archived.tree, Path::new("file")).unwrap();
    assert!(node.content.len() > 2);
    let mut reader = vault.read(&node).unwrap();
    assert_eq!(reader.len(), 9 << 20);
    let mut whole = Vec::new();
    reader.read_to_end(&mut whole).unwrap();
    assert!(whole == content);
    for at in [0, 1, 4_000_000, 8_999_999, content.len() - 1, content.len()] {
        reader.seek(SeekFrom::Start(at as u64)).unwrap();
        let mut some = vec![0; 700_000.min(content.len() - at)];
        reader.read_exact(&mut some).unwrap();
        assert!(some == content[at..at + some.len()], "{at}");
    }
    assert_eq!(reader.seek(SeekFrom::End(-3)).unwrap(), (9 << 20) - 3);
    assert!(reader.seek(SeekFrom::Current(-(10 << 20))).is_err());
}
