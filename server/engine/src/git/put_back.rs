//! A repository is put back: refs, HEAD, index and work tree. What exists now and is in no ref is made a ref first.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use holdfast_model::{
    id::RunId,
    manifest::{Facts, ManifestComponent},
};
use holdfast_vault::{Cancel, Existing, Meter, RestoreOptions, TreeId, Vault};
use time::OffsetDateTime;

use super::{
    INDEX, STASH, WORK_TREE,
    desk::{Desk, Work},
    drill::bring,
    full_branch, head, refs,
    repository::{self, Repository},
    run::Git,
};
use crate::{failure::Failure, files::LeftOut, place};

mod work_tree;
use work_tree::{check_out, set_aside, write_index};

/// Everything that is ours and that a restore never deletes.
pub(super) const OURS: &str = "refs/holdfast/";

/// What a restore of a repository needs to know.
pub(crate) struct Before<'a> {
    pub vault: &'a Vault,
    /// `git/<component>/`.
    pub dir: TreeId,
    pub component: &'a ManifestComponent,
    pub target: &'a Path,
    pub program: &'a Path,
    /// An empty folder of this component.
    pub scratch: &'a Path,
    /// Where what makes way is moved to; on the target's file system.
    pub trash: &'a Path,
    pub run: &'a RunId,
    pub left_out: &'a [LeftOut],
    pub cancel: &'a Cancel,
    pub meter: &'a Meter,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct GitRestored {
    /// Files written to the work tree.
    pub files: u64,
    /// Refs that were set or removed.
    pub refs: u64,
    pub kept: Vec<String>,
    pub warnings: Vec<String>,
}

/// Whether a restore to `target` can work.
///
/// # Errors
/// Another git process is at work there, or something that is not a repository stands in the way.
pub(crate) fn check_target(target: &Path) -> Result<(), Failure> {
    let at_work = repository::find(target).ok().and_then(|repository| repository.lock());
    if let Some(lock) = at_work {
        return Err(Failure::Said(format!(
            "{} is there: another git process is at work; let it end, or remove the file if none runs",
            lock.display()
        )));
    }
    let dot = target.join(".git");
    if dot.symlink_metadata().is_ok() && repository::find(target).is_err() {
        return Err(Failure::Said(format!("{} is there and is not a git directory; move it away", dot.display())));
    }
    Ok(())
}

