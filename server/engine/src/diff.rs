//! What is not the same in two sealed checkpoints, from the vault alone: nothing of the applications is asked, no server
//! is started, and nothing is written but below a scratch folder.
//!
//! | room | what it compares |
//! |---|---|
//! | `component` | one component of both, by its kind |
//! | `files`, `listing` | trees of files; the list of what differs, with renames and changed lines |
//! | `git` | refs, commits and the work tree of a repository |
//! | `config` | variables, by keyed fingerprints |
//! | `database`, `ledgers` | schema and rows |
//! | `file`, `text`, `words`, `syntax` | one file opened |
//!
//! Equal trees are equal ids and are never read. Everything that could be long has a limit that is told, and everything
//! that could take long has a deadline, whatever bytes it is given.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_model::{
    diff::{ComponentDiff, FileView, SizeDiff, Sizes, TableRows},
    manifest::{FORMAT, Manifest},
    name::Name,
    secret::Secret,
};
use holdfast_vault::{TreeId, Vault};

use crate::{context::Context, tools::Tools};

mod component;
mod config;
pub(crate) mod database;
mod error;
mod file;
mod files;
mod fingerprint;
mod git;
mod ledgers;
mod listing;
mod syntax;
mod text;
mod words;

use component::Both;
pub use error::DiffError;
pub use fingerprint::FingerprintKey;

/// One of the two checkpoints.
#[derive(Clone)]
pub struct End {
    /// Where it lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What to compare.
#[derive(Clone)]
pub struct DiffWork {
    /// What is compared with.
    pub first: End,
    /// What is compared.
    pub second: End,
    /// What fingerprints of values are made with.
    pub key: FingerprintKey,
    /// Whether rows that differ are counted too.
    pub rows: bool,
    /// How much, and how long.
    pub limits: DiffLimits,
    /// A folder of this work alone (0700), made and removed by the caller.
    pub scratch: PathBuf,
}

/// Bounds of one comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffLimits {
    /// Files, and commits, that are listed of one component.
    pub entries: usize,
    /// Bytes of one side of a text that is compared line by line.
    pub text: u64,
    /// How long one text may take; the changed lines of a whole listing may take four times as long.
    pub patience: Duration,
    /// Bytes of memory for rows.
    pub memory: u64,
}

impl Default for DiffLimits {
    fn default() -> Self {
        Self { entries: 10_000, text: 1 << 20, patience: Duration::from_millis(500), memory: 64 << 20 }
    }
}

/// What is not the same in two checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Differences {
    /// In the second one's order, then those that only the first one has.
    pub components: Vec<ComponentDiff>,
    /// Of the checkpoints as a whole.
    pub size: SizeDiff,
}

/// Compares two checkpoints. A component that cannot be compared is in the answer, with the reason.
///
/// # Errors
/// [`DiffError::Cancelled`], [`DiffError::Format`], and failures of a vault or of this host.
pub async fn diff(work: &DiffWork, tools: &Tools, ctx: &Context) -> Result<Differences, DiffError> {
    known(work)?;
    let (first, second) = (&work.first.manifest, &work.second.manifest);
    let mut components = Vec::new();
    for both in Both::all(work) {
        ctx.cancel.check().map_err(|_| DiffError::Cancelled)?;
        components.push(component::compare(work, &both, tools, ctx).await?);
    }
    let size = SizeDiff {
        logical: Sizes { before: first.total, after: second.total },
        stored: Sizes { before: first.stored, after: second.stored },
    };
    Ok(Differences { components, size })
}

/// Opens one file of a `files` or `git` component; `path` is relative to the component, in bytes as on disk.
///
/// # Errors
/// [`DiffError::NoSuchComponent`], [`DiffError::NoSuchFile`], and as [`diff`].
pub async fn file(
    work: &DiffWork,
    component: &Name,
    path: &Path,
    tools: &Tools,
    ctx: &Context,
) -> Result<FileView, DiffError> {
    known(work)?;
    file::open(work, &Both::named(work, component)?, path, tools, ctx).await
}

/// Opens one table: its rows that differ, at most `keep` of them, by key.
///
/// # Errors
/// [`DiffError::NoSuchComponent`], [`DiffError::NoSuchTable`], and as [`diff`].
pub async fn table(
    work: &DiffWork,
    component: &Name,
    schema: &str,
    table: &str,
    keep: usize,
    _tools: &Tools,
    ctx: &Context,
) -> Result<TableRows, DiffError> {
    known(work)?;
    let both = Both::named(work, component)?;
    let (Some(first), Some(second)) = (both.first, both.second) else {
        return Err(DiffError::NoSuchTable { table: format!("{schema}.{table}") });
    };
    database::table(&(&work.first, first), &(&work.second, second), schema, table, keep, work, ctx).await
}

/// The two values of one variable of a `config` component; none where it is not there.
///
/// # Errors
/// [`DiffError::NoSuchComponent`], and as [`diff`].
pub async fn reveal(
    work: &DiffWork,
    component: &Name,
    variable: &str,
) -> Result<(Option<Secret>, Option<Secret>), DiffError> {
    known(work)?;
    config::reveal(work, &Both::named(work, component)?, variable).await
}

fn known(work: &DiffWork) -> Result<(), DiffError> {
    let newest = work.first.manifest.format.max(work.second.manifest.format);
    if newest > FORMAT {
        return Err(DiffError::Format { found: newest, known: FORMAT });
    }
    Ok(())
}
