//! Repositories: refs from the manifests, commits and files from the sealed objects.
//!
//! Objects are brought to scratch space only where a ref differs, those of both sides into one store; git is run on that
//! store alone, with the same precautions as everywhere.

mod commits;
mod store;
mod tree;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use holdfast_model::{
    diff::{BeforeAfter, FileFacts, GitChanges, RefChange},
    manifest::{Facts, ManifestComponent, Skipped},
};

use super::{
    DiffError, DiffLimits, DiffWork,
    component::{Both, Nodes},
    file::{Content, Opened, Pair},
};
use crate::{
    context::Context,
    failure::{Failure, blocking},
    git::{INDEX, STASH, WORK_TREE},
    tools::Tools,
};
use store::{Sealed, Store};

/// What a manifest says of a repository; nothing of one that is not there.
#[derive(Clone, Default)]
struct Side {
    branch: Option<String>,
    head: Option<String>,
    refs: BTreeMap<String, String>,
    dirty: bool,
}

impl Side {
    fn of(component: Option<&ManifestComponent>) -> Result<Self, DiffError> {
        match component.map(|part| &part.facts) {
            None => Ok(Self::default()),
            Some(Facts::Git { branch, head, refs, dirty, .. }) => {
                Ok(Self { branch: branch.clone(), head: head.clone(), refs: refs.clone(), dirty: *dirty })
            }
            Some(_) => Err(DiffError::Component("a manifest does not describe it as a repository".to_owned())),
        }
    }

    /// The objects that commits are counted from: HEAD, branches and tags.
    fn tips(&self) -> Vec<String> {
        let named = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        let refs = self.refs.iter().filter(|(name, _)| named(name)).map(|(_, object)| object.clone());
        let mut tips: Vec<String> = refs.chain(self.head.clone()).collect();
        tips.sort_unstable();
        tips.dedup();
        tips
    }

    /// The commit whose tree is the work tree as it stood.
    fn files(&self) -> Option<&str> {
        self.refs.get(WORK_TREE).or(self.head.as_ref()).map(String::as_str)
    }

    /// Whether objects are named by SHA-256.
    fn is_sha256(&self) -> bool {
        self.head.iter().chain(self.refs.values()).any(|object| object.len() == 64)
    }
}

/// Compares it.
pub(super) async fn compare(
    work: &DiffWork,
    both: &Both<'_>,
    nodes: Nodes,
    gaps: &mut Vec<Skipped>,
    tools: &Tools,
    ctx: &Context,
) -> Result<GitChanges, DiffError> {
    let (first, second) = (Side::of(both.first)?, Side::of(both.second)?);
    let mut changes = GitChanges {
        head: BeforeAfter { before: first.head.clone(), after: second.head.clone() },
        branch: BeforeAfter { before: first.branch.clone(), after: second.branch.clone() },
        uncommitted: BeforeAfter { before: first.dirty, after: second.dirty },
        refs: refs(&first, &second),
        ..GitChanges::default()
    };
    if first.tips() == second.tips() && first.files() == second.files() {
        return Ok(changes);
    }
    let gap = |name: &str, message: String| Skipped {
        component: both.any.name.to_string(),
        name: name.to_owned(),
        reason: "not_compared".to_owned(),
        message,
    };
    if let Err(why) = tools.git_version() {
        gaps.push(gap("commits and files", why.to_owned()));
        return Ok(changes);
    }
    let (limits, bring) = (work.limits, Bring::new(work, nodes, tools, ctx, first.is_sha256() || second.is_sha256()));
    let read = move || {
        let store = bring.store()?;
        let commits = commits::between(&store.git, &first.tips(), &second.tips(), &limits);
        let files = tree::between(&store.git, first.files(), second.files(), &limits, &bring.ctx.cancel);
        bring.ctx.cancel.check()?;
        Ok((commits, files))
    };
    let (commits, files) = blocking(read).await?;
    match commits {
        Ok(found) => (changes.added, changes.removed, changes.more) = (found.added, found.removed, found.more),
        Err(why) => gaps.push(gap("commits", why.to_string())),
    }
    match files {
        Ok((files, renames)) => {
            changes.worktree = files;
            gaps.extend(renames.map(|message| gap("files", message)));
        }
        Err(why) => gaps.push(gap("files", why.to_string())),
    }
    Ok(changes)
}

