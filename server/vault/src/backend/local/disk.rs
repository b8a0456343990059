//! What a vault in a directory asks of the system, call by call.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// What stands in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// Its name.
    pub name: OsString,
    /// Bytes of a file.
    pub size: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// The calls by which a [`crate::LocalBackend`] reaches its disk, each of them one step that can fail, or be the last
/// one. [`SystemDisk`] is the disk itself; the fault suite puts others before it, which fail, note what was made durable,
/// or end the process.
///
/// Errors are the system's own, untouched.
#[allow(clippy::missing_errors_doc, reason = "said once for all of them")]
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a new file without a name, for [`Disk::link`]; not every file system can.
    fn create_nameless(&self, dir: &Path) -> io::Result<File>;

    /// Opens a new file of this name, which must not exist.
    fn create(&self, path: &Path) -> io::Result<File>;

    /// Appends to a new file, once; gives how many bytes were taken.
    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize>;

    /// Makes a file's content durable.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Gives a nameless file its name, which must be free.
    fn link(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Gives a file another name; what had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a directory, 0700; the one above must exist.
    fn make_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which names a directory holds.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// What stands in a directory; what vanishes meanwhile is left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// What stands at a path.
    fn look(&self, path: &Path) -> io::Result<DirEntry>;

    /// A whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Exactly so many bytes of a file, from `offset` on.
    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;

    /// Bytes that are free for us.
    fn free(&self, path: &Path) -> io::Result<u64>;
}

/// The machine's own disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn create_nameless(&self, dir: &Path) -> io::Result<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR)?))
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        File::options().write(true).create_new(true).mode(0o600).open(path)
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn link(&self, file: &File, path: &Path) -> io::Result<()> {
        let from = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(rustix::fs::linkat(CWD, from.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(known) => {
                    entries.push(DirEntry { name: entry.file_name(), size: known.len(), is_dir: known.is_dir() });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    fn look(&self, path: &Path) -> io::Result<DirEntry> {
        let known = fs::metadata(path)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        Ok(DirEntry { name, size: known.len(), is_dir: known.is_dir() })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        // Nothing large is allocated for bytes that are not there.
        if len > 1 << 20 && file.metadata()?.len() < offset.saturating_add(len as u64) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut bytes = vec![0; len];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
