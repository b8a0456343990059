//! What is not the same in two trees of a vault. Equal directories are equal ids and are never read, so that the cost
//! goes with the change and not with the size.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::node::{Node, NodeKind};
use crate::pack::BlobKind;
use crate::vault::Opened;
use crate::{Cancel, Error, TreeId, Vault};

/// An entry that is not the same in both trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is in the second one only.
    Added(Box<Node>),
    /// It is in the first one only.
    Removed(Box<Node>),
    /// It is in both: another kind, other content, or other metadata.
    Changed {
        /// In the first one.
        before: Box<Node>,
        /// In the second one.
        after: Box<Node>,
    },
}

/// A directory of one vault; none for a side that has nothing.
pub type Root<'a> = (&'a Vault, Option<&'a TreeId>);

impl Vault {
    /// Tells every entry that differs between two trees, with its path below their roots, a directory before what is in
    /// it, the entries of a directory by the bytes of their names. What is below a directory that only one of them has
    /// is told entry by entry.
    ///
    /// Of metadata count permissions, owner, group, extended attributes and a file's time of change; a directory's time
    /// does not, for it says no more than its entries do, and neither do inodes and link counts.
    ///
    /// # Errors
    /// What `each` gives, [`Error::Cancelled`], [`Error::Damaged`] if a tree is not what it was.
    pub fn diff(
        &self,
        before: &TreeId,
        after: &TreeId,
        cancel: &Cancel,
        each: &mut dyn FnMut(&Path, Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        Vault::diff_between((self, Some(before)), (self, Some(after)), cancel, each)
    }

    /// The same for trees that may lie in two vaults, or of which one is not there at all. Two vaults cut files in other
    /// places: a file of several blobs can be told although its bytes are the same.
    ///
    /// # Errors
    /// As [`Vault::diff`].
    pub fn diff_between(
        before: Root<'_>,
        after: Root<'_>,
        cancel: &Cancel,
        each: &mut dyn FnMut(&Path, Change) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let vaults = (&*before.0.0, &*after.0.0);
        let mut open = Vec::new();
        if before.1 != after.1 {
            open.push(Pair::read(vaults, PathBuf::new(), before.1, after.1)?);
        }
        while let Some(pair) = open.last_mut() {
            cancel.check()?;
            let Some((path, change)) = pair.next() else {
                open.pop();
                continue;
            };
            let below = match &change {
                Change::Added(node) => (None, node.subtree),
                Change::Removed(node) => (node.subtree, None),
                Change::Changed { before, after } => (before.subtree, after.subtree),
            };
            if is_told(&change) {
                each(&path, change)?;
            }
            if below.0 != below.1 {
                open.push(Pair::read(vaults, path, below.0.as_ref(), below.1.as_ref())?);
            }
        }
        Ok(())
    }

    /// Bytes at the start of two files of this vault that are the same by the names of their blobs alone: where the
    /// first difference can be looked for.
    ///
    /// # Errors
    /// [`Error::Damaged`] if a blob is in no pack.
    pub fn same_start(&self, before: &Node, after: &Node) -> Result<u64, Error> {
        let mut bytes = 0_u64;
        for (id, _) in before.content.iter().zip(&after.content).take_while(|(before, after)| before == after) {
            bytes = bytes.saturating_add(u64::from(self.0.place(BlobKind::Data, id)?.1.raw()));
        }
        Ok(bytes)
    }
}

/// Two directories of one path, as far as they have been compared; what is left of each, last name first.
struct Pair {
    path: PathBuf,
    before: Vec<Node>,
    after: Vec<Node>,
}

impl Pair {
    fn read(
        vaults: (&Opened, &Opened),
        path: PathBuf,
        before: Option<&TreeId>,
        after: Option<&TreeId>,
    ) -> Result<Pair, Error> {
        let nodes = |vault: &Opened, id: Option<&TreeId>| -> Result<Vec<Node>, Error> {
            let Some(id) = id else { return Ok(Vec::new()) };
            let mut nodes = vault.tree(id)?.nodes;
            nodes.reverse();
            Ok(nodes)
        };
        Ok(Pair { path, before: nodes(vaults.0, before)?, after: nodes(vaults.1, after)? })
    }

    /// The next entry that is not wholly the same.
    fn next(&mut self) -> Option<(PathBuf, Change)> {
        loop {
            let order = match (self.before.last(), self.after.last()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => before.name.cmp(&after.name),
            };
            let before = if order.is_le() { self.before.pop() } else { None };
            let after = if order.is_ge() { self.after.pop() } else { None };
            let change = match (before.map(Box::new), after.map(Box::new)) {
                (Some(before), Some(after)) if same(&before, &after) && before.subtree == after.subtree => continue,
                (Some(before), Some(after)) => Change::Changed { before, after },
                (Some(node), None) => Change::Removed(node),
                (None, Some(node)) => Change::Added(node),
                (None, None) => return None,
            };
            let name = match &change {
                Change::Added(node) | Change::Removed(node) | Change::Changed { after: node, .. } => &node.name,
            };
            return Some((self.path.join(name), change));
        }
    }
}

/// A directory of which only the content differs is no change of its own.
fn is_told(change: &Change) -> bool {
    match change {
        Change::Changed { before, after } => !same(before, after),
        Change::Added(_) | Change::Removed(_) => true,
    }
}

/// Whether two entries of one name are the same, apart from what is below them.
fn same(before: &Node, after: &Node) -> bool {
    let time = |node: &Node| (node.kind == NodeKind::File).then_some(node.mtime);
    before.kind == after.kind
        && before.content == after.content
        && before.size == after.size
        && before.linktarget == after.linktarget
        && before.device == after.device
        && before.mode == after.mode
        && (before.uid, before.gid) == (after.uid, after.gid)
        && before.xattrs == after.xattrs
        && time(before) == time(after)
}
