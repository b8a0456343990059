//! The list of what differs in a tree of files, wherever the tree comes from: counted whole, kept up to a limit, with
//! renames found by equal content and changed lines counted for as long as there is time.

mod lines;
mod renames;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use holdfast_model::diff::{FileChange, FileChangeKind, FileChanges, FileCounts, Lines};
use holdfast_vault::Cancel;

use super::DiffLimits;
use crate::place;

/// Changes that are kept in memory: renames are looked for among these.
const KEPT: usize = 200_000;
/// Texts whose lines are counted.
const TEXTS: usize = 300;

/// What tells content apart: equal for equal bytes.
pub(super) type Identity = [u8; 32];

/// Gives the bytes of both texts of an entry; none where one of them is not to be had. Called from several threads.
pub(super) type Read<'a, T> = &'a (dyn Fn(&T) -> Option<Texts> + Sync);
/// The first one's and the second one's bytes.
pub(super) type Texts = (Vec<u8>, Vec<u8>);

/// What became of an entry, before renames are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Became {
    Modified,
    Added,
    Deleted,
    Metadata,
}

/// One entry that differs; `T` is what both texts can be read by.
pub(super) struct Entry<T> {
    /// Below the component, in bytes as on disk.
    pub path: PathBuf,
    pub became: Became,
    /// Phrases on its metadata.
    pub what: Vec<String>,
    /// `file`, `dir`, `file → dir`, …
    pub kind: Cow<'static, str>,
    pub before: Option<u64>,
    pub after: Option<u64>,
    /// Of a file that is not empty and that only one side has.
    pub content: Option<Identity>,
    /// Of a modified file that may be text.
    pub texts: Option<T>,
}

/// Takes the entries in the order of their paths.
pub(super) struct Listing<T> {
    counts: FileCounts,
    entries: Vec<Entry<T>>,
    texts: usize,
    all: u64,
}

impl<T: Sync + Send> Listing<T> {
    pub(super) const fn new() -> Self {
        let counts = FileCounts { modified: 0, added: 0, deleted: 0, renamed: 0, metadata: 0, directories: 0 };
        Self { counts, entries: Vec::new(), texts: 0, all: 0 }
    }

    /// Whether the texts of one more entry would be looked at.
    pub(super) const fn wants_texts(&self) -> bool {
        self.texts < TEXTS
    }

    pub(super) fn push(&mut self, entry: Entry<T>) {
        let one_sided = matches!(entry.became, Became::Added | Became::Deleted);
        let count = match entry.became {
            _ if one_sided && entry.kind == "dir" => &mut self.counts.directories,
            Became::Modified => &mut self.counts.modified,
            Became::Added => &mut self.counts.added,
            Became::Deleted => &mut self.counts.deleted,
            Became::Metadata => &mut self.counts.metadata,
        };
        *count += 1;
        self.all += 1;
        self.texts += usize::from(entry.texts.is_some());
        if self.entries.len() < KEPT {
            self.entries.push(entry);
        }
    }

    /// The list, and a sentence where renames could not be looked for among all.
    pub(super) fn finish(
        mut self,
        limits: &DiffLimits,
        cancel: &Cancel,
        read: Read<'_, T>,
    ) -> (FileChanges, Option<String>) {
        let unseen = self.all - u64::try_from(self.entries.len()).unwrap_or(self.all);
        let gap = (unseen > 0).then(|| {
            format!("more than {KEPT} entries differ: a file that was renamed among the last {unseen} is told as added and deleted")
        });
        let from = renames::find(&self.entries);
        let renamed = u64::try_from(from.len()).unwrap_or(u64::MAX);
        self.counts.renamed = renamed;
        self.counts.added = self.counts.added.saturating_sub(renamed);
        self.counts.deleted = self.counts.deleted.saturating_sub(renamed);
        let gone: std::collections::HashSet<usize> = from.values().copied().collect();

        let places: Vec<usize> =
            (0..self.entries.len()).filter(|place| !gone.contains(place)).take(limits.entries).collect();
        let told: Vec<Option<&T>> = places.iter().map(|place| self.entries[*place].texts.as_ref()).collect();
        let lines = lines::count(&told, limits, cancel, read);
        let entries: Vec<FileChange> = places
            .iter()
            .zip(lines)
            .map(|(place, lines)| shown(&self.entries[*place], from.get(place).map(|from| &self.entries[*from]), lines))
            .collect();
        let more = self.all - renamed - u64::try_from(entries.len()).unwrap_or(0);
        (FileChanges { counts: self.counts, entries, more }, gap)
    }
}

fn shown<T>(entry: &Entry<T>, from: Option<&Entry<T>>, lines: Option<Lines>) -> FileChange {
    let change = match (from, entry.became) {
        (Some(from), _) => FileChangeKind::Renamed { from: place::shown(&from.path) },
        (None, Became::Modified) => FileChangeKind::Modified,
        (None, Became::Added) => FileChangeKind::Added,
        (None, Became::Deleted) => FileChangeKind::Deleted,
        (None, Became::Metadata) => FileChangeKind::Metadata,
    };
    FileChange {
        path: place::shown(&entry.path),
        raw: raw(&entry.path),
        change,
        what: entry.what.clone(),
        kind: entry.kind.clone().into_owned(),
        before: from.map_or(entry.before, |from| from.before),
        after: entry.after,
        lines,
    }
}

/// The bytes of a path that is not UTF-8, in hexadecimal.
fn raw(path: &Path) -> Option<String> {
    path.to_str().is_none().then(|| hex::encode(path.as_os_str().as_encoded_bytes()))
}
