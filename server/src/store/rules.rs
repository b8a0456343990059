//! The one place that decides whether a checkpoint may be deleted; retention asks the same one.

use holdfast_model::{id::RunId, state::Protection};
use time::OffsetDateTime;

use super::CheckpointRow;

fn date(at: &OffsetDateTime) -> String {
    format!("{} {:02}:{:02} UTC", at.date(), at.hour(), at.minute())
}

/// Why a checkpoint may not be deleted; each text says what would change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A policy preserves one of its tags.
    #[error("it is protected by a tag; take the tag off first")]
    Tagged,
    /// Its bucket keeps it.
    #[error("its bucket keeps it locked until {}", date(.0))]
    LockedUntil(OffsetDateTime),
    /// Somebody locked it.
    #[error("it is locked; unlock it first")]
    Locked,
    /// Without it nothing proven would be left.
    #[error("it is the newest proven checkpoint of its environment; take and prove another one first")]
    NewestProven,
    /// A run reads it.
    #[error("run {0} is using it; wait until it has ended, or cancel it")]
    InUse(RunId),
}

/// What the catalogue knows around a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it is the newest proven checkpoint of its environment.
    pub newest_proven: bool,
    /// A run that is queued or running on it.
    pub in_use: Option<RunId>,
}

/// Whether a checkpoint may be deleted.
///
/// # Errors
/// The reason why not.
pub fn may_delete(checkpoint: &CheckpointRow, standing: &Standing) -> Result<(), Refusal> {
    match checkpoint.protection {
        Protection::Locked => {
            return Err(checkpoint.locked_until.map_or(Refusal::Locked, Refusal::LockedUntil));
        }
        Protection::Tagged => return Err(Refusal::Tagged),
        Protection::None => {}
    }
    if standing.newest_proven {
        return Err(Refusal::NewestProven);
    }
    standing.in_use.as_ref().map_or(Ok(()), |run| Err(Refusal::InUse(run.clone())))
}
