//! What the REST API answers and the dashboard draws.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    drill::DrillReport,
    id::{CheckpointId, EnvironmentId, ProjectId, RunId},
    ledger::TableFacts,
    manifest::Skipped,
    name::Name,
    state::{ComponentType, Integrity, Kind, Proof, Protection, RunKind, RunState, Trigger, VaultRole},
};

mod browse;
mod catalogue;
mod overview;
mod subject;
mod tables;
mod vault;
pub use browse::{EntryView, FolderView};
pub use catalogue::{CatalogueCopied, CatalogueKit, MissingVault, Recovered};
pub use overview::{Attention, Overview, StoragePoint, StorageSeries};
pub use subject::{Subject, VaultRef};
pub use tables::{TableEntry, TablePage, TablesView};
pub use vault::{AddedVault, Adopted, AdoptedEnvironment, RecoveryKit, StartedCopy, Trial, VaultView};

/// Where an environment stands, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnvironmentRef {
    /// Its id.
    pub id: EnvironmentId,
    /// Its name.
    pub name: Name,
    /// Its project's name.
    pub project: Name,
}

/// `GET /v1/checkpoints/{id}`: the shape that `checkpoint show --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckpointView {
    /// Its id.
    pub id: CheckpointId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// The environment.
    pub environment: EnvironmentRef,
    /// The moment that its components were held.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Who or what asked for it.
    pub created_by: String,
    /// Sizes in bytes.
    pub size: SizeView,
    /// In the definition's order.
    pub components: Vec<ComponentSize>,
    /// The open map.
    pub metadata: BTreeMap<String, String>,
    /// Labels.
    pub tags: Vec<String>,
    /// What caused it.
    pub trigger: Trigger,
    /// The run that took it.
    pub run: RunId,
    /// Whether the bytes are as they were written.
    pub integrity: Integrity,
    /// When that was last found out.
    #[serde(with = "time::serde::rfc3339::option")]
    pub integrity_at: Option<OffsetDateTime>,
    /// The verdict of the newest drill.
    pub proof: Proof,
    /// What stands between it and deletion.
    pub protection: Protection,
    /// Until when its bucket keeps it locked.
    #[serde(with = "time::serde::rfc3339::option")]
    pub locked_until: Option<OffsetDateTime>,
    /// The newest drill's report.
    pub drill: Option<DrillView>,
    /// Per database component, per `schema.table`.
    pub ledger: BTreeMap<String, BTreeMap<String, TableFacts>>,
    /// What was meant to be captured and was not.
    pub skipped: Vec<Skipped>,
    /// What its kinds do not cover, and components that were left out.
    pub not_covered: Vec<String>,
    /// Milliseconds between the first and the last component's instant.
    pub skew_ms: u64,
    /// Where it lies.
    pub vault: CopyRef,
    /// Every copy of it, the primary vault's first.
    pub copies: Vec<CopyView>,
}

/// A drill as the API shows it: the report, and its checks as one flat list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DrillView {
    /// All checks of all components.
    pub checks: Vec<crate::drill::Check>,
    /// The report that they stand in.
    #[serde(flatten)]
    pub report: DrillReport,
}

impl From<DrillReport> for DrillView {
    fn from(report: DrillReport) -> Self {
        Self { checks: report.components.iter().flat_map(|c| c.checks.clone()).collect(), report }
    }
}

/// Sizes of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SizeView {
    /// Logical bytes.
    pub total: u64,
    /// Bytes that it added to its vault.
    pub stored: u64,
    /// `total` for people.
    pub display: String,
    /// Logical bytes by group: `containers`, `filesystem`, `database`, …
    pub breakdown: BTreeMap<String, u64>,
}

/// One component's sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComponentSize {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// Its type.
    #[serde(rename = "type")]
    pub component_type: ComponentType,
    /// Logical bytes.
    pub size: u64,
    /// Bytes that it added to the vault.
    pub stored: u64,
    /// Files, refs, variables or tables.
    pub items: u64,
}

/// Where a checkpoint lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CopyRef {
    /// The repository in restic's syntax.
    pub repository: String,
    /// The snapshot's id.
    pub snapshot: String,
}

/// One copy of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CopyView {
    /// The repository in restic's syntax.
    pub repository: String,
    /// What the vault is to the project.
    pub role: VaultRole,
    /// The snapshot's id there.
    pub snapshot: String,
    /// Whether its bytes are as they were written.
    pub integrity: Integrity,
    /// When that was last found out.
    #[serde(with = "time::serde::rfc3339::option")]
    pub integrity_at: Option<OffsetDateTime>,
}

