//! Trees of files in the vault. Equal directories are not read, and of files only the changed texts.

use std::{borrow::Cow, collections::HashSet, io::Read as _, path::Path};

use holdfast_model::{
    diff::FileChanges,
    manifest::{ManifestComponent, Skipped},
};
use holdfast_vault::{Change, FileReader, Node, NodeKind, Vault};
use sha2::{Digest as _, Sha256};

use super::{
    DiffError, DiffLimits, DiffWork,
    component::{Both, Nodes},
    listing::{Became, Entry, Identity, Listing},
};
use crate::{
    context::Context,
    failure::{Failure, blocking},
    place,
};

/// Compares it.
pub(super) async fn compare(
    work: &DiffWork,
    both: &Both<'_>,
    nodes: Nodes,
    gaps: &mut Vec<Skipped>,
    ctx: &Context,
) -> Result<FileChanges, DiffError> {
    let trees = Trees::new(work, both, nodes)?;
    let (limits, ctx) = (work.limits, ctx.clone());
    let (changes, gap) = blocking(move || trees.compare(&limits, &ctx)).await?;
    gaps.extend(gap.map(|message| Skipped {
        component: both.any.name.to_string(),
        name: both.any.name.to_string(),
        reason: "renames".to_owned(),
        message,
    }));
    Ok(changes)
}

/// Both trees, each in its vault.
struct Trees {
    first: (Vault, Option<Node>),
    second: (Vault, Option<Node>),
    /// What the first, and what the second checkpoint could not capture.
    unread: (Unread, Unread),
}

/// A file in both trees.
struct Texts {
    before: Node,
    after: Node,
}

impl Trees {
    fn new(work: &DiffWork, both: &Both<'_>, nodes: Nodes) -> Result<Self, DiffError> {
        let whole = |node: &Option<Node>| node.as_ref().is_none_or(|node| node.subtree.is_some());
        if !whole(&nodes.first) || !whole(&nodes.second) {
            return Err(DiffError::Component(format!("`{}` is not a folder in the sealed copy", both.any.place)));
        }
        Ok(Self {
            first: (work.first.vault.clone(), nodes.first),
            second: (work.second.vault.clone(), nodes.second),
            unread: (Unread::of(both.first), Unread::of(both.second)),
        })
    }

    fn compare(&self, limits: &DiffLimits, ctx: &Context) -> Result<(FileChanges, Option<String>), Failure> {
        let mut listing = Listing::new();
        let (first, second) = (&self.first, &self.second);
        let foreign = first.0.id() != second.0.id();
        let roots = (
            (&first.0, first.1.as_ref().and_then(|node| node.subtree.as_ref())),
            (&second.0, second.1.as_ref().and_then(|node| node.subtree.as_ref())),
        );
        Vault::diff_between(roots.0, roots.1, &ctx.cancel, &mut |path, change| {
            let missed = match &change {
                Change::Added(_) => self.unread.0.has(path),
                Change::Removed(_) => self.unread.1.has(path),
                Change::Changed { .. } => false,
            };
            if missed {
                return Ok(());
            }
            if let Some(entry) = self.entry(path, change, foreign, limits.text, listing.wants_texts())? {
                listing.push(entry);
            }
            Ok(())
        })?;
        let read = |texts: &Texts| Some((all(&first.0, &texts.before)?, all(&second.0, &texts.after)?));
        let found = listing.finish(limits, &ctx.cancel, &read);
        ctx.cancel.check()?;
        Ok(found)
    }

    /// None where only a time differs, or nothing.
    fn entry(
        &self,
        path: &Path,
        change: Change,
        foreign: bool,
        longest: u64,
        texts: bool,
    ) -> Result<Option<Entry<Texts>>, holdfast_vault::Error> {
        let path = path.to_path_buf();
        let one = |node: &Node, became: Became| Entry {
            path: path.clone(),
            became,
            what: Vec::new(),
            kind: Cow::Borrowed(node.kind.word()),
            before: (became == Became::Deleted).then_some(node.size),
            after: (became == Became::Added).then_some(node.size),
            content: identity(node),
            texts: None,
        };
        let (before, after) = match change {
            Change::Added(node) => return Ok(Some(one(&node, Became::Added))),
            Change::Removed(node) => return Ok(Some(one(&node, Became::Deleted))),
            Change::Changed { before, after } => (*before, *after),
        };
        let what = metadata(&before, &after);
        let same = before.kind == after.kind
            && before.linktarget == after.linktarget
            && before.device == after.device
            && before.size == after.size
            && (before.content == after.content || (foreign && self.same_bytes(&before, &after)?));
        if same && what.is_empty() {
            return Ok(None);
        }
        let kind = if before.kind == after.kind {
            Cow::Borrowed(after.kind.word())
        } else {
            Cow::Owned(format!("{} → {}", before.kind.word(), after.kind.word()))
        };
        let sizes = (Some(before.size), Some(after.size));
        let is_text = !same && texts && before.is_file() && after.is_file() && before.size.max(after.size) <= longest;
        Ok(Some(Entry {
            path,
            became: if same { Became::Metadata } else { Became::Modified },
            what,
            kind,
            before: sizes.0,
            after: sizes.1,
            content: None,
            texts: is_text.then_some(Texts { before, after }),
        }))
    }

