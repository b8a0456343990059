//! The sealed objects of both sides as one store in scratch space: packs and loose objects, and nothing else of the
//! repositories.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Read as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use holdfast_model::size;
use holdfast_vault::{Cancel, Error, Node, TreeId, Vault};
use tempfile::TempDir;

use crate::{failure::Failure, git::run::Git, place};

/// Files that are brought at once.
const ABREAST: usize = 4;
/// A file that is kept for what it says is not longer than this.
const NOTE: u64 = 1 << 20;

/// A sealed repository: `git/<component>/`.
pub(super) struct Sealed {
    pub vault: Vault,
    pub tree: TreeId,
}

/// A bare repository without refs, which goes with the value.
pub(super) struct Store {
    pub git: Git,
    _room: TempDir,
}

/// A file to be brought.
struct Job<'a> {
    vault: &'a Vault,
    node: Node,
    target: PathBuf,
}

impl Store {
    /// Brings the objects of every side.
    ///
    /// # Errors
    /// No room, a vault that fails, or cancelled.
    pub(super) fn bring<'a>(
        sides: impl Iterator<Item = &'a Sealed>,
        program: &Path,
        scratch: &Path,
        sha256: bool,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let said = |error: std::io::Error| Failure::io(scratch, &error);
        let room = tempfile::Builder::new().prefix("git-").tempdir_in(scratch).map_err(said)?;
        let dir = room.path();
        for folder in ["objects/info", "objects/pack", "refs"] {
            fs::create_dir_all(dir.join(folder)).map_err(said)?;
        }
        let (mut jobs, mut seen) = (Vec::new(), HashSet::new());
        let (mut shallow, mut partial) = (String::new(), false);
        for side in sides {
            cancel.check()?;
            shallow.push_str(&note(side, "shallow")?);
            partial |= note(side, "config")?.contains("partialclone");
            for tree in stores(side)? {
                objects(side, &tree, &dir.join("objects"), &mut seen, &mut jobs)?;
            }
        }
        enough(scratch, &jobs)?;
        fs::write(dir.join("HEAD"), "ref: refs/heads/holdfast\n").map_err(said)?;
        fs::write(dir.join("config"), config(sha256, partial)).map_err(said)?;
        if !shallow.is_empty() {
            fs::write(dir.join("shallow"), shallow).map_err(said)?;
        }
        bring(&jobs, cancel)?;
        Ok(Self { git: Git::new(program, dir, cancel).with("GIT_LITERAL_PATHSPECS", "1"), _room: room })
    }
}

fn config(sha256: bool, partial: bool) -> String {
    let mut text = format!("[core]\n\trepositoryformatversion = {}\n\tbare = true\n", u8::from(sha256 || partial));
    if sha256 {
        text.push_str("[extensions]\n\tobjectformat = sha256\n");
    }
    if partial {
        text.push_str("[extensions]\n\tpartialclone = origin\n[remote \"origin\"]\n\tpromisor = true\n");
    }
    text
}

/// A small file of a sealed repository; empty where it is not there.
fn note(side: &Sealed, name: &str) -> Result<String, Failure> {
    let node = match side.vault.find(&side.tree, Path::new(name)) {
        Ok(node) => node,
        Err(Error::NoSuchPath { .. }) => return Ok(String::new()),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = Vec::new();
    side.vault.read(&node)?.take(NOTE).read_to_end(&mut bytes).map_err(|error| Failure::io(Path::new(name), &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The object stores of a sealed repository: its own, the one of uncommitted work, and those that it borrows from.
fn stores(side: &Sealed) -> Result<Vec<TreeId>, Failure> {
    let mut found = Vec::new();
    for node in side.vault.tree(&side.tree)?.nodes {
        let Some(subtree) = node.subtree else { continue };
        match node.name.to_str() {
            Some("objects") => found.push(subtree),
            Some("original") => {
                let below = side.vault.tree(&subtree)?;
                found.extend(below.get("objects".as_ref()).and_then(|node| node.subtree));
            }
            Some(name) if name.starts_with("borrowed-") => found.push(subtree),
            _ => {}
        }
    }
    Ok(found)
}

/// Notes the objects of one store; what has been noted already is left out, a whole folder at once where it is equal.
fn objects<'a>(
    side: &'a Sealed,
    store: &TreeId,
    target: &Path,
    seen: &mut HashSet<PathBuf>,
    jobs: &mut Vec<Job<'a>>,
) -> Result<(), Failure> {
    for folder in side.vault.tree(store)?.nodes {
        let (Some(name), Some(subtree)) = (folder.name.to_str(), folder.subtree) else { continue };
        let is_pack = name == "pack";
        let is_loose = name.len() == 2 && is_hex(name);
        if !is_pack && !is_loose {
            continue;
        }
        let target = target.join(name);
        if !seen.insert(target.join(subtree.to_string())) {
            continue;
        }
        fs::create_dir_all(&target).map_err(|error| Failure::io(&target, &error))?;
        for node in side.vault.tree(&subtree)?.nodes {
            let Some(name) = node.name.to_str() else { continue };
            let wanted = if is_pack { is_pack_file(name) } else { is_hex(name) };
            // Equal names are equal objects. Of packs, the first one's index fits the first one's pack.
            if wanted && node.is_file() && seen.insert(target.join(name)) {
                let target = target.join(name);
                jobs.push(Job { vault: &side.vault, node, target });
            }
        }
    }
    Ok(())
}

fn is_hex(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Packs with their indexes; all else in that folder only makes git faster, and may not fit the packs of both sides.
fn is_pack_file(name: &str) -> bool {
    let Some((stem, extension)) = name.split_once('.') else { return false };
    stem.strip_prefix("pack-").is_some_and(is_hex) && matches!(extension, "pack" | "idx" | "promisor")
}

fn enough(scratch: &Path, jobs: &[Job<'_>]) -> Result<(), Failure> {
    let needed = jobs.iter().map(|job| job.node.size).sum::<u64>();
    let free = place::free(scratch).map_err(|error| Failure::io(scratch, &error))?;
    if needed > free {
        return Err(Failure::Said(format!(
            "comparing the repositories needs {} in {} and {} are free; free some space and try again",
            size::display(needed),
            scratch.display(),
            size::display(free)
        )));
    }
    Ok(())
}

fn bring(jobs: &[Job<'_>], cancel: &Cancel) -> Result<(), Failure> {
    let share = jobs.len().div_ceil(ABREAST).max(1);
    std::thread::scope(|scope| {
        let hands: Vec<_> =
            jobs.chunks(share).map(|jobs| scope.spawn(|| jobs.iter().try_for_each(|job| one(job, cancel)))).collect();
        let lost = || Failure::Said("a worker thread ended unexpectedly".to_owned());
        hands.into_iter().try_for_each(|hand| hand.join().map_err(|_| lost())?)
    })
}

fn one(job: &Job<'_>, cancel: &Cancel) -> Result<(), Failure> {
    let said = |error: std::io::Error| Failure::io(&job.target, &error);
    let mut content = job.vault.read(&job.node)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&job.target).map_err(said)?;
    loop {
        cancel.check()?;
        if std::io::copy(&mut (&mut content).take(8 << 20), &mut file).map_err(said)? == 0 {
            return Ok(());
        }
    }
}
