//! The first page: one sentence, numbers, lists.

use serde::{Deserialize, Serialize};
use time::{Date, OffsetDateTime};

use super::{CheckpointSummary, EnvironmentView, RunView};
use crate::name::Name;

/// Everything that the first page says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When it was read; ages are counted from here, so that server and browser draw the same.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// Every environment.
    pub environments: Vec<EnvironmentView>,
    /// Environments whose newest checkpoint is proven.
    pub proven: u64,
    /// The environment whose newest proof is the oldest, and that proof's time.
    pub oldest_proof: Option<(Name, OffsetDateTime)>,
    /// Logical bytes of all checkpoints: what would be stored without deduplication.
    pub total: u64,
    /// Bytes in all vaults.
    pub stored: u64,
    /// Stored bytes per project by day.
    pub storage: Vec<StorageSeries>,
    /// What needs a person, most urgent first.
    pub attention: Vec<Attention>,
    /// Runs that are going or waiting.
    pub running: Vec<RunView>,
    /// The newest checkpoints of all environments.
    pub last: Vec<CheckpointSummary>,
}

/// One project's storage over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StorageSeries {
    /// The project.
    pub project: Name,
    /// One sample a day, oldest first.
    pub points: Vec<StoragePoint>,
}

/// One day's sample.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoragePoint {
    /// The day, UTC.
    pub day: Date,
    /// Bytes stored.
    pub stored: u64,
    /// Logical bytes.
    pub total: u64,
}

/// Something that needs a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attention {
    /// What is the case, and why it matters.
    pub message: String,
    /// The one action that mends it, in words.
    pub action: String,
    /// Where that action is: a path of the dashboard.
    pub href: String,
    /// Whether something is wrong (as against: not yet right).
    pub urgent: bool,
}
