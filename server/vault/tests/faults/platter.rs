//! What a disk may hold after its power was cut: everything that was synced, and of the rest whatever chance leaves.
//!
//! The rules are the weakest that POSIX allows. Content is durable when its file was synced; a name when its directory
//! was. Writes that were not synced are kept, dropped or torn, each for itself; names that were not synced are there or
//! not, each for itself, whatever came before or after. Content whose sync has failed is never durable any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::life::Rng;
use super::tap::Step;

#[derive(Debug, Clone, Default)]
struct Content {
    durable: Vec<u8>,
    waiting: Vec<Arc<[u8]>>,
    lost: bool,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    File(usize),
    Dir,
}

#[derive(Debug, Clone)]
enum Change {
    Add(PathBuf, Entry),
    Remove(PathBuf),
}

/// The disk, as far as a log of steps has brought it.
#[derive(Debug, Clone, Default)]
pub struct Platter {
    files: BTreeMap<usize, Content>,
    /// As the running system sees it.
    seen: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    /// By directory: what its next sync makes durable, in order.
    waiting: BTreeMap<PathBuf, Vec<Change>>,
}

/// What is there after the power came back: directories are `None`.
pub type Left = BTreeMap<PathBuf, Option<LeftFile>>;

/// A file after the power came back.
pub struct LeftFile {
    pub bytes: Vec<u8>,
    /// All that was ever written to it.
    pub is_whole: bool,
}

impl Platter {
    /// A disk on which these things are durable, below `root`.
    pub fn with<'a>(root: &Path, files: impl Iterator<Item = (&'a PathBuf, Option<&'a Vec<u8>>)>) -> Platter {
        let mut platter = Platter::default();
        for (number, (path, bytes)) in files.enumerate() {
            // The log counts from 0; what was there before has other numbers.
            let number = usize::MAX - number;
            let entry = bytes.map_or(Entry::Dir, |_| Entry::File(number));
            let durable = bytes.cloned().unwrap_or_default();
            platter.files.insert(number, Content { durable, ..Content::default() });
            platter.durable.insert(root.join(path), entry);
        }
        platter.seen = platter.durable.clone();
        platter
    }

    fn change(&mut self, change: Change) {
        let path = match &change {
            Change::Add(path, entry) => {
                self.seen.insert(path.clone(), *entry);
                path
            }
            Change::Remove(path) => {
                self.seen.remove(path);
                path
            }
        };
        self.waiting.entry(path.parent().unwrap().to_owned()).or_default().push(change);
    }

    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Create { file, path } => {
                self.files.insert(*file, Content::default());
                if let Some(path) = path {
                    self.change(Change::Add(path.clone(), Entry::File(*file)));
                }
            }
            Step::Write { file, bytes } => self.files.get_mut(file).unwrap().waiting.push(bytes.clone()),
            Step::Sync { file } => {
                let content = self.files.get_mut(file).unwrap();
                for bytes in content.waiting.drain(..).filter(|_| !content.lost) {
                    content.durable.extend_from_slice(&bytes);
                }
            }
            Step::SyncFailed { file } => self.files.get_mut(file).unwrap().lost = true,
            Step::Link { file, path } => self.change(Change::Add(path.clone(), Entry::File(*file))),
            Step::Rename { from, to } => {
                let entry = self.seen[from];
                self.change(Change::Remove(from.clone()));
                self.change(Change::Add(to.clone(), entry));
            }
            Step::Remove { path } => self.change(Change::Remove(path.clone())),
            Step::MakeDir { path } => self.change(Change::Add(path.clone(), Entry::Dir)),
            Step::SyncDir { path } => {
                for change in self.waiting.remove(path).unwrap_or_default() {
                    settle(&mut self.durable, change);
                }
            }
            Step::Mark(_) => {}
        }
    }

    /// Cuts the power. Of every hundred unsynced things about `kept` survive.
    pub fn cut(&self, rng: &mut Rng, kept: usize) -> Left {
        let mut names = self.durable.clone();
        for change in self.waiting.values().flatten() {
            if rng.chance(kept) {
                settle(&mut names, change.clone());
            }
        }
        // What lies in a directory that is not there is not there either.
        let reachable = |path: &Path| {
            path.ancestors().skip(1).all(|above| !self.seen.contains_key(above) || names.contains_key(above))
        };
        names
            .iter()
            .filter(|(path, _)| reachable(path))
            .map(|(path, entry)| match entry {
                Entry::Dir => (path.clone(), None),
                Entry::File(number) => (path.clone(), Some(self.files[number].after_cut(rng, kept))),
            })
            .collect()
    }
}

/// Writes what is left of `from` to a directory.
pub fn lay_down(left: &Left, from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    for (path, file) in left {
        let Ok(path) = path.strip_prefix(from) else { continue };
        match file {
            None => fs::create_dir_all(to.join(path)).unwrap(),
            Some(file) => fs::write(to.join(path), &file.bytes).unwrap(),
        }
    }
}

fn settle(names: &mut BTreeMap<PathBuf, Entry>, change: Change) {
    match change {
        Change::Add(path, entry) => names.insert(path, entry),
        Change::Remove(path) => names.remove(&path),
    };
}

impl Content {
    fn after_cut(&self, rng: &mut Rng, kept: usize) -> LeftFile {
        let mut bytes = self.durable.clone();
        let mut end = bytes.len();
        for write in &self.waiting {
            let length = if self.lost || !rng.chance(kept) {
                0
            } else if rng.chance(30) {
                rng.below(write.len())
            } else {
                write.len()
            };
            if length > 0 {
                // What was dropped before it is a hole.
                bytes.resize(end, 0);
                bytes.extend_from_slice(&write[..length]);
            }
            end += write.len();
        }
        // The length may be known and the content not.
        if !self.waiting.is_empty() && rng.chance(20) {
            bytes.resize(end, 0);
        }
        let written = self.durable.iter().chain(self.waiting.iter().flat_map(|write| write.iter()));
        LeftFile { is_whole: written.eq(&bytes), bytes }
    }
}
