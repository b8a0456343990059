//! Git repositories: every ref with its history, and uncommitted work; the repository itself is only read.
//!
//! `git/<component>/` is a bare repository that any git can clone:
//!
//! | entry | what it is |
//! |---|---|
//! | `HEAD`, `packed-refs`, `config`, `shallow` | as they were at one instant, with `refs/holdfast/…` added |
//! | `objects/` | the objects of uncommitted work, and the way to the ones below |
//! | `original/` | the repository's own git directory: objects, reflogs, settings, hooks, LFS files |
//! | `borrowed-N/` | object stores that it borrows from |
//!
//! Objects are kept as the repository keeps them: nothing is packed anew, so a checkpoint after a small commit
//! stores that commit and costs a look at each file.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::manifest::Facts;
use holdfast_vault::{Archived, Cancel, Chunking, Meter, Node, Source, TreeId, Writer};
use time::OffsetDateTime;

use crate::{failure::Failure, files::LeftOut, place};

mod desk;
mod drill;
mod put_back;
mod ref_changes;
mod repository;
pub(crate) mod run;

use desk::Desk;
pub(crate) use drill::{bring, drill};
pub(crate) use put_back::{Before, check_target, put_back};
pub(crate) use ref_changes::{RefChanges, ref_changes};
use repository::Repository;
use run::Git;

/// Uncommitted work of the work tree.
pub(crate) const WORK_TREE: &str = "refs/holdfast/worktree";
/// What was staged.
pub(crate) const INDEX: &str = "refs/holdfast/index";
/// Stash entries by number, newest 0.
pub(crate) const STASH: &str = "refs/holdfast/stash/";
/// How often a walk is begun anew because a repack came in between.
const TRIES: u32 = 4;

