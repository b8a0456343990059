//! The catalogue: what exists, what was asked, what happened, and who did it.
//!
//! One set of SQL serves SQLite and PostgreSQL (`bigint` and `text` only; times are microseconds since 1970, UTC;
//! JSON is text; booleans are 0 and 1). SQL is in lower case beside the function that needs it. Everything that
//! changes something happens in one [`write::Write`]: its audit row, its events and the change itself become true
//! together, and only then are the events sent to [`Live`].

use std::{path::PathBuf, sync::Arc};

use holdfast_model::{access::Access, id::RunId};
use sqlx::{Any, Pool};
use tokio::sync::{Mutex, Notify, broadcast};

mod access;
mod adoption;
mod audit;
mod break_glass;
mod catalogue;
mod checkpoints;
mod copies;
mod deletion;
mod environments;
mod error;
mod events;
mod facts;
mod gate;
mod keys;
mod live;
mod locks;
mod members;
mod open;
mod overview;
mod pending;
mod publish;
mod queue;
mod recovery;
mod request_key;
mod rows;
mod rules;
mod runs;
mod samples;
mod sessions;
mod sight;
mod value;
mod vault_care;
mod vaults;
mod verdicts;
mod views;
mod write;

use sight::Sight;
pub(crate) use value::fresh;

pub use adoption::{Added, FoundCheckpoint};
pub use audit::{AuditFilter, Seldom};
pub use break_glass::GlassTry;
pub use catalogue::CatalogueCopy;
pub use copies::{CopyRow, Lacking};
pub use error::StoreError;
pub use gate::GateAsked;
pub use keys::{KeyRow, NewKey};
pub use live::Live;
pub use members::{Came, MemberRow};
pub use pending::{NewPending, NotTaken, PendingRow, SameRequest};
pub use queue::{ATTEMPTS, HEARTBEAT, LEASE};
pub use request_key::RequestKey;
pub use rows::{
    AppliedComponent, AppliedDefinition, AppliedView, Beat, Checked, CheckpointFilter, CheckpointRow, Claim,
    EnvironmentRow, Lane, NewRun, NewVault, On, ProjectRow, Publication, RunFilter, RunRow, VaultRow,
};
pub use rules::{Refusal, Standing, may_delete};
pub use sessions::{OpenSession, SessionRow, SignedInRow};

/// Which database holds the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// A file of this one server process.
    Sqlite,
    /// A server that several processes share.
    Postgres,
}

/// The catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Pool<Any>,
    engine: Engine,
    /// Where it is one.
    file: Option<PathBuf>,
    live: Live,
    /// SQLite has one writer at a time; waiting here is fair, waiting in the database is not.
    turn: Arc<Mutex<()>>,
    queued: Arc<Notify>,
    cancels: broadcast::Sender<RunId>,
    sight: Sight,
}

impl Store {
    /// The same catalogue as somebody sees it who has this access: what belongs to other projects is not there.
    #[must_use]
    pub fn seen_by(&self, access: &Access) -> Self {
        Self { sight: Sight::of(access), ..self.clone() }
    }

    /// Which database holds it.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// The stream of everything that is stored from now on.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Wakes when this process has put something into the queue, or freed a slot of it.
    #[must_use]
    pub fn queued(&self) -> Arc<Notify> {
        self.queued.clone()
    }

    /// Runs of which this process is told to end them; other processes learn it by their next heartbeat.
    #[must_use]
    pub fn cancels(&self) -> broadcast::Receiver<RunId> {
        self.cancels.subscribe()
    }

    /// Closes the connections; what was committed is on disk.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
