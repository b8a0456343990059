//! Values that go into the catalogue and come out of it.

use holdfast_model::{
    id::{CheckpointId, EnvironmentId, ProjectId, RunId, VaultId},
    manifest::Manifest,
    name::Name,
    state::{Integrity, Kind, Proof, Protection, RunKind, RunState, Trigger, VaultRole},
    view::{EnvironmentRef, RunView},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// An environment as it is applied.
#[derive(Debug)]
pub struct AppliedDefinition {
    /// The project; made when it does not exist.
    pub project: Name,
    /// The environment; made when it does not exist.
    pub environment: Name,
    /// The definition as JSON with absolute paths, secrets included: wrapped before it is stored, sealed as
    /// `environment.json`.
    pub raw: Zeroizing<Vec<u8>>,
    /// What may be shown of it.
    pub view: AppliedView,
}

/// What may be shown of a definition: nothing here is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedView {
    /// Where the application answers.
    pub address: Option<String>,
    /// In the definition's order.
    pub components: Vec<AppliedComponent>,
    /// Blocks that are stored but not acted upon.
    pub not_in_force: Vec<String>,
    /// What `apply` found that will not stop a capture.
    pub warnings: Vec<String>,
}

/// What may be shown of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedComponent {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// The host that it lives on.
    pub host: String,
    /// A path, or a database's address without its password.
    pub location: String,
    /// What is left out of it, said plainly.
    pub not_covered: Vec<String>,
    /// How it can be had back without a checkpoint.
    pub recoverable: Option<String>,
}

/// An environment.
#[derive(Debug, Clone)]
pub struct EnvironmentRow {
    /// Its id.
    pub id: EnvironmentId,
    /// Its name.
    pub name: Name,
    /// Its project.
    pub project: Name,
    /// Its project's id.
    pub project_id: ProjectId,
    /// What may be shown of its definition.
    pub view: AppliedView,
    /// When it was last applied.
    pub applied_at: OffsetDateTime,
    /// By whom.
    pub applied_by: String,
    /// Whether it came from a vault and nobody has looked at it yet.
    pub to_confirm: bool,
}

impl EnvironmentRow {
    /// Where it stands, by name.
    #[must_use]
    pub fn reference(&self) -> EnvironmentRef {
        EnvironmentRef { id: self.id.clone(), name: self.name.clone(), project: self.project.clone() }
    }
}

/// A project.
#[derive(Debug, Clone)]
pub struct ProjectRow {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: Name,
}

/// A run to be queued.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// What it does.
    pub kind: RunKind,
    /// What it works on.
    pub on: On,
    /// The checkpoint that it drills, verifies or puts back; a create makes its own.
    pub checkpoint: Option<CheckpointId>,
    /// The request as it was asked, as JSON, or null.
    pub request: serde_json::Value,
    /// Who or what asked for it.
    pub created_by: String,
    /// What caused it.
    pub trigger: Trigger,
    /// Where a schedule asks: one run for each of these names, however many servers there are.
    pub slot: Option<String>,
}

/// What a new run works on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// An environment.
    Environment(EnvironmentId),
    /// A vault as a whole.
    Vault(VaultId),
}

impl On {
    /// Its id as text.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Environment(id) => id.as_str(),
            Self::Vault(id) => id.as_str(),
        }
    }

    /// The environment, if it is one.
    #[must_use]
    pub const fn environment(&self) -> Option<&EnvironmentId> {
        match self {
            Self::Environment(id) => Some(id),
            Self::Vault(_) => None,
        }
    }

    /// The vault, if it is one.
    #[must_use]
    pub const fn vault(&self) -> Option<&VaultId> {
        match self {
            Self::Environment(_) => None,
            Self::Vault(id) => Some(id),
        }
    }
}

/// Who takes up a run: so that what takes hours in a vault never keeps a checkpoint waiting for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Runs of environments.
    Environments,
    /// Runs of vaults.
    Vaults,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// What the API shows of it.
    pub view: RunView,
    /// The request as it was asked.
    pub request: serde_json::Value,
    /// What caused it.
    pub trigger: Trigger,
    /// How often it was taken up.
    pub attempt: u32,
    /// Whether somebody asked that it ends.
    pub cancel_requested: bool,
    /// How often it must still wait, in microseconds since 1970; 0 when it need not.
    pub not_before: i64,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only of this checkpoint.
    pub checkpoint: Option<CheckpointId>,
    /// Only in one of these states; all when empty.
    pub states: Vec<RunState>,
    /// Only older than this run.
    pub before: Option<RunId>,
    /// At most so many, newest first; 50 when none.
    pub limit: Option<u32>,
}

