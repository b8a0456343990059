//! Where things go that a restore puts out of the way. Nothing is ever removed before it lies here whole.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::metadata::{set_plain, set_plain_special};
use super::target::{DIR, Target, entries};
use crate::Error;
use crate::archive::Meta;
use crate::node::NodeKind;

/// A directory of things that were moved, under the relative paths that they had.
pub(super) struct Trash {
    root: PathBuf,
    /// The trash's own path in the target, if it lies there: it is not trashed itself.
    pub inside: Option<PathBuf>,
    made: bool,
    /// What was moved: its path in the target, and where it is now.
    moved: Vec<(PathBuf, PathBuf)>,
}

impl Trash {
    pub(super) fn new(root: &Path, target: &Target) -> Result<Trash, Error> {
        let root = std::path::absolute(root).map_err(|error| Error::io(root, error))?;
        let target = fs::canonicalize(&target.path).map_err(|error| Error::io(&target.path, error))?;
        // It need not exist yet; its nearest existing ancestor does.
        let mut known = root.as_path();
        let mut rest = PathBuf::new();
        let real = loop {
            if let Ok(real) = fs::canonicalize(known) {
                break real.join(&rest);
            }
            rest = known.file_name().map_or_else(PathBuf::new, |name| Path::new(name).join(&rest));
            known = match known.parent() {
                Some(parent) => parent,
                None => break root.clone(),
            };
        };
        if real == target {
            return Err(Error::Refused("the trash cannot be the target itself".into()));
        }
        let inside = real.strip_prefix(&target).ok().map(|path| path.components().collect());
        Ok(Trash { root, inside, made: false, moved: Vec::new() })
    }

    /// The relative paths of all that was moved, sorted.
    pub(super) fn into_moved(self) -> Vec<PathBuf> {
        let mut moved: Vec<PathBuf> = self.moved.into_iter().map(|(path, _)| path).collect();
        moved.sort();
        moved
    }

    /// Moves everything back to where it stood, the last first. Where something stands now, or on another file system,
    /// it stays here.
    pub(super) fn give_back(self, target: &Target) {
        for (path, place) in self.moved.iter().rev() {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { continue };
            let back = target.dir(parent).and_then(|dir| rename_to_free(CWD, place.as_os_str(), dir.as_fd(), name));
            if let Err(error) = back {
                tracing::warn!(path = %path.display(), kept = %place.display(), %error, "it could not go back");
                continue;
            }
            // Directories that were made for it, and that hold nothing else.
            let above = place.ancestors().skip(1).take_while(|dir| dir.starts_with(&self.root));
            for dir in above {
                if fs::remove_dir(dir).is_err() {
                    break;
                }
            }
        }
    }

    /// Moves the entry `name` of `dir`, whose path in the target is `path`.
    pub(super) fn take(&mut self, dir: BorrowedFd<'_>, path: &Path, name: &OsStr) -> Result<(), Error> {
        let place = self.place(path)?;
        match rename_to_free(dir, name, CWD, place.as_os_str()) {
            Ok(()) => {}
            Err(Errno::XDEV) => {
                copy(dir, name, &place).map_err(|error| Error::io(&place, error))?;
                if let Some(parent) = place.parent() {
                    fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(|error| Error::io(parent, error))?;
                }
                remove(dir, name).map_err(|error| Error::io(path, error))?;
            }
            Err(error) => return Err(Error::io(path, error)),
        }
        self.moved.push((path.to_owned(), place));
        Ok(())
    }

    /// A free path for it, in directories that exist.
    fn place(&mut self, path: &Path) -> Result<PathBuf, Error> {
        let make = |dir: &Path| {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| Error::io(dir, error))
        };
        if !self.made {
            make(&self.root)?;
            self.made = true;
        }
        let mut place = self.root.join(path);
        if let Some(parent) = place.parent() {
            make(parent)?;
        }
        let mut n = 0;
        while fs::symlink_metadata(&place).is_ok() {
            n += 1;
            let mut other = OsString::from(self.root.join(path));
            other.push(format!(".{n}"));
            place = other.into();
        }
        Ok(place)
    }
}

/// Renames to a name that is free.
fn rename_to_free(from: BorrowedFd<'_>, name: &OsStr, to: BorrowedFd<'_>, free: &OsStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(from, name, to, free, RenameFlags::NOREPLACE) {
        // Some file systems know no such flag.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(to, free, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => rustix::fs::renameat(from, name, to, free),
            Ok(_) => Err(Errno::EXIST),
            Err(error) => Err(error),
        },
        outcome => outcome,
    }
}

/// Copies an entry with all that is below it, durably, to another file system.
fn copy(dir: BorrowedFd<'_>, name: &OsStr, place: &Path) -> io::Result<()> {
    let meta = Meta::at(dir, name)?;
    let node = |kind| rustix::fs::mknodat(CWD, place, kind, Mode::RUSR | Mode::WUSR, meta.device);
    match meta.kind {
        NodeKind::Dir => {
            let inner = rustix::fs::openat(dir, name, DIR, Mode::empty())?;
            fs::DirBuilder::new().mode(0o700).create(place)?;
            for name in entries(inner.as_fd())? {
                copy(inner.as_fd(), &name, &place.join(&name))?;
            }
            let made = fs::File::open(place)?;
            set_plain(made.as_fd(), inner.as_fd(), &meta)?;
            made.sync_all()?;
        }
        NodeKind::File => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mut from = fs::File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?);
            let mut to = fs::OpenOptions::new().write(true).create_new(true).open(place)?;
            io::copy(&mut from, &mut to)?;
            set_plain(to.as_fd(), from.as_fd(), &meta)?;
            to.sync_all()?;
        }
        NodeKind::Symlink => {
            let target = rustix::fs::readlinkat(dir, name, Vec::new())?;
            rustix::fs::symlinkat(&target, CWD, place)?;
        }
        NodeKind::Fifo => node(FileType::Fifo)?,
        NodeKind::Socket => node(FileType::Socket)?,
        NodeKind::Device => node(FileType::BlockDevice)?,
        NodeKind::CharDevice => node(FileType::CharacterDevice)?,
    }
    if !matches!(meta.kind, NodeKind::Dir | NodeKind::File) {
        set_plain_special(place, &meta)?;
    }
    Ok(())
}

fn remove(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let mut flags = AtFlags::empty();
    if Meta::at(dir, name)?.kind == NodeKind::Dir {
        let inner = rustix::fs::openat(dir, name, DIR, Mode::empty())?;
        for name in entries(inner.as_fd())? {
            remove(inner.as_fd(), &name)?;
        }
        flags = AtFlags::REMOVEDIR;
    }
    Ok(rustix::fs::unlinkat(dir, name, flags)?)
}
