//! What may be asked of Holdfast: each action checks its input and the caller, makes one call, and answers with a
//! view. REST and dashboard both come through here, so neither can do what the other may not.

use std::sync::Arc;

use holdfast_engine::Tools;
use tokio::sync::broadcast;

use crate::{
    auth::{Caller, owner},
    compare::Comparisons,
    config::Settings,
    jobs::Desk,
    keys::ServerKey,
    store::{Live, Store},
    tables::Looks,
};

mod access;
mod adopt;
mod audit;
mod backend;
mod browse;
mod catalogue;
mod checkpoints;
mod clone;
mod compare;
mod definition;
mod environments;
mod error;
mod export;
mod gate;
mod import;
mod keys;
mod members;
mod request;
mod restore;
mod runs;
mod scope;
mod sessions;
mod tables;
mod vaults;

pub use audit::ListAudit;
pub use backend::CallerBackend;
pub use browse::PlaceQuery;
pub use checkpoints::ListCheckpoints;
pub use compare::{DiffQuery, TableQuery, ValueQuery};
pub use environments::Apply;
pub use error::ActionError;
pub use export::{ExportFormat, ExportQuery};
pub use gate::Patience;
pub(crate) use keys::comes_from;
pub use runs::ListRuns;
pub(crate) use scope::refusal;
pub use tables::{RowsQuery, TablesQuery};

/// The actions, with all that they need. Cheap to clone.
#[derive(Clone)]
pub struct Actions {
    parts: Arc<Parts>,
    store: Store,
    caller: Arc<Caller>,
    /// The `Idempotency-Key` of the request that they are for.
    once: Option<Arc<str>>,
}

struct Parts {
    desk: Desk,
    key: ServerKey,
    tools: Arc<Tools>,
    settings: Settings,
    comparisons: Comparisons,
    looks: Looks,
}

impl Actions {
    /// Puts the parts together, for the owner of this host.
    #[must_use]
    pub fn new(desk: Desk, key: ServerKey, tools: Arc<Tools>, settings: Settings) -> Self {
        let store = desk.store().clone();
        let (comparisons, looks) = (Comparisons::default(), Looks::default());
        Self {
            parts: Arc::new(Parts { desk, key, tools, settings, comparisons, looks }),
            store,
            caller: Arc::new(Caller::host(owner())),
            once: None,
        }
    }

    /// The settings of this server.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.parts.settings
    }

    /// The programs of this host.
    #[must_use]
    pub fn tools(&self) -> &Tools {
        &self.parts.tools
    }

    /// Every event that is stored from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<(holdfast_model::id::RunId, holdfast_model::event::Event)> {
        Live::subscribe(self.parts.desk.live())
    }
}