/// One row of a list of checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckpointSummary {
    /// Its id.
    pub id: CheckpointId,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// The environment.
    pub environment: EnvironmentRef,
    /// The moment that its components were held.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Who or what asked for it.
    pub created_by: String,
    /// What caused it.
    pub trigger: Trigger,
    /// Labels.
    pub tags: Vec<String>,
    /// `git_commit` of its metadata.
    pub commit: Option<String>,
    /// Logical bytes.
    pub total: u64,
    /// Bytes that it added to its vault.
    pub stored: u64,
    /// The verdict of the newest drill.
    pub proof: Proof,
    /// Whether the bytes are as they were written.
    pub integrity: Integrity,
}

/// `GET /v1/checkpoints`: one page, with totals over all that match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckpointList {
    /// Newest first.
    pub items: Vec<CheckpointSummary>,
    /// How many match.
    pub count: u64,
    /// Their logical bytes.
    pub total: u64,
    /// Their stored bytes.
    pub stored: u64,
    /// `before` of the next page, where there is one.
    pub next: Option<CheckpointId>,
}

/// `GET /v1/runs`: one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunList {
    /// Newest first.
    pub items: Vec<RunView>,
    /// `before` of the next page, where there is one.
    pub next: Option<RunId>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// What it does.
    pub kind: RunKind,
    /// How far it is.
    pub state: RunState,
    /// What it works on: `environment` or `vault`.
    #[serde(flatten)]
    pub subject: Subject,
    /// The checkpoint that it made, drilled, verified or put back.
    pub checkpoint: Option<CheckpointId>,
    /// The run that it is a part of.
    pub parent: Option<RunId>,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When a worker took it up.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// Who or what asked for it.
    pub created_by: String,
    /// The reason of a failure or warning.
    pub message: Option<String>,
    /// For a create: whether its seal has happened.
    pub sealed: bool,
    /// For a create or drill: whether its gate is open; none while nothing has spoken.
    pub gate_open: Option<bool>,
    /// The sequence number of its newest event.
    pub last_event: u64,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProjectView {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
    /// Its environments' names.
    pub environments: Vec<Name>,
    /// Checkpoints that exist.
    pub checkpoints: u64,
    /// Logical bytes of all of them.
    pub total: u64,
    /// Bytes in its vaults.
    pub stored: u64,
    /// Whether somebody has confirmed to have its recovery kit.
    pub recovery_kit_confirmed: bool,
}

/// An environment with its components, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct EnvironmentView {
    /// Its id.
    pub id: EnvironmentId,
    /// Its name.
    pub name: Name,
    /// Its project's name.
    pub project: Name,
    /// Where the application answers, if the definition says so.
    pub address: Option<String>,
    /// What is captured.
    pub components: Vec<ComponentView>,
    /// Blocks of the definition that are stored but not acted upon.
    pub not_in_force: Vec<String>,
    /// The newest sealed checkpoint that is not a safety checkpoint.
    pub latest: Option<CheckpointSummary>,
    /// The newest proven checkpoint of which a copy is not known to be damaged.
    pub latest_proven: Option<CheckpointSummary>,
    /// How long its last drill took: the measured recovery time.
    pub recovery_ms: Option<u64>,
    /// Checkpoints that exist.
    pub checkpoints: u64,
    /// Logical bytes of all of them.
    pub total: u64,
    /// Bytes that they added to their vault.
    pub stored: u64,
    /// The run that is going or waiting.
    pub running: Option<RunView>,
    /// When it was last applied.
    #[serde(with = "time::serde::rfc3339")]
    pub applied_at: OffsetDateTime,
    /// Whether its definition came from a vault and waits for somebody who looks at it; nothing is captured or put
    /// back before.
    #[serde(default)]
    pub to_confirm: bool,
    /// Things to know about it: what `apply` found that will not stop a capture.
    pub warnings: Vec<String>,
}

impl EnvironmentView {
    /// Whether its newest checkpoint is proven, and not known to be damaged since.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.latest
            .as_ref()
            .is_some_and(|newest| newest.proof == Proof::Proven && newest.integrity != Integrity::Damaged)
    }
}

/// A component without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ComponentView {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// Its type.
    #[serde(rename = "type")]
    pub component_type: ComponentType,
    /// The host that it lives on.
    pub host: String,
    /// A path, or a database's address without its password.
    pub location: String,
    /// What is left out of it, said plainly.
    pub not_covered: Vec<String>,
    /// How it can be had back without a checkpoint.
    pub recoverable: Option<String>,
    /// Logical size in the newest checkpoints, oldest first.
    pub sizes: Vec<u64>,
}

/// One line of a component's log, or of the run's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// The run.
    pub run: RunId,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// How loud.
    pub level: crate::event::Level,
    /// The component, or `checkpoint-agent`.
    pub component: String,
    /// The line.
    pub message: String,
}

/// What somebody looks at before an environment's definition that came from a vault holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Confirmation {
    /// The environment.
    pub environment: EnvironmentView,
    /// The commands that a restore would run on this host.
    pub commands: Vec<Vec<String>>,
}
