//! A vault in a directory: restic's layout, each file whole and on the disk before it has its name.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::os::fd::AsRawFd;

use super::{Backend, BackendError, FileKind};

/// The local storage: directories 0700, files 0600, laid out as restic's `default` layout.
#[derive(Debug)]
pub struct LocalBackend {
    root: PathBuf,
}

impl LocalBackend {
    /// Makes the directories of a vault in `dir`, which may exist.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn create(dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        let root = absolute(&dir.into())?;
        let make = |path: &Path| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|error| BackendError::from_io(path.display().to_string(), error))
        };
        for name in ["keys", "locks", "snapshots", "index"] {
            make(&root.join(name))?;
        }
        for first in 0..=255u8 {
            make(&root.join("data").join(hex::encode([first])))?;
        }
        for dir in [root.join("data"), root.clone()] {
            sync_dir(&dir).map_err(|error| BackendError::from_io(dir.display().to_string(), error))?;
        }
        if let Some(parent) = root.parent() {
            // The directory that holds the vault may belong to somebody else; then its entry there is old.
            let _ = sync_dir(parent);
        }
        Ok(LocalBackend { root })
    }

    /// The vault in `dir`, which must exist.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        let root = absolute(&dir.into())?;
        let known = fs::metadata(&root).map_err(|error| BackendError::from_io(root.display().to_string(), error))?;
        if !known.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(BackendError::from_io(root.display().to_string(), error));
        }
        Ok(LocalBackend { root })
    }

    fn dir(&self, kind: FileKind, name: &str) -> PathBuf {
        match kind {
            FileKind::Config => self.root.clone(),
            FileKind::Key => self.root.join("keys"),
            FileKind::Lock => self.root.join("locks"),
            FileKind::Snapshot => self.root.join("snapshots"),
            FileKind::Index => self.root.join("index"),
            FileKind::Pack => self.root.join("data").join(name.get(..2).unwrap_or("00")),
        }
    }

    fn path(&self, kind: FileKind, name: &str) -> PathBuf {
        let name = if kind == FileKind::Config { "config" } else { name };
        self.dir(kind, name).join(name)
    }

    /// A file without a name becomes one with a name, so that a crash leaves no remains.
    fn write_nameless(dir: &Path, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = fs::File::from(rustix::fs::open(dir, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(bytes)?;
        if durable {
            file.sync_all()?;
        }
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        match rustix::fs::linkat(CWD, from.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::EXIST) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_renamed(dir: &Path, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".tmp-").tempfile_in(dir)?;
        file.write_all(bytes)?;
        if durable {
            file.as_file().sync_all()?;
        }
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    fn write_file(&self, kind: FileKind, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (dir, path) = (self.dir(kind, name), self.path(kind, name));
        // A lock is a promise of a living process: after a power cut it has no one to speak for.
        let durable = kind != FileKind::Lock;
        match LocalBackend::write_nameless(&dir, &path, bytes, durable) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !dir.exists() => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
                if let Some(parent) = dir.parent() {
                    sync_dir(parent)?;
                }
                LocalBackend::write_renamed(&dir, &path, bytes, durable)?;
            }
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error),
            // The name is taken, or the file system has no nameless files: take the other way.
            Err(_) => LocalBackend::write_renamed(&dir, &path, bytes, durable)?,
        }
        if durable { sync_dir(&dir) } else { Ok(()) }
    }

    fn list_dir(dir: &Path, names: &mut Vec<(String, u64)>) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.parse::<crate::Id>().is_err() {
                continue;
            }
            match entry.metadata() {
                Ok(known) => names.push((name, known.len())),
                // Removed while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn list_all(&self, kind: FileKind) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        match kind {
            FileKind::Config => match fs::metadata(self.root.join("config")) {
                Ok(known) => names.push(("config".to_owned(), known.len())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            FileKind::Pack => {
                for entry in fs::read_dir(self.root.join("data"))? {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() && entry.file_name().len() == 2 {
                        LocalBackend::list_dir(&entry.path(), &mut names)?;
                    }
                }
            }
            _ => LocalBackend::list_dir(&self.dir(kind, ""), &mut names)?,
        }
        Ok(names)
    }

    fn what(&self, kind: FileKind, name: &str) -> String {
        format!("{} {} in {}", kind.word(), name, self.root.display())
    }
}

impl Backend for LocalBackend {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError> {
        self.list_all(kind).map_err(|error| BackendError::Failed {
            what: format!("list of {} files in {}", kind.word(), self.root.display()),
            source: error.into(),
        })
    }

    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError> {
        fs::read(self.path(kind, name)).map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }

    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        let read = || {
            let file = fs::File::open(self.path(kind, name))?;
            let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            if len > 1 << 20 && file.metadata()?.len() < offset.saturating_add(len as u64) {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        };
        read().map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }

    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.write_file(kind, name, bytes).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                BackendError::NoSpace { place: self.location() }
            }
            _ => BackendError::Failed { what: self.what(kind, name), source: error.into() },
        })
    }

    fn free(&self) -> Result<Option<u64>, BackendError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| BackendError::from_io(self.root.display().to_string(), error))?;
        Ok(Some(stat.f_bavail.saturating_mul(stat.f_frsize)))
    }

    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        let removed = match fs::remove_file(self.path(kind, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(()) if kind != FileKind::Lock => sync_dir(&self.dir(kind, name)),
            other => other,
        };
        removed.map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, BackendError> {
    std::path::absolute(dir).map_err(|error| BackendError::from_io(dir.display().to_string(), error))
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}
