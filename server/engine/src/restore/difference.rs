//! What a restore of files would make, replace and move, found without touching anything.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use holdfast_model::plan::Listed;
use holdfast_vault::{Cancel, Node, NodeKind, TreeId, Vault, Wanted};

use super::choice::Choice;
use crate::{failure::Failure, place};

/// How a directory differs from a sealed tree.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// Bytes of the files that would be written.
    pub bytes: u64,
    /// Files, links and the like that are not there.
    pub made: Listed,
    /// Entries that are there with other content.
    pub changed: Listed,
    /// Entries that the tree does not have and that would make way, not counting what is below them.
    pub extra: Listed,
    /// Entries that the tree does not have and that stay.
    pub kept: Listed,
    /// Files, links and the like that are there already.
    pub same: u64,
    /// What stands where a folder of the tree must be passed through.
    pub barred: Vec<PathBuf>,
}

/// What is compared, and by which rules.
pub(super) struct Rules<'a> {
    /// Says of a relative path that it stays whatever the tree says.
    pub keep: &'a dyn Fn(&Path, bool) -> bool,
    /// Says what of the tree is wanted at all; everything else stays.
    pub only: Option<&'a Choice>,
}

/// Compares by kind, size and time.
pub(super) fn between(
    vault: &Vault,
    tree: TreeId,
    root: &Path,
    rules: &Rules<'_>,
    cancel: &Cancel,
) -> Result<Difference, Failure> {
    let mut found = Difference::default();
    // Whether a folder stands there as one: what is behind a link is not looked at.
    let mut open = vec![(tree, PathBuf::new(), true)];
    while let Some((tree, relative, stands)) = open.pop() {
        cancel.check()?;
        let mut rest = if stands { names(&root.join(&relative)) } else { BTreeSet::new() };
        let mut below = Vec::new();
        for node in vault.tree(&tree)?.nodes {
            let path = relative.join(&node.name);
            // A name that leads elsewhere is never put back, so nothing is looked for there.
            if path.parent() != Some(&relative) || path.file_name() != Some(&node.name) {
                continue;
            }
            rest.remove(&node.name);
            let now = root.join(&path).symlink_metadata().ok().filter(|_| stands);
            let is_folder = now.as_ref().is_some_and(fs::Metadata::is_dir);
            match rules.only.map_or(Wanted::Yes, |only| only.wants(&path, node.is_dir())) {
                Wanted::No => continue,
                Wanted::Through => {
                    if now.is_some_and(|now| !now.is_dir()) {
                        found.barred.push(path);
                    } else {
                        below.extend(node.subtree.map(|subtree| (subtree, path, is_folder)));
                    }
                    continue;
                }
                Wanted::Yes => {}
            }
            if now.as_ref().is_some_and(|now| (rules.keep)(&path, now.is_dir())) {
                continue;
            }
            if node.is_dir() {
                if now.is_some_and(|now| !now.is_dir()) {
                    found.changed.add(|| place::shown(&path));
                }
                below.extend(node.subtree.map(|subtree| (subtree, path, is_folder)));
                continue;
            }
            match now {
                Some(now) if is_same(&node, &now, &root.join(&path)) => found.same += 1,
                now => {
                    found.bytes = found.bytes.saturating_add(node.size);
                    let list = if now.is_some() { &mut found.changed } else { &mut found.made };
                    list.add(|| place::shown(&path));
                }
            }
        }
        if rules.only.is_none() {
            for name in rest {
                let path = relative.join(&name);
                let is_dir = root.join(&path).symlink_metadata().is_ok_and(|facts| facts.is_dir());
                let list = if (rules.keep)(&path, is_dir) { &mut found.kept } else { &mut found.extra };
                list.add(|| place::shown(&path));
            }
        }
        open.extend(below.into_iter().rev());
    }
    Ok(found)
}

fn names(folder: &Path) -> BTreeSet<OsString> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect()
}

fn is_same(node: &Node, now: &fs::Metadata, path: &Path) -> bool {
    match node.kind {
        NodeKind::File => {
            now.is_file()
                && now.len() == node.size
                && now.mtime() == node.mtime.unix_timestamp()
                && u32::try_from(now.mtime_nsec()) == Ok(node.mtime.nanosecond())
        }
        NodeKind::Symlink => fs::read_link(path).is_ok_and(|target| target.as_os_str() == node.linktarget),
        // Pipes, sockets and devices have nothing in them that could differ.
        _ => !now.is_file() && !now.is_dir() && !now.is_symlink(),
    }
}
