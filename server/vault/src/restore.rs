//! A tree in the vault becomes a directory on disk again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{Cancel, Meter, Problem};

/// How to restore.
#[derive(Clone)]
pub struct RestoreOptions {
    /// What to do with what stands in the target.
    pub existing: Existing,
    /// Set owner and group, where we are root.
    pub ownership: bool,
    /// Stops it between two blobs.
    pub cancel: Cancel,
    /// Counts restored files and bytes.
    pub meter: Meter,
}

impl Default for RestoreOptions {
    fn default() -> RestoreOptions {
        RestoreOptions { existing: Existing::Refuse, ownership: true, cancel: Cancel::new(), meter: Meter::new() }
    }
}

/// What to do with what stands in the target.
#[derive(Clone)]
pub enum Existing {
    /// The target must be absent or empty.
    Refuse,
    /// Entries that equal the tree's stay, others make way into `trash`.
    Replace {
        /// Where they go, under their relative paths; made when first needed. Best on the target's file system.
        trash: PathBuf,
        /// Says of a path relative to the target, and whether it is a directory, that it stays as it is.
        keep: Arc<dyn Fn(&Path, bool) -> bool + Send + Sync>,
    },
}

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Entries made or found equal: files, directories, links and the rest.
    pub files: u64,
    /// Bytes of file content written.
    pub bytes: u64,
    /// Files that stood there with the right content.
    pub unchanged: u64,
    /// Relative paths that were moved to the trash.
    pub trashed: Vec<PathBuf>,
    /// What could not be restored, entry by entry.
    pub problems: Vec<Problem>,
}

pub(crate) fn run(
    _vault: &Arc<crate::vault::Opened>,
    _tree: &crate::TreeId,
    _target: &Path,
    _options: RestoreOptions,
) -> Result<Restored, crate::Error> {
    Err(crate::Error::Refused("soon".into()))
}
