//! Files of two commits.

use std::{
    borrow::Cow,
    collections::HashMap,
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use holdfast_model::diff::FileChanges;
use holdfast_vault::Cancel;

use super::super::{
    DiffLimits,
    listing::{Became, Entry, Identity, Listing},
};
use crate::{
    failure::Failure,
    git::run::{Git, fields},
};

/// Bytes of all texts whose lines are counted.
const TEXTS: u64 = 64 << 20;

/// A file in a commit.
pub(super) struct Found {
    /// As git has it: `100644`, `120000`, … in octal.
    pub mode: u32,
    pub object: String,
}

impl Found {
    fn new(mode: &str, object: &str) -> Option<Self> {
        let mode = u32::from_str_radix(mode, 8).ok()?;
        (mode != 0).then(|| Self { mode, object: object.to_owned() })
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.mode >> 12 {
            0o12 => "symlink",
            0o16 => "submodule",
            0o4 => "dir",
            _ => "file",
        }
    }

    pub(super) fn is_submodule(&self) -> bool {
        self.kind() == "submodule"
    }
}

/// A changed file as git tells it.
struct Changed {
    path: PathBuf,
    before: Option<Found>,
    after: Option<Found>,
}

/// Both objects of a text.
struct Texts(String, String);

/// Bytes of both objects of a file, as far as they are known.
type Sizes = (Option<u64>, Option<u64>);

/// What differs between the files of two commits; none has no files. And a sentence where renames could not be found.
pub(super) fn between(
    git: &Git,
    first: Option<&str>,
    second: Option<&str>,
    limits: &DiffLimits,
    cancel: &Cancel,
) -> Result<(FileChanges, Option<String>), Failure> {
    if first == second {
        return Ok((FileChanges::default(), None));
    }
    let empty = String::from_utf8_lossy(&git.feed(&["mktree"], b"")?).trim().to_owned();
    let tree = |commit: Option<&str>| commit.map_or(empty.clone(), |commit| format!("{commit}^{{tree}}"));
    let changed = changed(git, &tree(first), &tree(second))?;
    let sizes = sizes(git, &changed)?;
    let (mut listing, mut wanted, mut bytes) = (Listing::new(), Vec::new(), 0);
    for (changed, (before, after)) in changed.into_iter().zip(sizes) {
        cancel.check()?;
        let mut entry = entry(changed, before, after, limits.text);
        if entry.texts.is_some() {
            bytes += before.unwrap_or(0) + after.unwrap_or(0);
            if bytes > TEXTS || !listing.wants_texts() {
                entry.texts = None;
            }
        }
        wanted.extend(entry.texts.iter().flat_map(|texts| [texts.0.clone(), texts.1.clone()]));
        listing.push(entry);
    }
    let contents = contents(git, &wanted)?;
    let read = |texts: &Texts| Some((contents.get(&texts.0)?.clone(), contents.get(&texts.1)?.clone()));
    Ok(listing.finish(limits, cancel, &read))
}

fn changed(git: &Git, first: &str, second: &str) -> Result<Vec<Changed>, Failure> {
    let raw = git.run(&["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", first, second])?;
    let mut parts = fields(&raw);
    let mut found = Vec::new();
    while let (Some(facts), Some(path)) = (parts.next(), parts.next()) {
        let facts = String::from_utf8_lossy(facts);
        let words: Vec<&str> = facts.trim_start_matches(':').split(' ').collect();
        let [mode, new_mode, object, new_object, ..] = words.as_slice() else {
            return Err(Failure::Said("git diff-tree did not answer as git does".to_owned()));
        };
        found.push(Changed {
            path: PathBuf::from(OsStr::from_bytes(path)),
            before: Found::new(mode, object),
            after: Found::new(new_mode, new_object),
        });
    }
    Ok(found)
}

fn entry(changed: Changed, before: Option<u64>, after: Option<u64>, longest: u64) -> Entry<Texts> {
    let Changed { path, before: old, after: new } = changed;
    let (became, kind, content, texts, what) = match (&old, &new) {
        (Some(old), Some(new)) => {
            let same = old.object == new.object && old.kind() == new.kind();
            let mut what = Vec::new();
            if old.mode != new.mode && old.kind() == new.kind() {
                what.push(format!("mode {:04o} → {:04o}", old.mode & 0o7777, new.mode & 0o7777));
            }
            let kind = if old.kind() == new.kind() {
                Cow::Borrowed(new.kind())
            } else {
                Cow::Owned(format!("{} → {}", old.kind(), new.kind()))
            };
            let short = |size: Option<u64>| size.is_some_and(|size| size <= longest);
            let is_text = !same && old.kind() == "file" && new.kind() == "file" && short(before) && short(after);
            let texts = is_text.then(|| Texts(old.object.clone(), new.object.clone()));
            (if same { Became::Metadata } else { Became::Modified }, kind, None, texts, what)
        }
        (one, other) => {
            let became = if other.is_some() { Became::Added } else { Became::Deleted };
            let (found, size) = (other.as_ref().or(one.as_ref()), after.or(before));
            let kind = found.map_or("file", Found::kind);
            let content = found.filter(|_| kind == "file" && size != Some(0)).and_then(|found| identity(&found.object));
            (became, Cow::Borrowed(kind), content, None, Vec::new())
        }
    };
    Entry { path, became, what, kind, before, after, content, texts }
}

fn identity(object: &str) -> Option<Identity> {
    let bytes = hex::decode(object).ok()?;
    let mut identity = [0; 32];
    identity.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    Some(identity)
}

/// Bytes of both objects of each file; none of what is not there, and of what a partial clone has left elsewhere.
fn sizes(git: &Git, changed: &[Changed]) -> Result<Vec<Sizes>, Failure> {
    let mut input = String::new();
    for found in changed.iter().flat_map(|changed| [&changed.before, &changed.after]).flatten() {
        input.push_str(&format!("{}\n", found.object));
    }
    let text = git.feed(&["cat-file", "--buffer", "--batch-check=%(objectsize)"], input.as_bytes())?;
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let mut next = |found: &Option<Found>| found.as_ref().and_then(|_| lines.next()?.parse().ok());
    Ok(changed.iter().map(|changed| (next(&changed.before), next(&changed.after))).collect())
}

/// The content of blobs, by their names.
fn contents(git: &Git, wanted: &[String]) -> Result<HashMap<String, Vec<u8>>, Failure> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let answer = git.feed(&["cat-file", "--buffer", "--batch"], (wanted.join("\n") + "\n").as_bytes())?;
    let mut rest = answer.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        let mut words = head.split(' ');
        // `<object> missing` has no content behind it.
        let (Some(object), Some("blob"), Some(size)) = (words.next(), words.next(), words.next()) else { continue };
        let size: usize = size.parse().unwrap_or(usize::MAX);
        let Some(content) = rest.get(..size) else { break };
        found.insert(object.to_owned(), content.to_vec());
        rest = rest.get(size + 1..).unwrap_or_default();
    }
    Ok(found)
}

/// The file of a path in a commit.
pub(super) fn find(git: &Git, commit: &str, path: &Path) -> Result<Option<Found>, Failure> {
    let all = git.run(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
    let wanted = path.as_os_str().as_bytes();
    let found = fields(&all).find_map(|entry| {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        (entry.get(tab + 1..)? == wanted).then(|| String::from_utf8_lossy(&entry[..tab]).into_owned())
    });
    Ok(found.and_then(|facts| {
        let mut words = facts.split(' ');
        let (mode, object) = (words.next()?, words.nth(1)?);
        Found::new(mode, object)
    }))
}

/// Bytes of an object.
pub(super) fn size(git: &Git, object: &str) -> Result<u64, Failure> {
    let size = git.line(&["cat-file", "-s", object])?;
    size.parse().map_err(|_| Failure::Said(format!("git does not know the size of {object}")))
}
