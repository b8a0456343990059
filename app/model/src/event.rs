//! What a run tells while it works. Stored with a sequence number first, streamed second.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{drill::Check, state::RunState};

/// One event of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Event {
    /// From 1, without gaps, per run; the id of the stream.
    pub sequence: u64,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The run changed its state. A final state is the last event of a run.
    State {
        /// The new state.
        state: RunState,
        /// The reason, for people.
        message: Option<String>,
    },
    /// A step began or ended.
    Step {
        /// Stable within the run: `hold`, `capture:uploads`, `seal`, `drill:postgres`, `restore:stop`, …
        step: String,
        /// For people: `Database state captured`.
        title: String,
        /// How it stands.
        state: StepState,
        /// The component it belongs to.
        component: Option<String>,
        /// A size, a count, or the reason of a failure.
        detail: Option<String>,
    },
    /// How far a step is; sent a few times a second at most, and not kept once a later one of the same step exists.
    Progress {
        /// The step.
        step: String,
        /// The component.
        component: Option<String>,
        /// Files (or objects) done.
        files: u64,
        /// Bytes done.
        bytes: u64,
        /// Bytes expected, where known.
        total: Option<u64>,
        /// Bytes that the vault had to store.
        stored: u64,
        /// Tables done.
        tables: u64,
        /// What is being worked on.
        current: Option<String>,
    },
    /// A drill compared something.
    Check {
        /// What, and with which result.
        check: Check,
    },
    /// A line for the log.
    Log {
        /// `info`, `warning` or `error`.
        level: Level,
        /// The component; none is the run's own log, `checkpoint-agent`.
        component: Option<String>,
        /// The line.
        message: String,
    },
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It began.
    Started,
    /// It ended well.
    Done,
    /// It ended badly.
    Failed,
    /// It was not needed, or was switched off; `detail` says which.
    Skipped,
}

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// To be read at leisure.
    Info,
    /// To be read.
    Warning,
    /// The reason of a failure.
    Error,
}
