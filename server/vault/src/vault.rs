//! The vault itself: opening, and reading what it holds.

use std::path::Path;
use std::sync::Arc;

use crate::*;

/// Bounds of one vault's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultOptions {
    /// Bytes that the write pipeline may hold; 192 MiB by default, at least 48 MiB are used.
    pub memory: u64,
    /// Worker threads; by default one for each processor.
    pub threads: usize,
    /// zstd level, 3 by default.
    pub level: i32,
}

impl Default for VaultOptions {
    fn default() -> VaultOptions {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        VaultOptions { memory: 192 << 20, threads, level: 3 }
    }
}

/// An open vault. A clone is the same vault.
#[derive(Clone)]
pub struct Vault {
    backend: Arc<dyn Backend>,
    options: Arc<VaultOptions>,
}

fn soon<T>() -> Result<T, Error> {
    Err(Error::Refused("not built yet".into()))
}

#[allow(missing_docs, unused_variables)]
impl Vault {
    pub fn init(backend: Arc<dyn Backend>, password: &Password, options: VaultOptions) -> Result<Vault, Error> {
        soon()
    }
    pub fn open(backend: Arc<dyn Backend>, password: &Password, options: VaultOptions) -> Result<Vault, Error> {
        soon()
    }
    pub fn id(&self) -> &str {
        ""
    }
    pub fn location(&self) -> String {
        self.backend.location()
    }
    pub fn options(&self) -> &VaultOptions {
        &self.options
    }
    pub fn writer(&self, cancel: Cancel) -> Result<Writer, Error> {
        soon()
    }
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        soon()
    }
    pub fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, Error> {
        soon()
    }
    pub fn forget(&self, id: &SnapshotId) -> Result<(), Error> {
        soon()
    }
    pub fn tree(&self, id: &TreeId) -> Result<Tree, Error> {
        soon()
    }
    pub fn find(&self, root: &TreeId, path: &Path) -> Result<Node, Error> {
        soon()
    }
    pub fn read(&self, node: &Node) -> Result<FileReader, Error> {
        soon()
    }
    pub fn restore(&self, tree: &TreeId, target: &Path, options: RestoreOptions) -> Result<Restored, Error> {
        soon()
    }
    pub fn read_back(
        &self,
        trees: &[TreeId],
        fresh: &dyn Fn(&PackId) -> bool,
        cancel: &Cancel,
        meter: &Meter,
    ) -> Result<ReadBack, Error> {
        soon()
    }
    pub fn check(&self, scope: CheckScope, cancel: &Cancel, meter: &Meter) -> Result<CheckReport, Error> {
        soon()
    }
    pub fn check_tree(
        &self,
        tree: &TreeId,
        scope: CheckScope,
        cancel: &Cancel,
        meter: &Meter,
    ) -> Result<CheckReport, Error> {
        soon()
    }
    pub fn stats(&self) -> Result<Stats, Error> {
        soon()
    }
    pub fn key_file(&self) -> Result<(String, Vec<u8>), Error> {
        soon()
    }
    pub fn remove_dead_locks(&self) -> Result<usize, Error> {
        soon()
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