/// A worker's hold on a run. Whatever it publishes is refused once the fence has gone up.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The run.
    pub run: RunRow,
    /// The fencing token.
    pub fence: i64,
    /// Which attempt this is, from 1.
    pub attempt: u32,
}

impl Claim {
    /// The run's id.
    #[must_use]
    pub const fn id(&self) -> &RunId {
        &self.run.view.id
    }
}

/// What a heartbeat brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Whether somebody asked that the run ends.
    pub cancel_requested: bool,
}

/// A sealed checkpoint on its way into the catalogue.
#[derive(Debug, Clone)]
pub struct Publication {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The exact text of `manifest.json`.
    pub text: String,
    /// The vault that holds it.
    pub vault: VaultId,
    /// Its snapshot there, 64 hexadecimal characters.
    pub snapshot: String,
    /// The snapshot's root tree.
    pub tree: String,
}

/// A checkpoint.
#[derive(Debug, Clone)]
pub struct CheckpointRow {
    /// Its id.
    pub id: CheckpointId,
    /// Where it belongs.
    pub environment: EnvironmentRef,
    /// The run that took it.
    pub run: RunId,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// What caused it.
    pub trigger: Trigger,
    /// Who or what asked for it.
    pub created_by: String,
    /// The moment that its components were held.
    pub created_at: OffsetDateTime,
    /// Logical bytes.
    pub total: u64,
    /// Bytes that it added to its vault.
    pub stored: u64,
    /// `git_commit` of its metadata.
    pub commit: Option<String>,
    /// The verdict of the newest drill.
    pub proof: Proof,
    /// Whether the bytes are as they were written.
    pub integrity: Integrity,
    /// When that was last found out.
    pub integrity_at: Option<OffsetDateTime>,
    /// What stands between it and deletion.
    pub protection: Protection,
    /// Until when its bucket keeps it locked.
    pub locked_until: Option<OffsetDateTime>,
    /// The vault that holds it.
    pub vault: VaultId,
    /// Its snapshot there.
    pub snapshot: String,
    /// The snapshot's root tree.
    pub tree: String,
    /// Its tags now.
    pub tags: Vec<String>,
}

/// Which checkpoints are wanted.
#[derive(Debug, Clone, Default)]
pub struct CheckpointFilter {
    /// Only of this environment.
    pub environment: Option<EnvironmentId>,
    /// Only with this tag.
    pub tag: Option<String>,
    /// Only held at or after this moment.
    pub since: Option<OffsetDateTime>,
    /// At most so many, newest first; 20 when none. The totals are over all that match.
    pub limit: Option<u32>,
    /// Only older than this one.
    pub before: Option<CheckpointId>,
}

/// A vault.
#[derive(Debug, Clone)]
pub struct VaultRow {
    /// Its id.
    pub id: VaultId,
    /// The project that owns it.
    pub project: ProjectId,
    /// What it is to its project.
    pub role: VaultRole,
    /// Where it is: restic's own syntax.
    pub location: String,
    /// Its password, wrapped by the server key for `vault:<id>`.
    pub password: String,
    /// The way into its bucket, wrapped for `vault-access:<id>`; none for a folder.
    pub access: Option<String>,
    /// Bytes in it.
    pub stored: u64,
    /// Bytes that its storage has room for, where it could say so.
    pub free: Option<u64>,
    /// When it was last checked.
    pub checked_at: Option<OffsetDateTime>,
    /// Damaged places that the newest check found.
    pub damaged: u64,
    /// Whether its repository was made completely.
    pub ready: bool,
    /// Whether somebody confirmed to have its recovery kit.
    pub kit_confirmed: bool,
}

/// What a check of a vault found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Damaged places.
    pub damaged: u64,
    /// Which share of the data comes next, where this one read a share.
    pub next_part: Option<u32>,
}

/// The secrets of a vault that is about to be kept, wrapped by the server key.
#[derive(Debug, Clone)]
pub struct NewVault {
    /// Its password.
    pub password: String,
    /// The way into its bucket.
    pub access: Option<String>,
}
