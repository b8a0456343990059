//! Making a damaged vault whole again, as far as what is left allows.
//!
//! First the index is made anew from the packs' own headers; the new files are durable before the old ones go. Packs
//! that are damaged are left out of it, once what is sound in them has been copied. Then each snapshot is held against
//! that index. What lacks something is listed, and only if the caller asks for it replaced or forgotten. No pack is ever
//! removed: what the index does not name any more, a prune takes away after its grace.

mod packs;
mod snapshots;

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::FileKind;
use crate::check::{Findings, Layout};
use crate::index::IndexJson;
use crate::lock::Lock;
use crate::{Cancel, Error, Meter, Problem, SnapshotId, Vault};

/// What becomes of snapshots that lack something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Broken {
    /// They are listed and stay as they are.
    #[default]
    List,
    /// A new snapshot without the broken entries takes the place of each, tagged `repaired`, as stock restic does.
    /// One of which nothing can be read stays.
    Replace,
    /// They are forgotten.
    Forget,
}

/// How a repair works.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairOptions {
    /// Read every pack whole, so that damage inside of blobs is found too; else only the headers are read.
    pub read_data: bool,
    /// Take a pack for lost that the storage cannot read (a bad sector). Else such a failure ends the repair, because
    /// a storage that is only away for a moment must not make snapshots look broken.
    pub unreadable_is_lost: bool,
    /// What becomes of broken snapshots.
    pub broken: Broken,
}

/// What a repair found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Packs that the new index names.
    pub packs: u64,
    /// Blobs in these.
    pub blobs: u64,
    /// Packs that are damaged, each with what is wrong; the index does not name them any more, and they stay.
    pub bad_packs: Vec<Problem>,
    /// Blobs of bad packs that were found sound and copied into new ones.
    pub blobs_saved: u64,
    /// Index files that could not be read.
    pub bad_index_files: Vec<Problem>,
    /// Index files written.
    pub index_written: u64,
    /// Index files removed, because the new ones say it all.
    pub index_removed: u64,
    /// Snapshots that lack something.
    pub snapshots: Vec<BrokenSnapshot>,
}

/// A snapshot that lacks something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenSnapshot {
    /// Its name.
    pub id: SnapshotId,
    /// What is wrong with it, or missing.
    pub problems: Vec<Problem>,
    /// What was done about it.
    pub mended: Mended,
}

/// What was done about a broken snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mended {
    /// Nothing; the caller did not ask for it.
    Listed,
    /// Nothing; nothing of it can be read.
    Hopeless,
    /// It was replaced.
    Replaced {
        /// By this one.
        by: SnapshotId,
        /// The paths that are missing there, sorted.
        dropped: Vec<PathBuf>,
    },
    /// It was removed.
    Forgotten,
}

impl Vault {
    /// Makes the index anew from the packs, and deals with snapshots that lack something. It holds the exclusive lock.
    ///
    /// A vault whose index cannot be read is opened by [`Vault::open_for_repair`].
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::Cancelled`] and failures of the backend. It may be run again after any of them.
    pub fn repair(&self, options: &RepairOptions, cancel: &Cancel, meter: &Meter) -> Result<RepairReport, Error> {
        let vault = &self.0;
        let lock = Arc::new(Lock::take(vault, true)?);
        let mut report = RepairReport::default();

        let old = vault.backend.list(FileKind::Index)?;
        let findings = Findings::new(vault, cancel, meter);
        let layout = Layout::load(&findings)?;
        packs::refuse_short_list(vault, &layout)?;
        report.bad_index_files = findings.into_problems();
        packs::rebuild(vault, &layout, &lock, options, cancel, meter, &mut report)?;
        lock.still_held()?;
        for (name, _) in &old {
            vault.backend.withdraw(FileKind::Index, name)?;
            report.index_removed += 1;
        }
        {
            let _turn = vault.reload_turn();
            vault.reload_index()?;
        }
        snapshots::mend(vault, &lock, options.broken, cancel, meter, &mut report)?;
        Ok(report)
    }
}

/// Puts entries into index files of the usual size.
#[derive(Default)]
struct Shelf {
    file: IndexJson,
    written: u64,
    packs: u64,
    blobs: u64,
}

impl Shelf {
    fn add(&mut self, vault: &crate::vault::Opened, entry: crate::index::PackJson) -> Result<(), Error> {
        if !self.file.is_empty() && self.file.blobs() + entry.blobs.len() > crate::index::FILE_BLOBS {
            self.flush(vault)?;
        }
        self.packs += 1;
        self.blobs += entry.blobs.len() as u64;
        self.file.packs.push(entry);
        Ok(())
    }

    fn flush(&mut self, vault: &crate::vault::Opened) -> Result<(), Error> {
        if !self.file.is_empty() {
            vault.save(FileKind::Index, &self.file)?;
            self.file = IndexJson::default();
            self.written += 1;
        }
        Ok(())
    }
}