/// The version of that `git` program.
pub(crate) async fn version(git: &Path) -> Result<String, String> {
    let mend = "install git, or set its path";
    let output = tokio::process::Command::new(git)
        .arg("--version")
        .output()
        .await
        .map_err(|error| format!("`{}` cannot be run ({error}); {mend}", git.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .strip_prefix("git version ")
        .map(str::to_owned)
        .ok_or_else(|| format!("`{} --version` did not answer as git does; {mend}", git.display()))
}

/// Hands a commit's files, as a tar archive, to `read` while git writes it.
///
/// # Errors
/// git's, with its words, and what `read` gives.
pub(crate) fn archive<T>(
    program: &Path,
    git_dir: &Path,
    commit: &str,
    cancel: &Cancel,
    read: impl FnOnce(std::process::ChildStdout) -> Result<T, Failure>,
) -> Result<T, Failure> {
    Git::new(program, git_dir, cancel).piped(&["archive", "--format=tar", commit], read)
}

/// A repository that is there.
pub(crate) struct Prepared {
    repository: Repository,
    program: PathBuf,
    scratch: PathBuf,
    left_out: Vec<LeftOut>,
}

/// A repository whose refs, HEAD and index are of one instant.
pub(crate) struct Held {
    repository: Repository,
    desk: Desk,
    left_out: Vec<LeftOut>,
    refs: BTreeMap<String, String>,
    branch: Option<String>,
    head: Option<String>,
    skipped: Vec<(String, String, String)>,
    instant: OffsetDateTime,
}

/// What came of it.
pub(crate) struct GitCapture {
    pub nodes: Vec<Node>,
    pub size: u64,
    pub stored: u64,
    pub items: u64,
    pub facts: Facts,
    pub skipped: Vec<(String, String, String)>,
    pub not_covered: Vec<String>,
}

/// Looks at the repository; `scratch` is an empty folder of this component, `left_out` are places that other
/// components look after.
///
/// # Errors
/// It is not a repository, or lies in a forbidden place.
pub(crate) fn prepare(
    path: &Path,
    program: &Path,
    scratch: &Path,
    left_out: Vec<LeftOut>,
    forbidden: &[PathBuf],
) -> Result<Prepared, Failure> {
    let repository = repository::find(path)?;
    if forbidden.iter().any(|place| place::real(path).starts_with(place::real(place))) {
        return Err(Failure::Said(format!(
            "{} lies in Holdfast's own data directory, which is never captured",
            path.display()
        )));
    }
    let data = forbidden
        .iter()
        .map(|place| LeftOut { path: place.clone(), why: "it is Holdfast's own data directory".to_owned() });
    let left_out = left_out.into_iter().chain(data).collect();
    Ok(Prepared { repository, program: program.to_path_buf(), scratch: scratch.to_path_buf(), left_out })
}

impl Prepared {
    /// Reads refs, HEAD and index.
    pub(crate) fn hold(self, cancel: &Cancel) -> Result<Held, Failure> {
        let desk = Desk::set_up(&self.scratch, &self.repository, &self.program, cancel)?;
        let git = Git::new(&self.program, &self.repository.git_dir, cancel);
        let instant = OffsetDateTime::now_utc();
        let (refs, skipped) = refs(&git)?;
        let (branch, head) = head(&git, &refs)?;
        Ok(Held { repository: self.repository, desk, left_out: self.left_out, refs, branch, head, skipped, instant })
    }
}

/// Every ref, and the ones that git calls broken.
#[allow(clippy::type_complexity)]
fn refs(git: &Git) -> Result<(BTreeMap<String, String>, Vec<(String, String, String)>), Failure> {
    let answer = git.ask(&["for-each-ref", "--format=%(objectname) %(refname)"], b"")?;
    if !answer.ok {
        return Err(Failure::Said(format!("the refs cannot be read: {}", answer.err.trim())));
    }
    let text = String::from_utf8_lossy(&answer.out);
    let refs =
        text.lines().filter_map(|line| line.split_once(' ')).map(|(object, name)| (name.to_owned(), object.to_owned()));
    let broken = answer.err.lines().filter_map(|line| line.split_once("ignoring broken ref "));
    let skipped =
        broken.map(|(_, name)| (name.to_owned(), "unreadable".to_owned(), "git calls this ref broken".to_owned()));
    Ok((refs.collect(), skipped.collect()))
}

/// The branch that HEAD names (short, where it is one) and the commit that it resolves to.
fn head(git: &Git, refs: &BTreeMap<String, String>) -> Result<(Option<String>, Option<String>), Failure> {
    let named = git.ask(&["symbolic-ref", "-q", "HEAD"], b"")?;
    if named.ok {
        let full = String::from_utf8_lossy(&named.out).trim().to_owned();
        let commit = refs.get(&full).cloned();
        let short = full.strip_prefix("refs/heads/").map(str::to_owned);
        return Ok((Some(short.unwrap_or(full)), commit));
    }
    let detached = git.ask(&["rev-parse", "-q", "--verify", "HEAD"], b"")?;
    Ok((None, detached.ok.then(|| String::from_utf8_lossy(&detached.out).trim().to_owned())))
}

/// The full name of what [`head`] gave as a branch.
fn full_branch(branch: &str) -> String {
    if branch.starts_with("refs/") { branch.to_owned() } else { format!("refs/heads/{branch}") }
}

impl Held {
    pub(crate) const fn instant(&self) -> OffsetDateTime {
        self.instant
    }

    /// Stores it. `parent` gives the tree of an entry of this component in the checkpoint before.
    pub(crate) fn stream(
        mut self,
        writer: &Writer,
        cancel: &Cancel,
        meter: &Meter,
        parent: &dyn Fn(&str) -> Option<TreeId>,
    ) -> Result<GitCapture, Failure> {
        meter.set_current("uncommitted work");
        self.refs.retain(|name, _| name != WORK_TREE && name != INDEX && !name.starts_with(STASH));
        let (dirty, mut not_covered) = self.uncommitted()?;
        for (number, entry) in self.repository.stashes().into_iter().enumerate() {
            self.refs.insert(format!("{STASH}{number}"), entry);
        }

        let mut kept =
            Kept { writer, meter, cancel, nodes: Vec::new(), size: 0, stored: 0, skipped: self.skipped.clone() };
        let mut ways = String::from("../original/objects\n");
        kept.original(&self.repository, parent("original"))?;
        let all: holdfast_vault::Filter = Arc::new(|_, _| true);
        let filter: holdfast_vault::Filter =
            Arc::new(|path, _| !is_passing(path) && path != Path::new("info/alternates"));
        for (number, store) in self.repository.borrowed().iter().enumerate() {
            let name = format!("borrowed-{number}");
            kept.directory(&name, store, parent(&name), &filter)?;
            ways.push_str(&format!("../{name}\n"));
        }
        let objects = self.desk.dir.join("objects");
        std::fs::write(objects.join("info/alternates"), ways).map_err(|error| Failure::io(&objects, &error))?;
        kept.directory("objects", &objects, parent("objects"), &all)?;
        let head = match (&self.branch, &self.head) {
            (Some(branch), _) => format!("ref: {}\n", full_branch(branch)),
            (None, Some(commit)) => format!("{commit}\n"),
            (None, None) => "ref: refs/heads/master\n".to_owned(),
        };
        let packed: String = self.refs.iter().map(|(name, object)| format!("{object} {name}\n")).collect();
        kept.text("HEAD", head.as_bytes(), self.instant)?;
        kept.text("packed-refs", packed.as_bytes(), self.instant)?;
        kept.text("config", self.desk.config().as_bytes(), self.instant)?;
        if let Ok(shallow) = std::fs::read(self.desk.dir.join("shallow")) {
            kept.text("shallow", &shallow, self.instant)?;
            not_covered
                .push("history before the shallow clone's boundary: it is not in the repository either".to_owned());
        }
        if self.desk.partial.is_some() {
            kept.skipped.push((
                self.repository.path.display().to_string(),
                "partial_clone".to_owned(),
                "a partial clone leaves objects with its remote; `git fetch --refetch` without a filter brings them"
                    .to_owned(),
            ));
        }
        kept.nodes.push(Node::dir("refs", writer.put_tree(Vec::new())?, self.instant));
        Ok(GitCapture {
            nodes: kept.nodes,
            size: kept.size,
            stored: kept.stored,
            items: u64::try_from(self.refs.len()).unwrap_or(u64::MAX),
            facts: Facts::Git {
                path: self.repository.path.to_string_lossy().into_owned(),
                branch: self.branch,
                head: self.head,
                refs: self.refs,
                dirty,
            },
            skipped: kept.skipped,
            not_covered,
        })
    }

    /// Adds the refs of uncommitted work; gives whether there is any, and what is not covered.
    fn uncommitted(&mut self) -> Result<(bool, Vec<String>), Failure> {
        let mut not_covered = Vec::new();
        if self.repository.other_work_trees() {
            not_covered.push("uncommitted work in other linked work trees of the repository".to_owned());
        }
        if self.repository.common_dir.join("lfs").is_dir() {
            not_covered
                .push("Git LFS: pointers and .git/lfs are captured; after a restore run `git lfs checkout`".to_owned());
        }
        let places: Vec<(PathBuf, &str)> =
            self.left_out.iter().map(|left| (place::real(&left.path), left.why.as_str())).collect();
        let skip = |path: &Path| places.iter().any(|(place, _)| path.starts_with(place));
        let Some(work) = self.desk.work(&skip)? else { return Ok((false, not_covered)) };
        not_covered.push("files that git ignores".to_owned());
        if let Some(root) = &self.repository.work_tree {
            for (place, why) in places.iter().filter(|(place, _)| place.exists()) {
                if let Ok(inside) = place.strip_prefix(root) {
                    not_covered.push(format!("untracked files in `{}`: {why}", inside.display()));
                }
            }
            if root.join(".gitmodules").exists() {
                not_covered.push("what is inside of submodules: each needs a component of its own".to_owned());
            }
        }
        for nested in &work.nested {
            not_covered.push(format!("`{nested}`: a repository of its own; it needs a component of its own"));
        }
        self.skipped.extend(work.skipped);
        let base = match &self.head {
            Some(commit) => Some(self.desk.git().line(&["rev-parse", &format!("{commit}^{{tree}}")])?),
            None => None,
        };
        // The same work on the same commit is the same object in every checkpoint, so that it is stored once.
        let date = match &self.head {
            Some(commit) => self
                .desk
                .git()
                .line(&["show", "-s", "--no-show-signature", "--format=%ct", commit])?
                .parse()
                .unwrap_or(0),
            None => 0,
        };
        let when = OffsetDateTime::from_unix_timestamp(date).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let parents: Vec<&str> = self.head.iter().map(String::as_str).collect();
        let empty = self.head.is_none() && self.desk.git().run(&["ls-files", "-z"])?.is_empty();
        let clean = empty || (work.index == base && base.as_deref() == Some(work.work_tree.as_str()));
        if clean {
            return Ok((false, not_covered));
        }
        if let Some(tree) = &work.index {
            let commit = self.desk.commit(tree, &parents, when, "What was staged")?;
            self.refs.insert(INDEX.to_owned(), commit);
        }
        let commit = self.desk.commit(&work.work_tree, &parents, when, "Uncommitted work")?;
        self.refs.insert(WORK_TREE.to_owned(), commit);
        Ok((true, not_covered))
    }
}

/// Files that only stand there while a git process is at work.
fn is_passing(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".lock")
            || name.starts_with(b"tmp_")
            || name == b"gc.pid"
            || name.starts_with(b"fsmonitor--daemon")
    })
}

