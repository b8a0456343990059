//! Two trees are compared by what differs: everything that does is told, and what is equal is not even read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/lib.rs"]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_vault::{Backend, BackendError, Cancel, Change, Error, FileKind, LocalBackend, TreeId, Vault};
use support::*;

/// The differences by path: `+`, `-`, `~`.
fn diff(vault: &Vault, before: &TreeId, after: &TreeId) -> BTreeMap<PathBuf, char> {
    let mut found = BTreeMap::new();
    let mut order = Vec::new();
    vault
        .diff(before, after, &Cancel::new(), &mut |path, change| {
            let sign = match change {
                Change::Added(_) => '+',
                Change::Removed(_) => '-',
                Change::Changed { .. } => '~',
            };
            order.push(path.to_owned());
            assert!(found.insert(path.to_owned(), sign).is_none(), "{} is told twice", path.display());
            Ok(())
        })
        .unwrap();
    let mut sorted = order.clone();
    sorted.sort();
    assert_eq!(order, sorted, "in the order of the paths, a directory before what is in it");
    found
}

fn expected(entries: &[(&str, char)]) -> BTreeMap<PathBuf, char> {
    entries.iter().map(|(path, sign)| (Path::new("source").join(path), *sign)).collect()
}

fn tree(vault: &Vault, source: &Path) -> TreeId {
    let (_, sealed) = backup(vault, source);
    vault.snapshot(&sealed.snapshot).unwrap().tree
}

#[test]
fn everything_that_differs_is_told_and_nothing_else() {
    let place = Place::new();
    let source = place.path("source");
    for dir in ["same/deep/er", "goes/deep", "turns"] {
        fs::create_dir_all(source.join(dir)).unwrap();
    }
    for file in ["same/a", "same/deep/er/b", "goes/c", "goes/deep/d", "turns/e", "content", "mode", "time", "file"] {
        fs::write(source.join(file), file).unwrap();
    }
    symlink("content", source.join("link")).unwrap();
    let vault = place.vault();
    let before = tree(&vault, &source);
    assert_eq!(diff(&vault, &before, &before), BTreeMap::new());

    fs::write(source.join("content"), "another").unwrap();
    fs::set_permissions(source.join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    mtime(&source.join("time"), 981_173_106, 5);
    fs::remove_dir_all(source.join("goes")).unwrap();
    fs::remove_dir_all(source.join("turns")).unwrap();
    fs::write(source.join("turns"), "into a file").unwrap();
    fs::remove_file(source.join("file")).unwrap();
    fs::create_dir_all(source.join("file/now a directory")).unwrap();
    fs::remove_file(source.join("link")).unwrap();
    symlink("mode", source.join("link")).unwrap();
    fs::create_dir_all(source.join("new/deep")).unwrap();
    fs::write(source.join("new/deep/f"), "f").unwrap();
    // Only the time of a directory changes by this.
    fs::write(source.join("same/passing"), "").unwrap();
    fs::remove_file(source.join("same/passing")).unwrap();
    let after = tree(&vault, &source);

    let there = [
        ("content", '~'),
        ("mode", '~'),
        ("time", '~'),
        ("goes", '-'),
        ("goes/c", '-'),
        ("goes/deep", '-'),
        ("goes/deep/d", '-'),
        ("turns", '~'),
        ("turns/e", '-'),
        ("file", '~'),
        ("file/now a directory", '+'),
        ("link", '~'),
        ("new", '+'),
        ("new/deep", '+'),
        ("new/deep/f", '+'),
    ];
    assert_eq!(diff(&vault, &before, &after), expected(&there));
    let back = there.map(|(path, sign)| {
        (
            path,
            if sign == '~' {
                '~'
            } else if sign == '+' {
                '-'
            } else {
                '+'
            },
        )
    });
    assert_eq!(diff(&vault, &after, &before), expected(&back));
}

/// Counts the bytes that are read of packs.
struct Counted(LocalBackend, Arc<AtomicU64>);

impl Backend for Counted {
    fn location(&self) -> String {
        self.0.location()
    }
    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError> {
        self.0.list(kind)
    }
    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError> {
        self.0.read(kind, name)
    }
    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        self.1.fetch_add(len, Ordering::Relaxed);
        self.0.read_range(kind, name, offset, len)
    }
    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.0.write(kind, name, bytes)
    }
    fn settle(&self, kind: FileKind) -> Result<(), BackendError> {
        self.0.settle(kind)
    }
    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.0.remove(kind, name)
    }
}

#[test]
fn what_is_equal_is_not_read() {
    let place = Place::new();
    let source = place.path("source");
    for dir in 0..600 {
        let dir = source.join(format!("{}/{dir}", dir % 20));
        fs::create_dir_all(&dir).unwrap();
        // Names that do not compress, so that there is much that could be read.
        for file in 0..20 {
            fs::write(dir.join(format!("{file}{}", hex::encode(random(100)))), file.to_string()).unwrap();
        }
    }
    fs::write(source.join("7/127/one"), "as it was").unwrap();
    let vault = place.vault();
    let before = tree(&vault, &source);
    fs::write(source.join("7/127/one"), "changed").unwrap();
    let after = tree(&vault, &source);

    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted(LocalBackend::open(place.path("vault")).unwrap(), read.clone());
    let vault = Vault::open(Arc::new(counted), &password(), options()).unwrap();
    let found = diff(&vault, &before, &after);
    assert_eq!(found.len(), 1);
    let trees: u64 = place.files("data").iter().map(|pack| fs::metadata(pack).unwrap().len()).sum();
    let read = read.load(Ordering::Relaxed);
    assert!(read < trees / 2, "{read} of {trees} bytes were read");
}

#[test]
fn it_can_be_stopped() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    let vault = place.vault();
    let before = tree(&vault, &source);
    for file in 0..10 {
        fs::write(source.join(file.to_string()), "x").unwrap();
    }
    let after = tree(&vault, &source);
    let cancel = Cancel::new();
    let mut told = 0;
    let stopped = vault.diff(&before, &after, &cancel, &mut |_, _| {
        told += 1;
        if told == 3 {
            cancel.cancel();
        }
        Ok(())
    });
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert_eq!(told, 3);
}
