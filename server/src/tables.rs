//! Looking through the tables of a sealed database. Reading is bounded in number, and ends when nobody waits for it any
//! more.

use std::path::PathBuf;

use holdfast_engine::{
    Context,
    tables::{self, Rows, TablesError, TablesWork},
};
use holdfast_model::{id::CheckpointId, name::Name, view::TableEntry};
use holdfast_vault::CancelOnDrop;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::jobs::{Desk, DeskError};

/// Scratch folders of looks begin with it.
pub(crate) const SCRATCH: &str = "look-";
/// So many are read at a time; the others wait.
const AT_ONCE: usize = 2;

/// Why tables could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The catalogue or the vault.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The engine.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// Room for temporary files.
    #[error("the scratch space {path}: {source}")]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Who may read now.
pub(crate) struct Looks(Semaphore);

impl Default for Looks {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Looks {
    /// The tables of a database.
    pub(crate) async fn tables(
        &self,
        desk: &Desk,
        checkpoint: &CheckpointId,
        component: &Name,
    ) -> Result<Vec<TableEntry>, LookError> {
        let look = self.begin(desk, checkpoint, component).await?;
        Ok(tables::list(look.work.clone(), &look.ctx).await?)
    }

    /// Rows of a table behind the first `from`.
    pub(crate) async fn rows(
        &self,
        desk: &Desk,
        checkpoint: &CheckpointId,
        component: &Name,
        (schema, table): (&str, &str),
        from: u64,
    ) -> Result<Rows, LookError> {
        let look = self.begin(desk, checkpoint, component).await?;
        Ok(tables::rows(look.work.clone(), schema, table, from, &look.ctx).await?)
    }

    async fn begin(&self, desk: &Desk, checkpoint: &CheckpointId, component: &Name) -> Result<Look<'_>, LookError> {
        let turn = self.0.acquire().await;
        let place = &desk.settings().scratch;
        let scratch = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(place)
            .map_err(|source| LookError::Scratch { path: place.clone(), source })?;
        let work = TablesWork {
            end: desk.end(checkpoint).await?,
            component: component.clone(),
            scratch: scratch.path().to_owned(),
        };
        let (ctx, end) = Context::untold();
        Ok(Look { _end: end, work, ctx, _scratch: scratch, _turn: turn.ok() })
    }
}

/// One look under way: what it reads, its room for temporary files, and its end with the one who waits for it.
struct Look<'a> {
    // Before the scratch space goes, the work that may sit on a thread of its own is told to end.
    _end: CancelOnDrop,
    work: TablesWork,
    ctx: Context,
    _scratch: tempfile::TempDir,
    _turn: Option<SemaphorePermit<'a>>,
}