/// What is in the vault so far.
struct Kept<'a> {
    writer: &'a Writer,
    meter: &'a Meter,
    cancel: &'a Cancel,
    nodes: Vec<Node>,
    size: u64,
    stored: u64,
    skipped: Vec<(String, String, String)>,
}

impl Kept<'_> {
    /// The git directory. Taken again when a repack moved objects from one file to another meanwhile.
    fn original(&mut self, repository: &Repository, parent: Option<TreeId>) -> Result<(), Failure> {
        let filter: holdfast_vault::Filter =
            Arc::new(|path, _| !is_passing(path) && path != Path::new("objects/info/alternates"));
        for _ in 0..TRIES {
            let before = repository.packs();
            let archived = self.archive(&repository.common_dir, parent, &filter)?;
            if repository.packs() == before {
                self.take("original", archived);
                return Ok(());
            }
        }
        Err(Failure::Said(format!(
            "{} is repacked again and again while it is read; run again when that has ended",
            repository.common_dir.display()
        )))
    }

    fn directory(
        &mut self,
        name: &str,
        root: &Path,
        parent: Option<TreeId>,
        filter: &holdfast_vault::Filter,
    ) -> Result<(), Failure> {
        let archived = self.archive(root, parent, filter)?;
        self.take(name, archived);
        Ok(())
    }

    fn archive(
        &self,
        root: &Path,
        parent: Option<TreeId>,
        filter: &holdfast_vault::Filter,
    ) -> Result<Archived, Failure> {
        let (filter, stop) = (filter.clone(), self.cancel.clone());
        let source = Source {
            root: root.to_path_buf(),
            filter: Arc::new(move |path, is_dir| !stop.is_cancelled() && filter(path, is_dir)),
            parent,
        };
        let archived = self.writer.archive(&source, self.meter)?;
        self.cancel.check()?;
        Ok(archived)
    }

    fn take(&mut self, name: &str, archived: Archived) {
        self.size += archived.bytes;
        self.stored += archived.stored;
        for skipped in archived.skipped {
            let path = Path::new(name).join(&skipped.path);
            self.skipped.push((place::shown(&path), format!("{:?}", skipped.reason).to_lowercase(), skipped.message));
        }
        self.nodes.push(archived.node.with_name(name));
    }

    fn text(&mut self, name: &str, content: &[u8], when: OffsetDateTime) -> Result<(), Failure> {
        let mut stream = self.writer.stream(Chunking::Files, self.meter);
        stream.write_all(content).map_err(|error| Failure::io(Path::new(name), &error))?;
        let streamed = stream.finish()?;
        self.size += streamed.bytes;
        self.stored += streamed.stored;
        self.nodes.push(Node::file(name, streamed.content, streamed.bytes, when));
        Ok(())
    }
}