/// Puts it back. Ignored files stay; refs, staged and uncommitted work of now are kept under `refs/holdfast/before/<run>/`.
///
/// # Errors
/// git's, with its words; it can be run again.
pub(crate) fn put_back(before: &Before<'_>) -> Result<GitRestored, Failure> {
    let Facts::Git { branch, head: sealed_head, refs: sealed, .. } = &before.component.facts else {
        return Err(Failure::Said("the manifest does not describe it as a repository".to_owned()));
    };
    check_target(before.target)?;
    let mirror = before.scratch.join("mirror");
    if let Some(fault) = bring(before.vault, &before.dir, &mirror, before.cancel, before.meter)? {
        return Err(Failure::Said(format!("the sealed repository cannot be read: {fault}")));
    }
    let mut done = GitRestored::default();
    let repository = find_or_make(before, &mirror, &mut done)?;
    let owner = fs::metadata(&repository.path).map_err(|error| Failure::io(&repository.path, &error))?;
    let git = Git::new(before.program, &repository.git_dir, before.cancel);
    let (now, _) = refs(&git)?;
    let (_, now_head) = head(&git, &now)?;
    let keep = format!("{OURS}before/{}/", before.run);

    // 1. What is only in the work tree or index becomes commits, in the repository's own object store.
    let desk = Desk::set_up(&before.scratch.join("desk"), &repository, before.program, before.cancel)?
        .with_objects(repository.common_dir.join("objects"));
    let places: Vec<PathBuf> = before.left_out.iter().map(|left| place::real(&left.path)).collect();
    let work = desk.work(&|path| places.iter().any(|place| path.starts_with(place)))?;
    let mut keeping: BTreeMap<String, String> = BTreeMap::new();
    if let Some(work) = &work {
        keep_work(&desk, work, now_head.as_deref(), &keep, &mut keeping)?;
    }

    // 2. Objects of the checkpoint come in under names of this run, so that nothing can be pruned meanwhile.
    let incoming = format!("{OURS}restore/{}/", before.run);
    let source = mirror.to_str().ok_or_else(|| Failure::Said("the scratch folder's path is not UTF-8".to_owned()))?;
    let spec = format!("+refs/*:{incoming}*");
    git.run(&["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", source, &spec])?;
    if let (None, Some(commit)) = (branch, sealed_head) {
        let spec = format!("+{commit}:{incoming}HEAD");
        git.clone().set("uploadpack.allowAnySHA1InWant=true".to_owned()).run(&[
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--force",
            source,
            &spec,
        ])?;
    }

    // 3. Refs: what changes is kept first.
    let symbolic = symbolic_refs(&git)?;
    let wanted = |name: &str| {
        name != "refs/stash"
            && !name.starts_with(OURS)
            && !symbolic.contains(&name.to_owned())
            && !name.ends_with("/HEAD")
    };
    let set: Vec<(&String, &String)> =
        sealed.iter().filter(|(name, object)| wanted(name) && now.get(*name) != Some(*object)).collect();
    let gone: Vec<&String> = now.keys().filter(|name| wanted(name) && !sealed.contains_key(*name)).collect();
    for name in set.iter().map(|(name, _)| *name).chain(gone.iter().copied()) {
        if let Some(object) = now.get(name) {
            keeping.insert(format!("{keep}{}", name.strip_prefix("refs/").unwrap_or(name)), object.clone());
        }
    }
    if let Some(commit) = now_head.filter(|commit| !sealed.values().any(|object| object == commit)) {
        keeping.insert(format!("{keep}HEAD"), commit);
    }
    keeping.retain(|name, _| !now.contains_key(name));
    update(&git, keeping.iter().map(|(name, object)| format!("create {name} {object}\n")))?;
    if !keeping.is_empty() {
        done.kept.push(format!("{} refs of {} under {keep}", keeping.len(), repository.path.display()));
    }
    update(&git, gone.iter().map(|name| format!("delete {name}\n")))?;
    update(&git, set.iter().map(|(name, object)| format!("update {name} {object}\n")))?;
    done.refs = u64::try_from(set.len() + gone.len()).unwrap_or(u64::MAX);
    match (branch, sealed_head) {
        (Some(branch), _) => drop(git.run(&["symbolic-ref", "HEAD", &full_branch(branch)])?),
        (None, Some(commit)) => drop(git.run(&["update-ref", "--no-deref", "HEAD", commit])?),
        (None, None) => {}
    }

    // 4. Work tree and index.
    if let (Some(root), Some(work)) = (&repository.work_tree, &work) {
        let tree = |name: &str| -> Result<String, Failure> {
            match (sealed.get(name), sealed_head) {
                (Some(commit), _) | (None, Some(commit)) => git.line(&["rev-parse", &format!("{commit}^{{tree}}")]),
                (None, None) => Ok(git
                    .clone()
                    .feed(&["hash-object", "-w", "-t", "tree", "--stdin"], b"")
                    .map(|out| String::from_utf8_lossy(&out).trim().to_owned())?),
            }
        };
        let (target_tree, index_tree) = (tree(WORK_TREE)?, tree(INDEX)?);
        done.files = check_out(before, &desk, root, &work.work_tree, &target_tree, &owner, &mut done.kept)?;
        set_aside(&repository, before.trash, &mut done.kept)?;
        write_index(&desk, &repository, &index_tree)?;
    }
    put_stashes(&git, &repository, sealed, &mut done)?;
    let leftovers = refs(&git)?.0;
    update(&git, leftovers.keys().filter(|name| name.starts_with(&incoming)).map(|name| format!("delete {name}\n")))?;
    hand_over(&repository, owner.uid(), owner.gid());
    Ok(done)
}

