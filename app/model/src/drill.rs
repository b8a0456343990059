//! What a drill did and found.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    name::Name,
    state::{Kind, Proof},
};

/// The report of one drill; stored as it is, and downloadable as evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DrillReport {
    /// The worst of the components' verdicts; `proven` only if every one is.
    pub verdict: Proof,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// How long it took: the measured recovery time.
    pub duration_ms: u64,
    /// How the throwaway server was kept apart, for people; none where no server was needed.
    pub sandbox: Option<String>,
    /// In the manifest's order.
    pub components: Vec<ComponentDrill>,
    /// Bytes that were read from the vault in this drill to hash them.
    pub bytes_read: u64,
    /// Bytes that had been read back and hashed recently enough, and were not read again.
    pub bytes_read_earlier: u64,
    /// One sentence that names the worst finding; none when all is proven.
    pub reason: Option<String>,
}

/// One component's part of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComponentDrill {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// Its verdict.
    pub verdict: Proof,
    /// What it was restored into: `PostgreSQL 15.20`, `SQLite 3.51`, …
    pub engine: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// What was compared.
    pub checks: Vec<Check>,
    /// What could not be compared.
    pub gaps: Vec<Gap>,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Check {
    /// The component, so that a list of checks stands on its own.
    pub component: String,
    /// What was compared: `rows public.orders`, `sequence public.orders_id_seq`, `fsck`, …
    pub name: String,
    /// Whether it was equal.
    pub passed: bool,
    /// What was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What was found in the restored copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// A sentence where it was not equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// Something named that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Gap {
    /// The component.
    pub component: String,
    /// `path`, `extension`, `component` or `object`.
    pub kind: String,
    /// The path, the extension, …
    pub name: String,
    /// Why.
    pub reason: String,
    /// Whether the environment accepts it; accepted gaps do not lower the verdict.
    pub accepted: bool,
}

impl ComponentDrill {
    /// The verdict that follows from checks and gaps; the only place that decides it.
    #[must_use]
    pub fn judge(checks: &[Check], gaps: &[Gap]) -> Proof {
        let open_gap = gaps.iter().any(|gap| !gap.accepted);
        if checks.iter().any(|check| !check.passed) {
            Proof::Failed
        } else if checks.is_empty() && !open_gap && gaps.is_empty() {
            Proof::Unproven
        } else if open_gap {
            Proof::Partial
        } else {
            Proof::Proven
        }
    }
}