    /// Two vaults cut a file in other places; then only its bytes tell.
    fn same_bytes(&self, before: &Node, after: &Node) -> Result<bool, holdfast_vault::Error> {
        let (mut before, mut after) = (self.first.0.read(before)?, self.second.0.read(after)?);
        Ok(first_difference(&mut before, &mut after, None)?.is_none())
    }
}

/// What tells a file's content apart; none of what is no file, or empty.
fn identity(node: &Node) -> Option<Identity> {
    match node.content.as_slice() {
        _ if node.kind != NodeKind::File || node.size == 0 => None,
        [] => None,
        [only] => Some(*only.as_bytes()),
        many => {
            let mut hash = Sha256::new();
            many.iter().for_each(|id| hash.update(id.as_bytes()));
            Some(hash.finalize().into())
        }
    }
}

/// What of the metadata differs, one phrase each. Permissions of links mean nothing.
fn metadata(before: &Node, after: &Node) -> Vec<String> {
    let mut told = Vec::new();
    if before.mode != after.mode && after.kind != NodeKind::Symlink && before.kind == after.kind {
        told.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if before.uid != after.uid {
        told.push(format!("owner {} → {}", named(&before.user, before.uid), named(&after.user, after.uid)));
    }
    if before.gid != after.gid {
        told.push(format!("group {} → {}", named(&before.group, before.gid), named(&after.group, after.gid)));
    }
    for attribute in before.xattrs.iter().chain(&after.xattrs) {
        let value =
            |node: &Node| node.xattrs.iter().find(|this| this.name == attribute.name).map(|this| this.value.clone());
        let phrase = format!("attribute {}", attribute.name);
        if value(before) != value(after) && !told.contains(&phrase) {
            told.push(phrase);
        }
    }
    told
}

/// A name, or the number where no name was known.
pub(super) fn named(name: &str, number: u32) -> String {
    if name.is_empty() { number.to_string() } else { name.to_owned() }
}

fn all(vault: &Vault, node: &Node) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(node.size).unwrap_or(0));
    vault.read(node).ok()?.take(node.size).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The first place where two files differ, from where their readers stand; none if they are equal, or not by `end`.
pub(super) fn first_difference(
    before: &mut FileReader,
    after: &mut FileReader,
    end: Option<std::time::Instant>,
) -> Result<Option<u64>, holdfast_vault::Error> {
    const PIECE: usize = 1 << 16;
    let read = |reader: &mut FileReader| -> Result<Vec<u8>, holdfast_vault::Error> {
        let mut piece = Vec::with_capacity(PIECE);
        reader.take(PIECE as u64).read_to_end(&mut piece).map_err(|error| {
            let what = format!("a file in the vault: {error}");
            holdfast_vault::Error::from_io(&error).cloned().unwrap_or(holdfast_vault::Error::Damaged { what })
        })?;
        Ok(piece)
    };
    let mut place = 0_u64;
    while end.is_none_or(|end| std::time::Instant::now() < end) {
        let (one, other) = (read(before)?, read(after)?);
        let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        place += u64::try_from(same).unwrap_or(0);
        if same < one.len().max(other.len()) {
            return Ok(Some(place));
        }
        if one.is_empty() {
            break;
        }
    }
    Ok(None)
}

/// Paths that a checkpoint meant to capture and could not: what is missing there was not removed.
struct Unread(HashSet<String>);

impl Unread {
    fn of(component: Option<&ManifestComponent>) -> Self {
        Self(component.into_iter().flat_map(|part| &part.skipped).map(|skipped| skipped.name.clone()).collect())
    }

    /// Whether it, or a folder that it lies in, is one of them.
    fn has(&self, path: &Path) -> bool {
        !self.0.is_empty() && path.ancestors().any(|path| self.0.contains(&place::shown(path)))
    }
}
