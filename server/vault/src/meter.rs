//! Progress: numbers that workers add to and that anyone may read meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Counters of one operation. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    files: AtomicU64,
    bytes: AtomicU64,
    stored: AtomicU64,
    current: Mutex<String>,
}

impl Meter {
    /// All counters at zero.
    pub fn new() -> Meter {
        Meter::default()
    }

    /// Files and other entries done.
    pub fn files(&self) -> u64 {
        self.0.files.load(Ordering::Relaxed)
    }

    /// Logical bytes done: of the source, the stream or the restored files; for checks, bytes read from the vault.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Bytes newly packed for the vault.
    pub fn stored(&self) -> u64 {
        self.0.stored.load(Ordering::Relaxed)
    }

    /// What is being worked on just now; a sample, not a log.
    pub fn current(&self) -> String {
        self.0.current.lock().map(|current| current.clone()).unwrap_or_default()
    }

    /// Adds to [`Meter::files`].
    pub fn add_files(&self, count: u64) {
        self.0.files.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds to [`Meter::bytes`].
    pub fn add_bytes(&self, count: u64) {
        self.0.bytes.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds to [`Meter::stored`].
    pub fn add_stored(&self, count: u64) {
        self.0.stored.fetch_add(count, Ordering::Relaxed);
    }

    /// Sets [`Meter::current`], unless somebody else is at it: progress never makes a worker wait.
    pub fn set_current(&self, what: &str) {
        if let Ok(mut current) = self.0.current.try_lock() {
            current.clear();
            current.push_str(what);
        }
    }
}
