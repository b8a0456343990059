//! A repository that comes as an archive of files: unpacked into scratch space, looked at with suspicion, and then
//! captured like any other.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use holdfast_model::{
    manifest::{Facts, Skipped},
    name::Name,
    state::Kind,
};
use holdfast_vault::Node;
use time::OffsetDateTime;

use super::{
    Desk, ImportError,
    checked::Checked,
    entries::{Entries, odd},
    foreign::component,
};
use crate::{capture::CapturedComponent, git};

/// As for files: what an archive may grow by.
const RATIO: u64 = 200;
const ROOM: u64 = 256 << 20;

/// Takes it.
pub(super) fn take(
    content: &mut Checked<'_>,
    name: &Name,
    at: OffsetDateTime,
    desk: &Desk<'_>,
) -> Result<CapturedComponent, ImportError> {
    desk.tools.git_version().map_err(|why| ImportError::Host(why.to_owned()))?;
    let place = desk.work.scratch.join(format!("source-{name}"));
    unpack(content, &place)?;
    let root = find(&place)?;
    refuse_borrowed(&root)?;
    let scratch = desk.work.scratch.join(format!("desk-{name}"));
    let prepared = git::prepare(&root, desk.tools.git(), &scratch, Vec::new(), &[])?;
    let held = prepared.hold(&desk.ctx.cancel)?;
    let done = held.stream(desk.writer, &desk.ctx.cancel, desk.meter, &|_| None)?;
    let tree = desk.writer.put_tree(done.nodes)?;
    let mut made = component(name, Kind::Git, at, Node::dir(name.as_str(), tree, at));
    made.manifest.size = done.size;
    (made.manifest.stored, made.manifest.items) = (done.stored, done.items);
    made.manifest.facts = match done.facts {
        Facts::Git { branch, head, refs, dirty, .. } => {
            Facts::Git { path: "source.tar.gz of the import".to_owned(), branch, head, refs, dirty }
        }
        other => other,
    };
    let skipped = |(entry, reason, message): (String, String, String)| Skipped {
        component: name.to_string(),
        name: entry,
        reason,
        message,
    };
    made.manifest.skipped = done.skipped.into_iter().map(skipped).collect();
    made.manifest.not_covered = done.not_covered;
    let _ = fs::remove_dir_all(&place);
    let _ = fs::remove_dir_all(&scratch);
    Ok(made)
}

/// Unpacks into a new folder that only we can look into. Nothing is written through a link, nothing is replaced, and no
/// entry has more than read, write and execute.
fn unpack(content: &mut Checked<'_>, place: &Path) -> Result<(), ImportError> {
    let failed = |error: io::Error| ImportError::Host(format!("{}: {error}", place.display()));
    fs::DirBuilder::new().mode(0o700).create(place).map_err(failed)?;
    let mut links: HashSet<PathBuf> = HashSet::new();
    let mut written = 0_u64;
    let mut entries = Entries::new(MultiGzDecoder::new(&mut *content));
    while let Some(entry) = entries.next()? {
        let path = entry.names()?.iter().map(|name| OsStr::from_bytes(name)).collect::<PathBuf>();
        if path.as_os_str().is_empty() {
            continue;
        }
        let refuse = |why: &str| Err(ImportError::Refused(format!("the entry `{}` {why}", entry.shown())));
        if path.ancestors().any(|part| links.contains(part)) {
            return refuse("lies behind a link");
        }
        let target = place.join(&path);
        if entry.is_dir() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&target).map_err(failed)?;
            continue;
        }
        if let Some(parent) = target.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        if target.symlink_metadata().is_ok() {
            return refuse("comes twice");
        }
        let kind = entry.kind();
        if kind.is_symlink() {
            if path.iter().any(|part| part == ".git") {
                return refuse("is a link within a repository's own folder");
            }
            std::os::unix::fs::symlink(OsStr::from_bytes(&entry.link), &target).map_err(failed)?;
            links.insert(path);
            continue;
        }
        if !entry.is_file() {
            return refuse("is neither a file nor a folder nor a symbolic link");
        }
        let most = entries.taken(|decoder| decoder.get_ref().so_far()).saturating_mul(RATIO).saturating_add(ROOM);
        written = written.saturating_add(entry.size);
        if written > most {
            return refuse("makes a small archive grow without end");
        }
        let executable = entry.header.mode().unwrap_or(0o644) & 0o100;
        let mode = 0o600 | executable;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&target).map_err(failed)?;
        io::copy(&mut entries.content(), &mut file).map_err(|error| odd(&error))?;
    }
    entries.finish()
}

/// The repository: the archive's root, or the only folder in it.
fn find(place: &Path) -> Result<PathBuf, ImportError> {
    let is_one =
        |path: &Path| path.join(".git").is_dir() || (path.join("HEAD").is_file() && path.join("objects").is_dir());
    if is_one(place) {
        return Ok(place.to_path_buf());
    }
    let inside: Vec<PathBuf> = fs::read_dir(place)
        .map_err(|error| ImportError::Host(format!("{}: {error}", place.display())))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir() && !path.is_symlink())
        .collect();
    match inside.iter().find(|path| is_one(path)) {
        Some(found) => Ok(found.clone()),
        None => Err(ImportError::Refused("there is no repository in it".to_owned())),
    }
}

/// A repository that borrows objects from elsewhere, or keeps its things elsewhere, would make us read that elsewhere.
fn refuse_borrowed(root: &Path) -> Result<(), ImportError> {
    let dot = root.join(".git");
    let git_dir = if dot.is_dir() { dot } else { root.to_path_buf() };
    for name in ["objects/info/alternates", "objects/info/http-alternates", "commondir", "worktrees"] {
        if git_dir.join(name).symlink_metadata().is_ok() {
            return Err(ImportError::Refused(format!(
                "the repository has `{name}`: it keeps some of its things elsewhere; make it whole (git repack -a -d), and \
                 back it up again"
            )));
        }
    }
    let mut open = vec![git_dir];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => {}
                _ => return Err(ImportError::Refused("the repository's own folder holds a link".to_owned())),
            }
        }
    }
    Ok(())
}