/// The repository at the target; where there is none, the sealed git directory takes its place.
fn find_or_make(before: &Before<'_>, mirror: &Path, done: &mut GitRestored) -> Result<Repository, Failure> {
    if let Ok(found) = repository::find(before.target) {
        return Ok(found);
    }
    let original = mirror.join("original");
    let probe = Git::new(before.program, mirror, before.cancel);
    let settings = original.join("config");
    let settings = settings.to_str().unwrap_or_default();
    let bare = probe.ask(&["config", "--file", settings, "--type=bool", "--get", "core.bare"], b"")?;
    let is_bare = bare.out.starts_with(b"true");
    let git_dir = if is_bare { before.target.to_path_buf() } else { before.target.join(".git") };
    fs::create_dir_all(before.target).map_err(|error| Failure::io(before.target, &error))?;
    let node = before.vault.find(&before.dir, Path::new("original"))?;
    let tree = node.subtree.ok_or_else(|| Failure::Said("`original` is not a folder in the checkpoint".to_owned()))?;
    let options = RestoreOptions {
        existing: Existing::Refuse,
        ownership: true,
        cancel: before.cancel.clone(),
        meter: before.meter.clone(),
        ..RestoreOptions::default()
    };
    let restored = before.vault.restore(&tree, &git_dir, options)?;
    if let Some(problem) = restored.problems.first() {
        return Err(Failure::Said(problem.what.clone()));
    }
    // A linked work tree or submodule kept its settings elsewhere; here it stands on its own.
    let here = git_dir.join("config");
    let _ = probe.ask(&["config", "--file", here.to_str().unwrap_or_default(), "--unset", "core.worktree"], b"")?;
    // The sealed index describes files that are not there yet.
    let _ = fs::remove_file(git_dir.join("index"));
    done.warnings.push(format!("{} had no repository; the sealed one was put there whole", before.target.display()));
    Ok(repository::find(before.target)?)
}

fn keep_work(
    desk: &Desk,
    work: &Work,
    head: Option<&str>,
    keep: &str,
    keeping: &mut BTreeMap<String, String>,
) -> Result<(), Failure> {
    let base = match head {
        Some(commit) => Some(desk.git().line(&["rev-parse", &format!("{commit}^{{tree}}")])?),
        None => None,
    };
    let parents: Vec<&str> = head.into_iter().collect();
    let when = OffsetDateTime::now_utc();
    if base.as_deref() != Some(work.work_tree.as_str())
        && (base.is_some() || !desk.git().run(&["ls-files"])?.is_empty())
    {
        let commit = desk.commit(&work.work_tree, &parents, when, "Uncommitted work before a restore")?;
        keeping.insert(format!("{keep}worktree"), commit);
    }
    if let Some(tree) = work.index.as_ref().filter(|tree| base.is_some() && Some(*tree) != base.as_ref()) {
        let commit = desk.commit(tree, &parents, when, "What was staged before a restore")?;
        keeping.insert(format!("{keep}index"), commit);
    }
    Ok(())
}

fn symbolic_refs(git: &Git) -> Result<Vec<String>, Failure> {
    let out = git.run(&["for-each-ref", "--format=%(symref) %(refname)"])?;
    let text = String::from_utf8_lossy(&out);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.filter(|(target, _)| !target.is_empty()).map(|(_, name)| name.to_owned()).collect())
}

fn update(git: &Git, lines: impl Iterator<Item = String>) -> Result<(), Failure> {
    let list: String = lines.collect();
    if list.is_empty() { Ok(()) } else { git.feed(&["update-ref", "--stdin"], list.as_bytes()).map(drop) }
}

/// Stash entries that are not there any more come back, oldest first, on top of those that are.
fn put_stashes(
    git: &Git,
    repository: &Repository,
    sealed: &BTreeMap<String, String>,
    done: &mut GitRestored,
) -> Result<(), Failure> {
    let now = repository.stashes();
    let mut missing: Vec<(u32, &String)> = sealed
        .iter()
        .filter_map(|(name, commit)| Some((name.strip_prefix(STASH)?.parse().ok()?, commit)))
        .filter(|(_, commit)| !now.contains(commit))
        .collect();
    missing.sort_unstable_by(|a, b| b.cmp(a));
    for (_, commit) in missing {
        let message = git.line(&["log", "-1", "--format=%s", commit])?;
        // The ref was set with the others; the list of entries is its reflog.
        git.run(&["update-ref", "--create-reflog", "-m", &message, "refs/stash", commit])?;
        done.refs += 1;
    }
    Ok(())
}

/// What git made as root belongs to the repository's owner, as all else in it.
fn hand_over(repository: &Repository, uid: u32, gid: u32) {
    if uid == 0 || !rustix::process::geteuid().is_root() {
        return;
    }
    let mut open = vec![repository.common_dir.clone(), repository.git_dir.clone()];
    while let Some(place) = open.pop() {
        let Ok(facts) = place.symlink_metadata() else { continue };
        if facts.uid() == 0 {
            let _ = std::os::unix::fs::lchown(&place, Some(uid), Some(gid));
        }
        if facts.is_dir() {
            open.extend(fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}
