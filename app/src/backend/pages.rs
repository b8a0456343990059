//! What single pages need beyond the views of the REST API.

use holdfast_model::{
    event::Event,
    manifest::{Facts, ManifestComponent},
    name::Name,
    state::Kind,
    view::{CheckpointList, CheckpointView, EnvironmentView, RunView},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The page of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentPage {
    /// When it was read; ages are counted from here.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// The environment.
    pub environment: EnvironmentView,
    /// Its newest checkpoints, and totals over all.
    pub checkpoints: CheckpointList,
    /// Its newest runs, newest first.
    pub runs: Vec<RunView>,
    /// Whether somebody has confirmed to have the project's recovery kit.
    pub recovery_kit_confirmed: bool,
}

/// The page of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointPage {
    /// When it was read; ages are counted from here.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// The checkpoint.
    pub checkpoint: CheckpointView,
    /// The runs that made, drilled, verified or put it back, newest first.
    pub runs: Vec<RunView>,
    /// Why it must not be deleted; none if it may be.
    pub may_delete: Option<String>,
    /// What its manifest says of each component.
    pub components: Vec<ComponentFacts>,
}

/// What a manifest says of one component, without its ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentFacts {
    /// Its name.
    pub name: Name,
    /// Its kind.
    pub kind: Kind,
    /// The host that it was captured on.
    pub host: String,
    /// Its place in the checkpoint's tree: `files/uploads`.
    pub place: String,
    /// The instant that its content belongs to.
    #[serde(with = "time::serde::rfc3339")]
    pub instant: OffsetDateTime,
    /// Files, refs, variables or tables.
    pub items: u64,
    /// Facts by kind.
    pub facts: Facts,
}

impl From<&ManifestComponent> for ComponentFacts {
    fn from(component: &ManifestComponent) -> Self {
        Self {
            name: component.name.clone(),
            kind: component.kind,
            host: component.host.clone(),
            place: component.place.clone(),
            instant: component.instant,
            items: component.items,
            facts: component.facts.clone(),
        }
    }
}

/// The page of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunPage {
    /// When it was read; ages are counted from here.
    #[serde(with = "time::serde::rfc3339")]
    pub now: OffsetDateTime,
    /// The run.
    pub run: RunView,
    /// All its events that are kept, oldest first.
    pub events: Vec<Event>,
}
