//! The directory that is restored into, and the only ways into it.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::Error;

/// How directories are opened: never through a link.
pub(super) const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The root of a restore.
pub(super) struct Target {
    pub path: PathBuf,
    pub root: OwnedFd,
}

impl Target {
    /// Opens the target, which is made if it is absent. The way to it is the caller's; what is in it is not trusted.
    pub(super) fn open(path: &Path) -> Result<Target, Error> {
        std::fs::create_dir_all(path).map_err(|error| Error::io(path, error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| Error::io(path, error))?;
        Ok(Target { path: path.to_owned(), root })
    }

    pub(super) fn refuse_entries(&self) -> Result<(), Error> {
        let entries = entries(self.root.as_fd()).map_err(|error| Error::io(&self.path, error))?;
        if entries.is_empty() { Ok(()) } else { Err(Error::TargetNotEmpty { path: self.path.clone() }) }
    }

    /// Opens a directory below the root, no part of whose path is a link.
    pub(super) fn dir(&self, path: &Path) -> Result<OwnedFd, Errno> {
        if path.as_os_str().is_empty() {
            return rustix::io::fcntl_dupfd_cloexec(&self.root, 0);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, path, DIR, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::NAMETOOLONG | Errno::AGAIN) => self.dir_by_parts(path),
            other => other,
        }
    }

    fn dir_by_parts(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let mut dir = rustix::io::fcntl_dupfd_cloexec(&self.root, 0)?;
        for part in path.components() {
            let Component::Normal(name) = part else { return Err(Errno::INVAL) };
            dir = rustix::fs::openat(&dir, name, DIR, Mode::empty())?;
        }
        Ok(dir)
    }
}

/// The names in a directory.
pub(super) fn entries(dir: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    // A descriptor of its own, for its place in the directory is moved.
    let dir = rustix::fs::openat(dir, c".", DIR, Mode::empty())?;
    let mut buffer = vec![MaybeUninit::uninit(); 32 << 10];
    let mut names = Vec::new();
    let mut listing = RawDir::new(&dir, &mut buffer);
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The last directory that a worker was in: neighbours in a pack are mostly neighbours on disk.
#[derive(Default)]
pub(super) struct LastDir(Option<(usize, OwnedFd)>);

impl LastDir {
    /// The directory of this number and path.
    pub(super) fn get(&mut self, target: &Target, number: usize, path: &Path) -> Result<BorrowedFd<'_>, Errno> {
        let kept = match self.0.take() {
            Some((kept, fd)) if kept == number => fd,
            _ => target.dir(path)?,
        };
        Ok(self.0.insert((number, kept)).1.as_fd())
    }
}
