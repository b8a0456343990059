//! The drill: a sealed checkpoint is restored into scratch space and compared with what was sealed.

use std::{collections::HashSet, path::PathBuf};

use holdfast_model::{definition::DrillPlan, drill::DrillReport, manifest::Manifest};
use holdfast_vault::{PackId, TreeId, Vault};

use crate::{context::Context, tools::Tools};

mod accept;
pub use accept::Accept;

/// What to drill.
#[derive(Clone)]
pub struct DrillWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// Smoke checks and accepted gaps.
    pub plan: DrillPlan,
    /// A folder of this run for throwaway copies; made and removed by the caller.
    pub scratch: PathBuf,
    /// Packs that were read whole and found sound recently enough.
    pub fresh_packs: HashSet<PackId>,
    /// How long the last drill of this environment took, in milliseconds.
    pub expected_ms: Option<u64>,
}

/// What a drill found.
#[derive(Debug, Clone)]
pub struct Drilled {
    /// The report with its verdict; `failed` for a broken copy.
    pub report: DrillReport,
    /// Packs that were read whole and found sound in this drill.
    pub packs_read: Vec<PackId>,
}

/// Why a drill could not be carried out at all; the verdict stays what it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DrillError {
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// There is not enough room for the throwaway copies: free some, or give the scratch folder a bigger disk.
    #[error("the drill needs about {needed} in {place} and {free} are free; free some space and run it again")]
    NoScratchSpace {
        /// The scratch folder.
        place: String,
        /// For people.
        needed: String,
        /// For people.
        free: String,
    },
    /// The manifest is of a newer format than this version reads: use a newer Holdfast.
    #[error("the manifest has format {found}; this version reads up to {known}")]
    Format {
        /// What it says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// The host failed, not the copy: scratch folder not writable, a program that could not be started.
    #[error("{0}")]
    Host(String),
    /// The vault could not be reached or is locked.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
}

/// Restores a sealed checkpoint into scratch space and compares it with its manifest.
///
/// # Errors
/// Only when the drill could not be carried out; a broken copy is a report that says `failed`.
pub async fn drill(work: DrillWork, tools: &Tools, ctx: &Context) -> Result<Drilled, DrillError> {
    let _ = (work, tools, ctx);
    Err(DrillError::Cancelled)
}

/// Milliseconds since `begun`.
pub(crate) fn elapsed(begun: std::time::Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
