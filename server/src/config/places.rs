//! The folders that the settings name: made, given their rights, and held by one server at a time.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::Settings;

/// How long the lock of another server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be made or opened.
    #[error("{what} {} cannot be used: {source}; {mend}", path.display())]
    Io {
        /// What it is for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What to do.
        mend: &'static str,
    },
    /// It belongs to somebody else, or is no folder.
    #[error(
        "{what} {} is not a folder of the user that Holdfast runs as (user id {uid}); remove it or name another one",
        path.display()
    )]
    NotOurs {
        /// What it is for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The user that this process runs as.
        uid: u32,
    },
    /// Another server works on this data directory.
    #[error(
        "another Holdfast server (process {holder}) works on the data directory {}; stop it first, or set HOLDFAST_DATA_DIR",
        path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process id that it wrote down.
        holder: String,
    },
}

/// While this lives, no other server works on the data directory. The kernel lets go of it with the process.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl Settings {
    /// Makes data directory, vaults' folder and scratch space with their rights, and takes the data directory.
    ///
    /// # Errors
    /// [`PlaceError`] says which folder, why, and what to do.
    pub fn take_places(&self) -> Result<DataDirLock, PlaceError> {
        own_folder("the data directory", &self.data_dir, 0o700)?;
        let lock = lock(&self.data_dir)?;
        own_folder("the vaults' folder", &self.vaults_dir(), 0o700)?;
        let scratch_mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
        own_folder("the scratch space", &self.scratch_dir, scratch_mode)?;
        Ok(lock)
    }
}

/// Makes a folder that belongs to this user and has exactly these rights. `/var/tmp` is everybody's, so one that
/// somebody else made beforehand, or a link, is refused.
fn own_folder(what: &'static str, path: &Path, mode: u32) -> Result<(), PlaceError> {
    let failed = |source| PlaceError::Io {
        what,
        path: path.to_owned(),
        source,
        mend: "make it for the user that Holdfast runs as, or name another one",
    };
    DirBuilder::new().recursive(true).mode(mode).create(path).map_err(failed)?;
    let found = path.symlink_metadata().map_err(failed)?;
    let uid = rustix::process::geteuid().as_raw();
    if !path.metadata().map_err(failed)?.is_dir()
        || found.uid() != uid
        || (found.is_symlink() && what.contains("scratch"))
    {
        return Err(PlaceError::NotOurs { what, path: path.to_owned(), uid });
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(failed)
}

fn lock(data_dir: &Path) -> Result<DataDirLock, PlaceError> {
    let path = data_dir.join("server.lock");
    let failed = |source| PlaceError::Io {
        what: "the lock file",
        path: path.clone(),
        source,
        mend: "correct its rights; a network file system without locks cannot hold a data directory",
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            // A server that is just ending, or a child of it that has not begun its own program yet, lets go at once.
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < PATIENCE => std::thread::sleep(PATIENCE / 20),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = std::fs::read_to_string(&path).unwrap_or_default();
                let holder = if holder.trim().is_empty() { "unknown".into() } else { holder.trim().to_owned() };
                return Err(PlaceError::InUse { path: data_dir.to_owned(), holder });
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
    file.set_len(0).map_err(failed)?;
    io::Write::write_all(&mut &file, std::process::id().to_string().as_bytes()).map_err(failed)?;
    Ok(DataDirLock { _file: file })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_server_per_data_directory() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data").to_string_lossy().into_owned();
        let scratch = folder.path().join("scratch").to_string_lossy().into_owned();
        let settings = Settings::from_sources(None, &|name| match name {
            "HOLDFAST_DATA_DIR" => Some(data_dir.clone()),
            "HOLDFAST_SCRATCH_DIR" => Some(scratch.clone()),
            _ => None,
        })
        .unwrap();
        let first = settings.take_places().unwrap();
        assert_eq!(std::fs::metadata(&data_dir).unwrap().mode() & 0o777, 0o700);
        let refusal = settings.take_places().unwrap_err().to_string();
        assert!(refusal.contains(&std::process::id().to_string()), "{refusal}");
        drop(first);
        settings.take_places().unwrap();
    }

    #[test]
    fn a_link_in_place_of_the_scratch_space_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("scratch");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(matches!(own_folder("the scratch space", &link, 0o700), Err(PlaceError::NotOurs { .. })));
    }
}
