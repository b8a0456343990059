//! What a restore of files would write and move, found without touching anything.

use std::{collections::HashSet, ffi::OsString, fs, os::unix::fs::MetadataExt as _, path::Path};

use holdfast_vault::{Cancel, NodeKind, TreeId, Vault};

use crate::failure::Failure;

/// How a directory differs from a sealed tree.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Difference {
    /// Bytes of the files that would be written.
    pub bytes: u64,
    /// Entries that are there with other content.
    pub changed: u64,
    /// Entries that the tree does not have, not counting what is below them.
    pub extra: u64,
}

/// Compares by kind, size and time; `keep` says of a relative path that it stays whatever the tree says.
pub(super) fn between(
    vault: &Vault,
    tree: TreeId,
    root: &Path,
    keep: &dyn Fn(&Path, bool) -> bool,
    cancel: &Cancel,
) -> Result<Difference, Failure> {
    let mut found = Difference::default();
    let mut open = vec![(tree, std::path::PathBuf::new())];
    while let Some((tree, relative)) = open.pop() {
        cancel.check()?;
        let here = root.join(&relative);
        let mut rest: HashSet<OsString> =
            fs::read_dir(&here).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        for node in vault.tree(&tree)?.nodes {
            let path = relative.join(&node.name);
            rest.remove(&node.name);
            let now = root.join(&path).symlink_metadata().ok();
            if now.as_ref().is_some_and(|now| keep(&path, now.is_dir())) {
                continue;
            }
            match (node.kind, now) {
                (NodeKind::Dir, now) => {
                    found.changed += u64::from(now.is_some_and(|now| !now.is_dir()));
                    open.extend(node.subtree.map(|subtree| (subtree, path)));
                }
                (NodeKind::File, Some(now))
                    if now.is_file()
                        && now.len() == node.size
                        && now.mtime() == node.mtime.unix_timestamp()
                        && u32::try_from(now.mtime_nsec()) == Ok(node.mtime.nanosecond()) => {}
                (NodeKind::File, now) => {
                    found.bytes = found.bytes.saturating_add(node.size);
                    found.changed += u64::from(now.is_some());
                }
                _ => {}
            }
        }
        for name in rest {
            let path = relative.join(&name);
            let is_dir = root.join(&path).symlink_metadata().is_ok_and(|facts| facts.is_dir());
            found.extra += u64::from(!keep(&path, is_dir));
        }
    }
    Ok(found)
}
