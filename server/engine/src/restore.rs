//! Restore: everything is checked before anything is touched, and nothing is destroyed that no copy holds.

use std::{collections::BTreeSet, path::PathBuf};

use holdfast_model::{definition::Definition, id::RunId, manifest::Manifest, name::Name};
use holdfast_vault::{TreeId, Vault};

use crate::{context::Context, tools::Tools};

/// What to put back.
#[derive(Clone)]
pub struct RestoreWork {
    /// Where the checkpoint lies.
    pub vault: Vault,
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
    /// The environment as it is applied now: where things go.
    pub definition: Definition,
    /// The chosen components.
    pub components: Vec<Name>,
    /// This run; its id is in the names of everything that is kept.
    pub run: RunId,
    /// Never touched: Holdfast's data directory.
    pub forbidden: Vec<PathBuf>,
    /// Whether a safety checkpoint of the present state has been sealed.
    pub safety_sealed: bool,
    /// A folder of this run for temporary files; made and removed by the caller.
    pub scratch: PathBuf,
    /// Commands that may be run.
    pub allow: Allow,
}

/// Commands of a definition that the host's owner permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// Programs by absolute path or by name; `*` permits all.
    pub commands: BTreeSet<String>,
}

impl Allow {
    /// Every command: the host's own credential has applied the definition.
    #[must_use]
    pub fn all() -> Self {
        Self { commands: BTreeSet::from(["*".to_owned()]) }
    }

    /// Whether this argument list may be run.
    #[must_use]
    pub fn permits(&self, command: &[String]) -> bool {
        command.first().is_some_and(|program| self.commands.contains("*") || self.commands.contains(program))
    }
}

/// What was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Files made or found equal.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// What was kept of the state before, for people: `database shop_before_run_… (170 MB)`.
    pub kept: Vec<String>,
    /// Where the application answers, if the definition says so.
    pub address: Option<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// Things to know.
    pub warnings: Vec<String>,
}

/// Why a restore did not happen, or stopped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestoreError {
    /// Somebody said so; the message says what state the application is in.
    #[error("cancelled: {state}")]
    Cancelled {
        /// What was done and what was not.
        state: String,
    },
    /// Nothing was touched: each line names a place, what is wrong and the mend.
    #[error("the restore was refused, nothing was touched: {}", .0.join("; "))]
    Refused(Vec<String>),
    /// A step failed; it can be run again.
    #[error("step `{step}` failed: {message}. {state}")]
    Step {
        /// `restore:databases`, …
        step: String,
        /// What happened.
        message: String,
        /// What state the application is in.
        state: String,
    },
}

/// A restore of which everything has been checked; nothing has been touched yet.
pub struct Validated {
    lose: Vec<String>,
}

/// Checks everything that can be checked without touching anything.
///
/// # Errors
/// [`RestoreError::Refused`] with everything that was found.
pub async fn validate(work: RestoreWork, tools: &Tools, ctx: &Context) -> Result<Validated, RestoreError> {
    let _ = (work, tools, ctx);
    Err(RestoreError::Refused(Vec::new()))
}

impl Validated {
    /// What of the present state no copy would hold without a safety checkpoint, for people.
    #[must_use]
    pub fn would_lose(&self) -> Vec<String> {
        self.lose.clone()
    }

    /// Puts everything back.
    ///
    /// # Errors
    /// [`RestoreError::Step`] names the step and says what state the application is in.
    pub async fn carry_out(self, ctx: &Context) -> Result<RestoreReport, RestoreError> {
        let _ = ctx;
        Err(RestoreError::Cancelled { state: String::new() })
    }
}
