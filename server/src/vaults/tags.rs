//! The tags by which snapshots are known in any vault. A tag is identity; a snapshot's own id is not, for a copy in
//! another vault has another one.

use holdfast_model::id::CheckpointId;
use holdfast_vault::Snapshot;

/// Every checkpoint's snapshot has this tag, and nothing else has.
pub(crate) const OURS: &str = "holdfast";
/// Snapshots of facts have this tag and no other: nobody takes one for a checkpoint.
pub(crate) const FACTS: &str = "holdfast:facts";
/// Copies of the catalogue have this tag and that of their key: they are neither checkpoints nor facts.
pub(crate) const CATALOGUE: &str = "holdfast:catalogue";
const KEY: &str = "holdfast-key:";
const ATTEMPT: &str = "holdfast-attempt:";

/// The tag of one checkpoint.
pub(crate) fn checkpoint(id: &CheckpointId) -> String {
    format!("{OURS}:{id}")
}

/// The tag of the attempt that sealed it.
pub(crate) fn attempt(number: u32) -> String {
    format!("{ATTEMPT}{number}")
}

/// The tag of the server key that a copy of the catalogue belongs to.
pub(crate) fn key(mark: &str) -> String {
    format!("{KEY}{mark}")
}

/// The checkpoint that a snapshot says it is.
pub(crate) fn checkpoint_of(snapshot: &Snapshot) -> Option<CheckpointId> {
    snapshot.tags.iter().find_map(|tag| tag.strip_prefix(OURS)?.strip_prefix(':')?.parse().ok())
}

/// The attempt that a snapshot says it comes from; the last where it says nothing.
pub(crate) fn attempt_of(snapshot: &Snapshot) -> u32 {
    snapshot.tags.iter().find_map(|tag| tag.strip_prefix(ATTEMPT)?.parse().ok()).unwrap_or(u32::MAX)
}
