//! A vault in a directory: restic's layout, each file whole and on the disk before it has its name.

mod disk;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Backend, BackendError, FileKind};

pub use disk::{DirEntry, Disk, SystemDisk};

/// The local storage: directories 0700, files 0600, laid out as restic's `default` layout.
///
/// What a sync has not confirmed is given up, never synced again: after a failed one the system may call content clean
/// that it has lost. A name that could not be made durable is taken back.
#[derive(Debug)]
pub struct LocalBackend {
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

impl LocalBackend {
    /// Makes the directories of a vault in `dir`, which may exist.
    ///
    /// # Errors
    /// When a directory cannot be made.
    pub fn create(dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        LocalBackend::create_on(Arc::new(SystemDisk), dir)
    }

    /// As [`LocalBackend::create`], by way of `disk`.
    ///
    /// # Errors
    /// As [`LocalBackend::create`].
    pub fn create_on(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        let backend = LocalBackend { root: absolute(&dir.into())?, disk };
        backend.make_layout().map_err(|error| BackendError::from_io(backend.location(), error))?;
        Ok(backend)
    }

    /// The vault in `dir`, which must exist.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        LocalBackend::open_on(Arc::new(SystemDisk), dir)
    }

    /// As [`LocalBackend::open`], by way of `disk`.
    ///
    /// # Errors
    /// As [`LocalBackend::open`].
    pub fn open_on(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<LocalBackend, BackendError> {
        let backend = LocalBackend { root: absolute(&dir.into())?, disk };
        let failed = |error| BackendError::from_io(backend.location(), error);
        if !backend.disk.look(&backend.root).map_err(failed)?.is_dir {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        Ok(backend)
    }

    fn make_layout(&self) -> io::Result<()> {
        self.make_dirs(&self.root)?;
        let data = self.root.join("data");
        for name in ["keys", "locks", "snapshots", "index", "data"] {
            self.make_dir(&self.root.join(name))?;
        }
        for first in 0..=255u8 {
            self.make_dir(&data.join(hex::encode([first])))?;
        }
        self.disk.sync_dir(&data)?;
        self.disk.sync_dir(&self.root)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        match self.disk.make_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }

    /// Makes a directory and all that is missing above it, each durable in the one above.
    fn make_dirs(&self, dir: &Path) -> io::Result<()> {
        let Some(parent) = dir.parent() else { return Ok(()) };
        match self.make_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_dirs(parent)?;
                self.make_dir(dir)?;
            }
            other => other?,
        }
        match self.disk.sync_dir(parent) {
            // It belongs to somebody else; then the entry there is old.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            other => other,
        }
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

    fn fill(&self, file: &File, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.disk.write(file, bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.disk.sync(file)
    }

    /// A file without a name becomes one with a name, so that a crash leaves no remains. `false` if the name is taken or
    /// the file system has no nameless files: take the other way.
    fn write_nameless(&self, dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        let other_way = |error: io::Error| if is_full(&error) { Err(error) } else { Ok(false) };
        let mut opened = self.disk.create_nameless(dir);
        if matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            self.make_dirs(dir)?;
            opened = self.disk.create_nameless(dir);
        }
        match opened {
            Ok(file) => {
                self.fill(&file, bytes)?;
                self.disk.link(&file, path).map(|()| true).or_else(other_way)
            }
            Err(error) => other_way(error),
        }
    }

    fn write_renamed(&self, dir: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let temporary = dir.join(format!(".tmp-{}", hex::encode(random)));
        let file = self.disk.create(&temporary)?;
        let named = self.fill(&file, bytes).and_then(|()| self.disk.rename(&temporary, path));
        if named.is_err() {
            let _ = self.disk.remove(&temporary);
        }
        named
    }

    fn write_file(&self, kind: FileKind, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (dir, path) = (self.dir(kind, name), self.path(kind, name));
        let mut is_new = true;
        if !self.write_nameless(&dir, &path, bytes)? {
            is_new = self.disk.look(&path).is_err();
            self.write_renamed(&dir, &path, bytes)?;
        }
        // A lock is a promise of a living process: after a power cut it may be gone. But what is there of it is whole, for
        // restic (since 0.17) goes nowhere past a lock that it cannot read.
        if kind == FileKind::Lock {
            return Ok(());
        }
        let synced = self.disk.sync_dir(&dir);
        if synced.is_err() && is_new {
            // Nobody shall rely on what the next power cut may take away.
            let _ = self.disk.remove(&path);
        }
        synced
    }

    fn list_dir(&self, dir: &Path, names: &mut Vec<(String, u64)>) -> io::Result<()> {
        for entry in self.disk.list(dir)? {
            let Ok(name) = entry.name.into_string() else { continue };
            if name.parse::<crate::Id>().is_ok() {
                names.push((name, entry.size));
            }
        }
        Ok(())
    }

    fn list_all(&self, kind: FileKind) -> io::Result<Vec<(String, u64)>> {
        let mut names = Vec::new();
        match kind {
            FileKind::Config => match self.disk.look(&self.path(kind, "")) {
                Ok(known) => names.push(("config".to_owned(), known.size)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            FileKind::Pack => {
                let data = self.root.join("data");
                for entry in self.disk.list(&data)? {
                    if entry.is_dir && entry.name.len() == 2 {
                        self.list_dir(&data.join(entry.name), &mut names)?;
                    }
                }
            }
            _ => self.list_dir(&self.dir(kind, ""), &mut names)?,
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
        self.disk.read(&self.path(kind, name)).map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }

    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        let read = usize::try_from(len)
            .map_err(|_| io::ErrorKind::InvalidInput.into())
            .and_then(|len| self.disk.read_range(&self.path(kind, name), offset, len));
        read.map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }

    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.write_file(kind, name, bytes).map_err(|error| match error {
            error if is_full(&error) => BackendError::NoSpace { place: self.location() },
            error => BackendError::Failed { what: self.what(kind, name), source: error.into() },
        })
    }

    fn settle(&self, kind: FileKind) -> Result<(), BackendError> {
        let settle = || match kind {
            FileKind::Pack => {
                let data = self.root.join("data");
                for entry in self.disk.list(&data)?.iter().filter(|entry| entry.is_dir) {
                    self.disk.sync_dir(&data.join(&entry.name))?;
                }
                self.disk.sync_dir(&data)
            }
            _ => self.disk.sync_dir(&self.dir(kind, "")),
        };
        let what = || format!("{} files in {}", kind.word(), self.root.display());
        settle().map_err(|error| BackendError::from_io(what(), error))
    }

    fn free(&self) -> Result<Option<u64>, BackendError> {
        let free = self.disk.free(&self.root).map_err(|error| BackendError::from_io(self.location(), error))?;
        Ok(Some(free))
    }

    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        let removed = match self.disk.remove(&self.path(kind, name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(()) if kind != FileKind::Lock => self.disk.sync_dir(&self.dir(kind, name)),
            other => other,
        };
        removed.map_err(|error| BackendError::from_io(self.what(kind, name), error))
    }
}

fn absolute(dir: &Path) -> Result<PathBuf, BackendError> {
    std::path::absolute(dir).map_err(|error| BackendError::from_io(dir.display().to_string(), error))
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
