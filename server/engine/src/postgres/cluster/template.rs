//! What `initdb` makes, kept once it was made and copied for every further throwaway server: a copy takes a tenth of
//! the time.
//!
//! A template is ours alone: the user of a fenced server cannot reach it. It is only kept while no other throwaway
//! server runs, because what an archive brings along runs as the same user and could change a server that is just being
//! made; and it ends with this process, so that nothing spoilt lasts.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::{DirBuilderExt, lchown},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use holdfast_vault::Cancel;
use tempfile::TempDir;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{Room, note_owner};
use crate::{
    postgres::{PgError, capture::blocking, install::PgInstall},
    sandbox::DrillUser,
};

/// Names of the folders that hold templates begin with it; it begins as those of throwaway servers do.
const PREFIX: &str = "holdfast-pg-template-";

/// The templates of one process.
#[derive(Debug)]
pub(crate) struct Templates {
    under: PathBuf,
    made: Mutex<HashMap<Key, Arc<Template>>>,
    /// Read by every throwaway server while it lives.
    running: Arc<RwLock<()>>,
}

/// What a cluster is made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    bin: PathBuf,
    version: (u32, u32),
    superuser: String,
}

#[derive(Debug)]
struct Template {
    dir: TempDir,
    /// What a copy must amount to; a temporary folder may be tidied by others.
    extent: Extent,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    files: u64,
    bytes: u64,
}

/// A throwaway server's share: while it is held, no template is made.
pub(super) type Turn = OwnedRwLockReadGuard<()>;

impl Templates {
    /// Templates will lie in folders of their own under `under`.
    pub(crate) fn new(under: PathBuf) -> Self {
        Self { under, made: Mutex::default(), running: Arc::default() }
    }

    /// Makes the room's `data` a new cluster with this superuser.
    pub(super) async fn fill(
        &self,
        room: &Room,
        install: &PgInstall,
        superuser: &str,
        cancel: &Cancel,
    ) -> Result<Turn, PgError> {
        let key = Key { bin: install.bin.clone(), version: install.version, superuser: superuser.to_owned() };
        let turn = match self.running.clone().try_write_owned() {
            Ok(alone) if self.get(&key).is_none() => {
                initdb(room, install, superuser, cancel).await?;
                self.keep(key, room).await;
                return Ok(alone.downgrade());
            }
            Ok(alone) => alone.downgrade(),
            Err(_) => self.running.clone().read_owned().await,
        };
        if let Some(template) = self.get(&key) {
            match template.copy_to(room).await {
                Ok(()) => return Ok(turn),
                Err(error) => {
                    tracing::warn!(%error, "the template of a throwaway server could not be used; it is made anew");
                    self.with(|made| made.remove(&key));
                    room.empty_data()?;
                }
            }
        }
        initdb(room, install, superuser, cancel).await?;
        Ok(turn)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Key, Arc<Template>>) -> T) -> T {
        work(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, key: &Key) -> Option<Arc<Template>> {
        self.with(|made| made.get(key).cloned())
    }

    /// A server that cannot be kept as a template is as good a server.
    async fn keep(&self, key: Key, room: &Room) {
        let (under, data) = (self.under.clone(), room.data());
        match blocking(move || Template::of(&under, &data)).await {
            Ok(template) => {
                self.with(|made| made.insert(key, Arc::new(template)));
            }
            Err(error) => tracing::warn!(%error, "a throwaway server could not be kept as a template"),
        }
    }
}

impl Template {
    fn of(under: &Path, data: &Path) -> Result<Self, PgError> {
        let failed = |error| PgError::io(under, error);
        fs::create_dir_all(under).map_err(failed)?;
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(under).map_err(failed)?;
        note_owner(dir.path())?;
        let extent = copy(data, &dir.path().join("data"), None).map_err(failed)?;
        Ok(Self { dir, extent })
    }

    async fn copy_to(self: Arc<Self>, room: &Room) -> Result<(), PgError> {
        let (to, owner) = (room.data(), room.level.user().cloned());
        blocking(move || {
            let copied = copy(&self.dir.path().join("data"), &to, owner.as_ref())
                .map_err(|error| PgError::io(self.dir.path(), error))?;
            if copied == self.extent {
                return Ok(());
            }
            Err(PgError::Refused(format!("{} has lost files since it was made", self.dir.path().display())))
        })
        .await
    }
}

async fn initdb(room: &Room, install: &PgInstall, superuser: &str, cancel: &Cancel) -> Result<(), PgError> {
    let made = install
        .program("initdb")
        .args([
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
            "-U",
            superuser,
            "-D",
        ])
        .arg(room.data())
        .dir(room.path())
        .fenced(&room.level)
        .output(cancel)
        .await?;
    if made.ended.ok {
        return Ok(());
    }
    Err(PgError::tool("initdb", &made.ended.how, &made.ended.stderr, "the throwaway server"))
}

/// Copies a folder of folders and plain files, which is all that a new cluster consists of; `to` may exist, empty.
fn copy(from: &Path, to: &Path, owner: Option<&DrillUser>) -> io::Result<Extent> {
    let give = |path: &Path| owner.map_or(Ok(()), |user| lchown(path, Some(user.uid), Some(user.gid)));
    match fs::DirBuilder::new().mode(0o700).create(to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => give(to)?,
    }
    let mut extent = Extent::default();
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, path, target) = (entry.file_type()?, entry.path(), to.join(entry.file_name()));
        if kind.is_dir() {
            let inside = copy(&path, &target, owner)?;
            extent.files += inside.files;
            extent.bytes += inside.bytes;
        } else if kind.is_file() {
            extent.bytes += fs::copy(&path, &target)?;
            extent.files += 1;
            give(&target)?;
        } else {
            return Err(io::Error::other(format!("{} is neither a folder nor a plain file", path.display())));
        }
    }
    Ok(extent)
}
