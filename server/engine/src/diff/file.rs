//! One file opened: its facts on both sides, and what differs in a form that can be drawn.

mod hunks;

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    time::Instant,
};

use holdfast_model::{
    diff::{FileBody, FileFacts, FileView},
    state::Kind,
};
use holdfast_vault::{Error, Node, NodeKind, Vault};

use super::{
    DiffError, DiffLimits, DiffWork,
    component::{Both, Nodes},
    files::{first_difference, named},
    git, text,
};
use crate::{
    context::Context,
    failure::{Failure, blocking},
    place,
    tools::Tools,
};

/// Bytes that tell whether a long file is text.
pub(super) const START: u64 = 8 << 10;

/// One side of a file.
pub(super) struct Opened {
    pub facts: FileFacts,
    pub content: Content,
}

/// What is in it.
pub(super) enum Content {
    /// It is of a kind that has no content.
    None,
    /// All of it.
    Whole(Vec<u8>),
    /// It is too long to be compared line by line; its first bytes.
    Long(Vec<u8>),
}

/// Opens it.
pub(super) async fn open(
    work: &DiffWork,
    both: &Both<'_>,
    path: &Path,
    tools: &Tools,
    ctx: &Context,
) -> Result<FileView, DiffError> {
    let (before, after, differs) = match both.any.kind {
        Kind::Files => sealed(work, both.nodes(work).await?, path).await?,
        Kind::Git => git::open(work, both, path, tools, ctx).await?,
        _ => return Err(DiffError::NoSuchComponent { name: both.any.name.clone(), of: "with files" }),
    };
    if before.is_none() && after.is_none() {
        return Err(DiffError::NoSuchFile { component: both.any.name.clone(), path: place::shown(path) });
    }
    let (limits, path) = (work.limits, path.to_path_buf());
    let view = move || Ok(view(&path, before, after, differs, &limits));
    Ok(blocking(view).await?)
}

/// Both sides of a file, and where two long ones differ first.
pub(super) type Pair = (Option<Opened>, Option<Opened>, Option<u64>);

async fn sealed(work: &DiffWork, nodes: Nodes, path: &Path) -> Result<Pair, DiffError> {
    let (first, second) = (work.first.vault.clone(), work.second.vault.clone());
    let (limits, path) = (work.limits, path.to_path_buf());
    let read = move || {
        let before = find(&first, nodes.first.as_ref(), &path)?;
        let after = find(&second, nodes.second.as_ref(), &path)?;
        let end = Instant::now() + limits.patience;
        let differs = match (&before, &after) {
            (Some(before), Some(after)) if before.size.max(after.size) > limits.text => {
                difference(&first, before, &second, after, end)?
            }
            _ => None,
        };
        let open = |vault: &Vault, node: Option<&Node>| node.map(|node| opened(vault, node, &limits)).transpose();
        Ok((open(&first, before.as_ref())?, open(&second, after.as_ref())?, differs))
    };
    Ok(blocking(read).await?)
}

fn find(vault: &Vault, component: Option<&Node>, path: &Path) -> Result<Option<Node>, Failure> {
    let Some(tree) = component.and_then(|node| node.subtree.as_ref()) else { return Ok(None) };
    match vault.find(tree, path) {
        Ok(node) => Ok((!path.as_os_str().is_empty()).then_some(node)),
        Err(Error::NoSuchPath { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn opened(vault: &Vault, node: &Node, limits: &DiffLimits) -> Result<Opened, Failure> {
    let content = match node.kind {
        NodeKind::Symlink => Content::Whole(node.linktarget.as_bytes().to_vec()),
        NodeKind::File => {
            let (short, most) = if node.size <= limits.text { (true, node.size) } else { (false, START) };
            let mut bytes = Vec::new();
            let read = vault.read(node)?.take(most).read_to_end(&mut bytes);
            read.map_err(|error| Failure::io(Path::new(&node.name), &error))?;
            if short { Content::Whole(bytes) } else { Content::Long(bytes) }
        }
        _ => Content::None,
    };
    let facts = FileFacts {
        kind: node.kind.word().to_owned(),
        size: node.size,
        mode: format!("{:04o}", node.mode),
        owner: Some(format!("{}:{}", named(&node.user, node.uid), named(&node.group, node.gid))),
        // What has no place in a calendar cannot be written as a time.
        modified: Some(node.mtime).filter(|time| (0..10_000).contains(&time.year())),
        encoding: None,
    };
    Ok(Opened { facts, content })
}

/// Where two long files differ first. What they share by the names of their blobs is not read.
fn difference(
    first: &Vault,
    before: &Node,
    second: &Vault,
    after: &Node,
    end: Instant,
) -> Result<Option<u64>, Failure> {
    if !before.is_file() || !after.is_file() || before.content == after.content {
        return Ok(None);
    }
    let same = if first.id() == second.id() { first.same_start(before, after)? } else { 0 };
    let (mut before, mut after) = (first.read(before)?, second.read(after)?);
    for reader in [&mut before, &mut after] {
        reader.seek(SeekFrom::Start(same)).map_err(|error| Failure::io(Path::new("a sealed file"), &error))?;
    }
    Ok(first_difference(&mut before, &mut after, Some(end))?.map(|place| same + place))
}

fn view(
    path: &Path,
    mut before: Option<Opened>,
    mut after: Option<Opened>,
    differs: Option<u64>,
    limits: &DiffLimits,
) -> FileView {
    let body = body(path, before.as_mut(), after.as_mut(), differs, limits);
    let facts = |side: Option<Opened>| side.map(|side| side.facts);
    FileView { path: place::shown(path), before: facts(before), after: facts(after), body }
}

fn body(
    path: &Path,
    before: Option<&mut Opened>,
    after: Option<&mut Opened>,
    differs: Option<u64>,
    limits: &DiffLimits,
) -> FileBody {
    let sides = [&before, &after].map(|side| side.as_ref().map_or(&Content::None, |side| &side.content));
    if sides.iter().all(|side| matches!(side, Content::None)) {
        return FileBody::Nothing;
    }
    if sides.iter().any(|side| matches!(side, Content::Long(_))) {
        let is_text = sides.iter().all(|side| match side {
            Content::None => true,
            Content::Whole(bytes) | Content::Long(bytes) => text::begins_as_text(bytes),
        });
        return if is_text { FileBody::TooLarge { most: limits.text, differs } } else { FileBody::Binary { differs } };
    }
    let in_both = sides.iter().all(|side| matches!(side, Content::Whole(_)));
    let ((one, one_facts), (other, other_facts)) = (take(before), take(after));
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let differs = (in_both && one != other).then(|| u64::try_from(same).unwrap_or(u64::MAX));
    let (Some(one), Some(other)) = (text::decode(one), text::decode(other)) else {
        return FileBody::Binary { differs };
    };
    for (facts, text) in [(one_facts, &one), (other_facts, &other)] {
        if let Some(facts) = facts {
            facts.encoding = text.encoding.map(str::to_owned);
        }
    }
    hunks::body(path, &one.text, &other.text, limits)
}

/// The bytes of a side, with the facts that their encoding is noted in.
fn take(side: Option<&mut Opened>) -> (Vec<u8>, Option<&mut FileFacts>) {
    match side.map(|side| (std::mem::replace(&mut side.content, Content::None), &mut side.facts)) {
        Some((Content::Whole(bytes) | Content::Long(bytes), facts)) => (bytes, Some(facts)),
        Some((Content::None, _)) | None => (Vec::new(), None),
    }
}
