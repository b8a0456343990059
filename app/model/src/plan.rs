//! What a restore would do, found without touching anything: the dry run as a value.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{id::CheckpointId, name::Name, state::Kind, table::TableReport, view::EnvironmentRef};

/// Most names that stand beside a count.
pub const FIRST: usize = 10;

/// `POST /v1/checkpoints/{id}/restore/plan`: everything that the same request to `…/restore` would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RestorePlan {
    /// What would be put back.
    pub checkpoint: CheckpointId,
    /// The moment that it holds.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Where it would go.
    pub target: PlanTarget,
    /// Component by component, in the checkpoint's order. One that is refused may be missing.
    pub items: Vec<PlanItem>,
    /// Why it would not be done, a sentence each with its mend. Empty: it would be tried.
    pub refused: Vec<String>,
    /// Things to know.
    pub warnings: Vec<String>,
    /// What no checkpoint would hold were none taken before; empty where nothing would be lost.
    pub would_lose: Vec<String>,
    /// Whether a safety checkpoint would be taken first.
    pub safety: bool,
    /// Every step, in order.
    pub steps: Vec<PlanStep>,
    /// File system by file system.
    pub space: Vec<PlanSpace>,
    /// How long it is expected to take, in milliseconds; none where nothing was measured yet.
    pub expected_ms: Option<u64>,
    /// What that was measured by: `the last drill of this checkpoint`, …
    pub expected_from: Option<String>,
}

/// Where a restore goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum PlanTarget {
    /// To the places of an environment.
    Environment {
        /// The environment; its id is that of zeros where it would be made.
        environment: EnvironmentRef,
        /// Whether the checkpoint was taken of it.
        own: bool,
        /// Whether it does not exist yet and would be made.
        new: bool,
    },
    /// Into a folder of the server's host.
    Folder {
        /// Its path.
        path: String,
    },
    /// Into a database, by an address without its password.
    Database {
        /// `user@host:port/name`.
        address: String,
    },
}

/// What would happen to one component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanItem {
    /// The component.
    pub component: Name,
    /// Its kind.
    pub kind: Kind,
    /// A path, or a database's address without its password.
    pub place: String,
    /// What would be done there, a sentence each.
    pub does: Vec<String>,
    /// What `made`, `changed`, `removed` and `kept` count: `files`, `refs`, `variables`, `databases`, `tables`.
    pub unit: String,
    /// What is not there and would be made.
    pub made: Listed,
    /// What is there and would be replaced; what it was is kept.
    pub changed: Listed,
    /// What is there, is not in the checkpoint, and would be moved out of the way; it is kept.
    pub removed: Listed,
    /// What is there and would stay, although the checkpoint does not have it.
    pub kept: Listed,
    /// What is there and already as the checkpoint has it.
    pub same: u64,
    /// What the patterns of the request match in the checkpoint; none without patterns.
    pub matched: Option<Listed>,
    /// Table by table, where only some are put back: what they were and what they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableReport>,
    /// Bytes that would be written.
    pub bytes: u64,
    /// Where what makes way is kept.
    pub keeps: Option<String>,
    /// Servers and programs with their versions, where the kind has any.
    pub versions: Vec<String>,
    /// What the server's user may and may not do there.
    pub permissions: Vec<String>,
}

/// A count, and the first names behind it ([`FIRST`] at most); bytes that are not UTF-8 are shown as `\xNN`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Listed {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Listed {
    /// Counts one more; its name is asked for only while names are kept.
    pub fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < FIRST {
            self.first.push(name());
        }
    }

    /// A list of names, counted.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        let mut listed = Self::default();
        for name in names {
            listed.add(|| name);
        }
        listed
    }

    /// Whether nothing was counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// One step that would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanStep {
    /// As in the run's events: `restore:files`.
    pub step: String,
    /// For people.
    pub title: String,
    /// Why it would not be needed; none where it runs.
    pub skipped: Option<String>,
}

/// Room on one file system of the server's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlanSpace {
    /// The first place on it that would be written to.
    pub place: String,
    /// Bytes that would be written there; what is there stays beside it.
    pub needed: u64,
    /// Bytes that are free there.
    pub free: u64,
}
