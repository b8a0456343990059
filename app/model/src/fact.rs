//! What became true of a checkpoint after its seal. Each fact is appended to the checkpoint's vaults, so that the
//! catalogue can be rebuilt from them; read again, the same fact twice is one fact.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    drill::DrillReport,
    id::{CheckpointId, FactId, RunId},
};

/// The version of the format of [`Fact`] that is written.
pub const FORMAT: u32 = 1;

/// One fact, as it stands in `facts/<id>.json` of a snapshot of facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Fact {
    /// The format's version: [`FORMAT`].
    pub format: u32,
    /// Its identity; sorts by the time at which it became true.
    pub id: FactId,
    /// Of which checkpoint it is true.
    pub checkpoint: CheckpointId,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Through whom.
    pub by: String,
    /// What is true.
    pub fact: FactBody,
}

/// What can become true of a sealed checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FactBody {
    /// It was drilled.
    Drill {
        /// The run that drilled it.
        run: RunId,
        /// What was found.
        report: Box<DrillReport>,
    },
    /// It was deleted; its snapshot is forgotten.
    Deleted,
}
