//! What stands in a directory that is restored into, and how it makes way.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::PoisonError;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use time::OffsetDateTime;

use super::target::{DIR, entries};
use super::{Existing, Job};
use crate::archive::Meta;
use crate::node::NodeKind;
use crate::pack::BlobKind;
use crate::{Error, Id, Node, Problem};

/// What was found where a node belongs.
pub(super) enum Existed {
    /// Nothing, or it is in the trash now.
    Nothing,
    /// The same entry: only its metadata may differ. Of directories only the kind is the same.
    Same(Box<Meta>),
    /// It stays as it is.
    Kept,
}

/// The entries of one directory.
#[derive(Default)]
pub(super) struct Standing(HashMap<OsString, Meta>);

impl Standing {
    pub(super) fn list(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path) -> Result<Standing, Error> {
        let names = entries(dir).map_err(|error| Error::io(job.target.path.join(path), error))?;
        let mut standing = HashMap::with_capacity(names.len());
        for name in names {
            match Meta::at(dir, &name) {
                Ok(meta) => {
                    standing.insert(name, meta);
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(Error::io(job.target.path.join(path).join(name), error)),
            }
        }
        Ok(Standing(standing))
    }

    /// Looks at what stands where `node` belongs; if it is something else and is not kept, it goes to the trash.
    pub(super) fn make_way(
        &mut self,
        job: &Job<'_>,
        dir: BorrowedFd<'_>,
        path: &Path,
        node: &Node,
    ) -> Result<Existed, Error> {
        let Some(meta) = self.0.remove(&node.name) else { return Ok(Existed::Nothing) };
        let is_dir = meta.kind == NodeKind::Dir;
        if is_kept(job, path, is_dir) {
            return Ok(Existed::Kept);
        }
        if is_dir && node.is_dir() || is_same(job, dir, node, &meta) {
            return Ok(Existed::Same(Box::new(meta)));
        }
        if is_dir && holds_kept(job, dir, path, &node.name)? {
            let what = format!("{}: a directory stands there that holds what is to be kept", path.display());
            job.problem(Problem::new(what).path(path));
            return Ok(Existed::Kept);
        }
        trash(job, dir, path, &node.name)?;
        Ok(Existed::Nothing)
    }

    /// Looks at what stands where only something below `node` is wanted: a directory stays as it is, and anything else
    /// bars the way.
    pub(super) fn pass_through(&mut self, job: &Job<'_>, path: &Path, node: &Node) -> Existed {
        match self.0.remove(&node.name) {
            None => Existed::Nothing,
            Some(meta) if meta.kind == NodeKind::Dir => Existed::Same(Box::new(meta)),
            Some(meta) => {
                let what = format!(
                    "{}: a {} stands there now, and what is wanted lies in a directory of that name; move it away",
                    path.display(),
                    meta.kind.word()
                );
                job.problem(Problem::new(what).path(path));
                Existed::Kept
            }
        }
    }

    /// Whether the same entry stands there; it stays whatever it is.
    pub(super) fn has_same(&mut self, job: &Job<'_>, dir: BorrowedFd<'_>, node: &Node) -> bool {
        self.0.remove(&node.name).is_some_and(|meta| is_same(job, dir, node, &meta))
    }

    /// What the tree does not have goes to the trash, but for what is kept and the directories that hold it.
    pub(super) fn trash_rest(self, job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
        for (name, meta) in self.0 {
            trash_unless_kept(job, dir, &path.join(&name), &name, &meta)?;
        }
        Ok(())
    }
}

fn trash_unless_kept(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, name: &OsStr, meta: &Meta) -> Result<(), Error> {
    job.check()?;
    let is_dir = meta.kind == NodeKind::Dir;
    if is_kept(job, path, is_dir) {
        return Ok(());
    }
    if !is_dir || !holds_kept(job, dir, path, name)? {
        return trash(job, dir, path, name);
    }
    let inner = rustix::fs::openat(dir, name, DIR, Mode::empty()).map_err(|error| Error::io(path, error))?;
    Standing::list(job, inner.as_fd(), path)?.trash_rest(job, inner.as_fd(), path)
}

/// Moves an entry to the trash.
pub(super) fn trash(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, name: &OsStr) -> Result<(), Error> {
    match &job.trash {
        Some(trash) => trash.lock().unwrap_or_else(PoisonError::into_inner).take(dir, path, name),
        None => Err(Error::TargetNotEmpty { path: job.target.path.clone() }),
    }
}

fn is_kept(job: &Job<'_>, path: &Path, is_dir: bool) -> bool {
    let Existing::Replace { keep, .. } = &job.options.existing else { return false };
    let inside = job
        .trash
        .as_ref()
        .is_some_and(|trash| trash.lock().unwrap_or_else(PoisonError::into_inner).inside.as_deref() == Some(path));
    inside || keep(path, is_dir)
}

/// Whether anything below a directory is to be kept.
fn holds_kept(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, name: &OsStr) -> Result<bool, Error> {
    job.check()?;
    let failed = |error| Error::io(job.target.path.join(path), error);
    let inner = rustix::fs::openat(dir, name, DIR, Mode::empty()).map_err(failed)?;
    for name in entries(inner.as_fd()).map_err(failed)? {
        let path = path.join(&name);
        let is_dir = match Meta::at(inner.as_fd(), &name) {
            Ok(meta) => meta.kind == NodeKind::Dir,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(failed(error)),
        };
        if is_kept(job, &path, is_dir) || is_dir && holds_kept(job, inner.as_fd(), &path, &name)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the entry is what the node says, metadata aside.
fn is_same(job: &Job<'_>, dir: BorrowedFd<'_>, node: &Node, meta: &Meta) -> bool {
    if meta.kind != node.kind {
        return false;
    }
    match node.kind {
        NodeKind::File => {
            meta.size == node.size && (mtime(meta) == Some(node.mtime) || has_content(job, dir, node).unwrap_or(false))
        }
        NodeKind::Symlink => rustix::fs::readlinkat(dir, &node.name, Vec::new())
            .is_ok_and(|target| target.as_bytes() == node.linktarget.as_encoded_bytes()),
        NodeKind::Device | NodeKind::CharDevice => meta.device == node.device,
        NodeKind::Fifo | NodeKind::Socket => true,
        NodeKind::Dir => true,
    }
}

pub(super) fn mtime(meta: &Meta) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(meta.mtime.0).ok()?.replace_nanosecond(meta.mtime.1).ok()
}

/// Reads the file and compares it blob by blob; `None` if that cannot be done.
fn has_content(job: &Job<'_>, dir: BorrowedFd<'_>, node: &Node) -> Option<bool> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &node.name, flags, Mode::empty()).ok()?;
    let mut buffer = Vec::new();
    for id in &node.content {
        job.check().ok()?;
        let (_, blob) = job.vault.place(BlobKind::Data, id).ok()?;
        buffer.resize(blob.raw() as usize, 0);
        let mut filled = 0;
        while filled < buffer.len() {
            match rustix::io::read(&file, &mut buffer[filled..]) {
                Ok(0) => return Some(false),
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
        if Id::of(&buffer) != *id {
            return Some(false);
        }
    }
    Some(true)
}
