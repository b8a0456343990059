//! Random trees: what is told of two of them makes the second one of the first.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
    },
    path::{Path, PathBuf},
};

use holdfast_model::diff::{Changes, FileChange, FileChangeKind, FileChanges};
use serde_json::json;

use super::{files, mirrored, one, sorted};
use crate::bench::Bench;

/// What an entry is, what it holds, and its mode.
type Tree = BTreeMap<PathBuf, (char, Vec<u8>, u32)>;

struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit
    }

    fn name(&mut self) -> &'static [u8] {
        const NAMES: [&[u8]; 8] = [b"a", b"b", b"c.rs", b"D", b"\xc3\xa9", b"raw\xff", b"new\nline", b"a-"];
        NAMES[self.below(NAMES.len())]
    }

    fn content(&mut self) -> Vec<u8> {
        let lines: String = (0..self.below(5)).map(|_| ["one\n", "two\n", "three"][self.below(3)]).collect();
        if self.below(8) == 0 { format!("{lines}\0").into_bytes() } else { lines.into_bytes() }
    }
}

fn read(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let facts = path.symlink_metadata().unwrap();
            let here = path.strip_prefix(root).unwrap().to_path_buf();
            let mode = facts.mode() & 0o7777;
            if facts.is_dir() {
                found.insert(here, ('d', Vec::new(), mode));
                open.push(path);
            } else if facts.is_symlink() {
                found.insert(here, ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec(), 0));
            } else {
                found.insert(here, ('f', fs::read(&path).unwrap(), mode));
            }
        }
    }
    found
}

fn change(root: &Path, dice: &mut Dice) {
    for _ in 0..1 + dice.below(8) {
        let folders: Vec<PathBuf> = std::iter::once(PathBuf::new())
            .chain(read(root).into_iter().filter(|(_, entry)| entry.0 == 'd').map(|(path, _)| path))
            .collect();
        let all: Vec<PathBuf> = read(root).into_keys().collect();
        let folder = root.join(&folders[dice.below(folders.len())]);
        let place = folder.join(OsStr::from_bytes(dice.name()));
        let any = all.get(dice.below(all.len().max(1))).map(|path| root.join(path));
        let free = place.symlink_metadata().is_err();
        match (dice.below(9), any) {
            (0..=2, _) if !place.is_dir() || place.is_symlink() => {
                let _ = fs::remove_file(&place);
                fs::write(&place, dice.content()).unwrap();
            }
            (3, _) if free => fs::create_dir(&place).unwrap(),
            (4, _) if free => symlink(OsStr::from_bytes(dice.name()), &place).unwrap(),
            (5, Some(any)) if any.is_dir() && !any.is_symlink() => fs::remove_dir_all(any).unwrap(),
            (5 | 6, Some(any)) if !any.is_dir() || any.is_symlink() => fs::remove_file(any).unwrap(),
            (7, Some(any)) if free && !place.starts_with(&any) => fs::rename(any, &place).unwrap(),
            (8, Some(any)) if !any.is_symlink() => {
                let mode = [0o755, 0o700, 0o750][dice.below(3)];
                fs::set_permissions(any, Permissions::from_mode(mode)).unwrap();
            }
            _ => {}
        }
    }
}

fn path_of(entry: &FileChange) -> PathBuf {
    match &entry.raw {
        Some(raw) => PathBuf::from(OsStr::from_bytes(&hex::decode(raw).unwrap())),
        None => PathBuf::from(&entry.path),
    }
}

/// Carries out what is told on the first tree; takes of the second one only what the kind of change gives leave to.
fn apply(changes: &FileChanges, first: &Tree, second: &Tree) -> Tree {
    let mut tree = first.clone();
    for entry in &changes.entries {
        let path = path_of(entry);
        match &entry.change {
            FileChangeKind::Added => assert!(tree.insert(path.clone(), second[&path].clone()).is_none(), "{entry:?}"),
            FileChangeKind::Deleted => assert!(tree.remove(&path).is_some(), "{entry:?}"),
            FileChangeKind::Modified => {
                let old = tree.insert(path.clone(), second[&path].clone()).expect("it was there");
                assert_ne!((old.0, old.1), (second[&path].0, second[&path].1.clone()), "{entry:?}");
            }
            FileChangeKind::Metadata => {
                assert!(!entry.what.is_empty());
                tree.get_mut(&path).expect("it was there").2 = second[&path].2;
            }
            FileChangeKind::Renamed { from } => {
                let from = first.keys().find(|path| shown(path) == *from).unwrap();
                let (kind, content, _) = tree.remove(from).expect("it was there");
                assert!(kind == 'f' && !content.is_empty());
                assert!(tree.insert(path.clone(), (kind, content, second[&path].2)).is_none(), "{entry:?}");
            }
        }
    }
    tree
}

fn shown(path: &Path) -> String {
    let chunks = path.as_os_str().as_bytes().utf8_chunks();
    chunks
        .map(|chunk| chunk.invalid().iter().fold(chunk.valid().to_owned(), |text, byte| format!("{text}\\x{byte:02X}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_makes_the_second_tree_of_the_first() {
    let bench = Bench::new().await;
    let root = bench.app("up");
    fs::create_dir_all(&root).unwrap();
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": root}]), json!({}));
    let (mut dice, mut before) = (Dice(0x5EED), None);
    for round in 0..60 {
        change(&root, &mut dice);
        let tree = read(&root);
        let checkpoint = bench.take(&definition).await;
        if let Some((last, old)) = before.replace((checkpoint.clone(), tree.clone())) {
            let (there, back) = (one(&bench, &last, &checkpoint).await, one(&bench, &checkpoint, &last).await);
            if there.changes == Changes::Same {
                assert_eq!(old, tree, "round {round}");
                assert_eq!(back.changes, Changes::Same);
                continue;
            }
            assert_eq!(apply(files(&there), &old, &tree), tree, "round {round}: {:#?}", files(&there));
            assert_eq!(apply(files(&back), &tree, &old), old, "round {round}, back: {:#?}", files(&back));
            assert_eq!(sorted(files(&back)), sorted(&mirrored(files(&there))), "round {round}");
        }
    }
}
