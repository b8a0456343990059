//! The vault itself: opening it, and its small operations.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::backend::{Backend, BackendError, FileKind};
use crate::chunk::Cutters;
use crate::config::Config;
use crate::crypto::Key;
use crate::index::Index;
use crate::lock;
use crate::pack::BlobKind;
use crate::read::Windows;
use crate::restore;
use crate::snapshot::SnapshotJson;
use crate::{
    Cancel, CheckReport, CheckScope, Error, FileReader, Meter, Node, PackId, Password, ReadBack, RestoreOptions,
    Restored, Snapshot, SnapshotId, Tree, TreeId, Writer, check, key, node, zip,
};

/// Bounds of one vault's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultOptions {
    /// Bytes that the write pipeline may hold; 192 MiB by default, and never less than about 48 MiB.
    pub memory: u64,
    /// Worker threads; by default one for each processor.
    pub threads: usize,
    /// zstd level, 3 by default.
    pub level: i32,
}

impl Default for VaultOptions {
    fn default() -> VaultOptions {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        VaultOptions { memory: 192 << 20, threads, level: zip::DEFAULT_LEVEL }
    }
}

/// What a vault holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Snapshot files.
    pub snapshots: u64,
    /// Pack files.
    pub packs: u64,
    /// Blobs in the index.
    pub blobs: u64,
    /// Bytes of all files of the vault.
    pub stored_bytes: u64,
    /// Bytes of all blobs before compression.
    pub raw_bytes: u64,
}

/// An open vault. A clone is the same vault.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Opened>);

/// What every part of the crate works with.
pub(crate) struct Opened {
    pub backend: Arc<dyn Backend>,
    pub key: Key,
    pub options: VaultOptions,
    pub cutters: Cutters,
    pub windows: Windows,
    id: String,
    key_name: String,
    index: RwLock<Index>,
    /// Held while the index is brought up to date, so that two threads do not do it at once.
    reload: Mutex<()>,
}

impl Opened {
    pub(crate) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many threads are worth having that read: one for each processor, and enough for what is far away.
    pub(crate) fn readers(&self) -> usize {
        self.options.threads.max(self.backend.connections()).max(1)
    }

    /// One thread at a time may bring the index up to date.
    pub(crate) fn reload_turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.reload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tree(&self, id: &TreeId) -> Result<Tree, Error> {
        node::parse_tree(id, &self.blob(BlobKind::Tree, id)?)
    }

    /// Names of all snapshot files.
    pub(crate) fn snapshot_names(&self) -> Result<Vec<SnapshotId>, Error> {
        Ok(self.backend.list(FileKind::Snapshot)?.iter().filter_map(|(name, _)| name.parse().ok()).collect())
    }

    pub(crate) fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        match self.load::<SnapshotJson>(FileKind::Snapshot, &id.to_string()) {
            Ok(json) => Ok(json.named(*id)),
            Err(Error::Backend(BackendError::NotFound { .. })) => Err(Error::NoSuchSnapshot(*id)),
            Err(error) => Err(error),
        }
    }
}

impl Vault {
    /// Makes a new vault with a new random key.
    ///
    /// # Errors
    /// [`Error::AlreadyAVault`], and [`Error::Damaged`] if data lies there whose `config` is missing.
    pub fn init(backend: Arc<dyn Backend>, password: &Password, options: VaultOptions) -> Result<Vault, Error> {
        if !backend.list(FileKind::Config)?.is_empty() {
            return Err(Error::AlreadyAVault { location: backend.location() });
        }
        for kind in [FileKind::Snapshot, FileKind::Index, FileKind::Pack] {
            if !backend.list(kind)?.is_empty() {
                let what = format!("{} holds {} files, but no config", backend.location(), kind.word());
                return Err(Error::damaged(what));
            }
        }
        // Keys without a config come from an `init` that did not get to its end; nothing depends on them.
        for (name, _) in backend.list(FileKind::Key)? {
            backend.withdraw(FileKind::Key, &name)?;
        }
        let (key, key_name) = key::create(&*backend, password)?;
        let config = Config::random()?;
        config.write(&*backend, &key)?;
        Vault::with(backend, key::Opened { key, name: key_name, config }, options)
    }