/// Opens a file of the work tree as it stood.
pub(super) async fn open(
    work: &DiffWork,
    both: &Both<'_>,
    path: &Path,
    tools: &Tools,
    ctx: &Context,
) -> Result<Pair, DiffError> {
    let (first, second) = (Side::of(both.first)?, Side::of(both.second)?);
    tools.git_version().map_err(|why| DiffError::Host(why.to_owned()))?;
    let sha256 = first.is_sha256() || second.is_sha256();
    let bring = Bring::new(work, both.nodes(work).await?, tools, ctx, sha256);
    let (limits, path) = (work.limits, path.to_path_buf());
    let read = move || {
        let store = bring.store()?;
        let open = |side: &Side| opened(&store, side.files(), &path, &limits);
        Ok((open(&first)?, open(&second)?, None))
    };
    Ok(blocking(read).await?)
}

fn opened(store: &Store, files: Option<&str>, path: &Path, limits: &DiffLimits) -> Result<Option<Opened>, Failure> {
    let Some(files) = files else { return Ok(None) };
    let Some(found) = tree::find(&store.git, files, path)? else { return Ok(None) };
    let size = if found.is_submodule() { 0 } else { tree::size(&store.git, &found.object)? };
    let content = match size {
        _ if found.is_submodule() => Content::Whole(format!("commit {}\n", found.object).into_bytes()),
        size if size <= limits.text => Content::Whole(store.git.run(&["cat-file", "blob", &found.object])?),
        _ => Content::Long(Vec::new()),
    };
    let facts = FileFacts {
        kind: found.kind().to_owned(),
        size,
        mode: format!("{:04o}", found.mode & 0o7777),
        owner: None,
        modified: None,
        encoding: None,
    };
    Ok(Some(Opened { facts, content }))
}

/// Refs that differ, without those that Holdfast keeps for uncommitted work.
fn refs(first: &Side, second: &Side) -> Vec<RefChange> {
    let ours = |name: &str| name == WORK_TREE || name == INDEX || name.starts_with(STASH);
    let mut names: Vec<&String> = first.refs.keys().chain(second.refs.keys()).filter(|name| !ours(name)).collect();
    names.sort_unstable();
    names.dedup();
    let all = names.into_iter().map(|name| RefChange {
        name: name.clone(),
        before: first.refs.get(name).cloned(),
        after: second.refs.get(name).cloned(),
    });
    all.filter(|change| change.before != change.after).collect()
}

/// What is needed to bring the objects of both sides to scratch space.
struct Bring {
    sides: [Option<Sealed>; 2],
    program: PathBuf,
    scratch: PathBuf,
    sha256: bool,
    ctx: Context,
}

impl Bring {
    fn new(work: &DiffWork, nodes: Nodes, tools: &Tools, ctx: &Context, sha256: bool) -> Self {
        let sealed = |end: &super::End, node: Option<holdfast_vault::Node>| {
            Some(Sealed { vault: end.vault.clone(), tree: node?.subtree? })
        };
        Self {
            sides: [sealed(&work.second, nodes.second), sealed(&work.first, nodes.first)],
            program: tools.git().to_path_buf(),
            scratch: work.scratch.clone(),
            sha256,
            ctx: ctx.clone(),
        }
    }

    fn store(&self) -> Result<Store, Failure> {
        Store::bring(self.sides.iter().flatten(), &self.program, &self.scratch, self.sha256, &self.ctx.cancel)
    }
}