    /// Opens a vault: tries its keys with the password and reads its index.
    ///
    /// # Errors
    /// [`Error::NotAVault`], [`Error::WrongPassword`], [`Error::Damaged`] and failures of the backend.
    pub fn open(backend: Arc<dyn Backend>, password: &Password, options: VaultOptions) -> Result<Vault, Error> {
        let opened = key::open(&*backend, password)?;
        let vault = Vault::with(backend, opened, options)?;
        vault.0.reload_index()?;
        Ok(vault)
    }

    /// Opens a vault whose index may not be readable, for [`Vault::repair`]; nothing of it is known then, and what else
    /// is asked of it reads the index first.
    ///
    /// # Errors
    /// As [`Vault::open`], but for the index.
    pub fn open_for_repair(
        backend: Arc<dyn Backend>,
        password: &Password,
        options: VaultOptions,
    ) -> Result<Vault, Error> {
        let opened = key::open(&*backend, password)?;
        Vault::with(backend, opened, options)
    }

    fn with(backend: Arc<dyn Backend>, opened: key::Opened, options: VaultOptions) -> Result<Vault, Error> {
        Ok(Vault(Arc::new(Opened {
            backend,
            key: opened.key,
            options,
            cutters: Cutters::new(opened.config.seed()?),
            windows: Windows::default(),
            id: opened.config.id,
            key_name: opened.name,
            index: RwLock::default(),
            reload: Mutex::new(()),
        })))
    }

    /// The vault's own id, 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Where it lies, in restic's syntax.
    pub fn location(&self) -> String {
        self.0.backend.location()
    }

    /// The bounds that it was opened with.
    pub fn options(&self) -> &VaultOptions {
        &self.0.options
    }

    /// Starts writing: takes restic's shared lock, which is renewed until the writer goes, and reloads the index.
    ///
    /// # Errors
    /// [`Error::Locked`] while somebody holds the exclusive lock, and failures of the backend.
    pub fn writer(&self, cancel: Cancel) -> Result<Writer, Error> {
        Writer::start(self.0.clone(), cancel)
    }

    /// The ids of all snapshots, in no order: for whoever goes on where one of them cannot be read.
    ///
    /// # Errors
    /// Failures of the backend.
    pub fn snapshot_ids(&self) -> Result<Vec<SnapshotId>, Error> {
        self.0.snapshot_names()
    }

    /// All snapshots, oldest first. Who finds one here may rely on it, whoever wrote it, and who misses one may take it
    /// for gone: no power cut changes that any more.
    ///
    /// # Errors
    /// If any of them cannot be read; the error names it. A list is never shorter than the truth.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        let names = self.0.snapshot_names()?;
        self.0.backend.settle(FileKind::Snapshot)?;
        let read = |name: &SnapshotId| match self.0.snapshot(name) {
            // Forgotten between list and read.
            Err(Error::NoSuchSnapshot(_)) => Ok(None),
            other => other.map(Some),
        };
        let mut snapshots: Vec<Snapshot> = self.0.in_parallel(&names, read)?.into_iter().flatten().collect();
        snapshots.sort_by_key(|snapshot| (snapshot.time, snapshot.id));
        Ok(snapshots)
    }

    /// One snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`], [`Error::Damaged`] and failures of the backend.
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        self.0.snapshot(id)
    }

    /// Removes a snapshot's file; its data stays until a prune.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`] and failures of the backend.
    pub fn forget(&self, id: &SnapshotId) -> Result<(), Error> {
        if !self.0.snapshot_names()?.contains(id) {
            // It may have gone a moment ago.
            self.0.backend.settle(FileKind::Snapshot)?;
            return Err(Error::NoSuchSnapshot(*id));
        }
        Ok(self.0.backend.remove(FileKind::Snapshot, &id.to_string())?)
    }

    /// One directory.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not in the vault or not what it was.
    pub fn tree(&self, id: &TreeId) -> Result<Tree, Error> {
        self.0.tree(id)
    }

    /// The entry at `path` below `root`; links are not followed. The empty path is the root itself.
    ///
    /// # Errors
    /// [`Error::NoSuchPath`] names the first part that is missing.
    pub fn find(&self, root: &TreeId, path: &Path) -> Result<Node, Error> {
        let mut found = Node::dir("", *root, time::OffsetDateTime::UNIX_EPOCH);
        let mut walked = PathBuf::new();
        for part in path.components() {
            let name = match part {
                Component::Normal(name) => name,
                Component::RootDir | Component::CurDir => continue,
                // Whatever a tree may hold of that name, it is no way to anything.
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(Error::NoSuchPath { path: path.to_owned(), missing: walked.join(part.as_os_str()) });
                }
            };
            walked.push(name);
            let missing = || Error::NoSuchPath { path: path.to_owned(), missing: walked.clone() };
            let subtree = found.subtree.ok_or_else(missing)?;
            found = self.0.tree(&subtree)?.get(name).cloned().ok_or_else(missing)?;
        }
        Ok(found)
    }

    /// Opens a file for reading. Every blob is verified before a byte of it is given out.
    ///
    /// # Errors
    /// [`Error::Refused`] if the node is not a file, [`Error::Damaged`] if a blob of it is in no pack.
    pub fn read(&self, node: &Node) -> Result<FileReader, Error> {
        FileReader::open(self.0.clone(), node)
    }

    /// Restores a tree into a directory; nothing outside of it is written, whatever links stand there.
    ///
    /// # Errors
    /// [`Error::TargetNotEmpty`], [`Error::NoSpace`], [`Error::Cancelled`], and what makes going on senseless. What
    /// concerns single entries is in [`Restored::problems`].
    #[allow(clippy::needless_pass_by_value, reason = "options are made for one restore and end with it")]
    pub fn restore(&self, tree: &TreeId, target: &Path, options: RestoreOptions) -> Result<Restored, Error> {
        {
            // A prune elsewhere may have moved what we know.
            let _turn = self.0.reload_turn();
            self.0.reload_index()?;
        }
        restore::run(&self.0, tree, target, &options)
    }

    /// Reads again what the trees need: every pack that is not `fresh` is read whole from the backend, and every blob
    /// in it decrypted and hashed.
    ///
    /// # Errors
    /// [`Error::Cancelled`] and failures of the backend; what is damaged is in the answer.
    pub fn read_back(
        &self,
        trees: &[TreeId],
        fresh: &dyn Fn(&PackId) -> bool,
        cancel: &Cancel,
        meter: &Meter,
    ) -> Result<ReadBack, Error> {
        check::read_back(&self.0, trees, fresh, cancel, meter)
    }

    /// Checks the whole vault, under the shared lock.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Cancelled`] and failures of the backend; what is wrong with the vault is in the
    /// answer.
    pub fn check(&self, scope: CheckScope, cancel: &Cancel, meter: &Meter) -> Result<CheckReport, Error> {
        check::vault(&self.0, scope, cancel, meter)
    }

    /// Checks what one tree needs.
    ///
    /// # Errors
    /// [`Error::Cancelled`] and failures of the backend; what is wrong is in the answer.
    pub fn check_tree(
        &self,
        tree: &TreeId,
        scope: CheckScope,
        cancel: &Cancel,
        meter: &Meter,
    ) -> Result<CheckReport, Error> {
        check::tree(&self.0, tree, scope, cancel, meter)
    }

    /// Counts and sizes.
    ///
    /// # Errors
    /// Failures of the backend.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.0.reload_index()?;
        let mut stats = Stats::default();
        for kind in [FileKind::Config, FileKind::Key, FileKind::Index, FileKind::Snapshot, FileKind::Pack] {
            let files = self.0.backend.list(kind)?;
            stats.stored_bytes += files.iter().map(|(_, size)| size).sum::<u64>();
            match kind {
                FileKind::Snapshot => stats.snapshots = files.len() as u64,
                FileKind::Pack => stats.packs = files.len() as u64,
                _ => {}
            }
        }
        (stats.blobs, stats.raw_bytes) = self.0.index().totals();
        Ok(stats)
    }

    /// Bytes that are free where it lies; none where nobody can say.
    ///
    /// # Errors
    /// Failures of the backend.
    pub fn free(&self) -> Result<Option<u64>, Error> {
        Ok(self.0.backend.free()?)
    }

    /// Name and bytes of the key file that opened this vault, for the recovery kit.
    ///
    /// # Errors
    /// Failures of the backend.
    pub fn key_file(&self) -> Result<(String, Vec<u8>), Error> {
        Ok((self.0.key_name.clone(), self.0.backend.read(FileKind::Key, &self.0.key_name)?))
    }

    /// Removes the locks that dead processes of this host have left, and gives their number.
    ///
    /// # Errors
    /// Failures of the backend.
    pub fn remove_dead_locks(&self) -> Result<usize, Error> {
        lock::remove_dead(&self.0)
    }
}
