//! Comparing two checkpoints. Neither can change, so what was found is kept for a while; reading is bounded in number,
//! and ends when nobody waits for it any more.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use holdfast_engine::{
    Context,
    diff::{self, DiffError, DiffLimits, DiffWork, End, FingerprintKey},
};
use holdfast_model::{
    diff::{Cell, Changes, Diff, FileChanges, FileView, RowChange, Side, TableRows},
    id::CheckpointId,
    name::Name,
    secret::Secret,
};
use holdfast_vault::CancelOnDrop;
use moka::future::Cache;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::{
    jobs::{Desk, DeskError},
    store::CheckpointRow,
};

/// Scratch folders of comparisons begin with it.
pub(crate) const SCRATCH: &str = "compare-";
/// So many comparisons read at a time; the others wait.
const AT_ONCE: usize = 2;
/// Bytes of comparisons that are kept in memory, and as many of opened tables.
const KEPT: u64 = 32 << 20;
/// For so long after somebody has last looked.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// So many changed rows of one table can be looked at; all are counted.
const ROWS: usize = 2_000;

/// Why two checkpoints could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The catalogue or the vault.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The engine.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// Room for temporary files.
    #[error("the scratch space {path}: {source}")]
    Scratch {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

type Ends = (CheckpointId, CheckpointId);

/// What has been compared lately.
pub(crate) struct Comparisons {
    turns: Semaphore,
    whole: Cache<(Ends, bool), Arc<Diff>>,
    tables: Cache<(Ends, Name, String, String), Arc<TableRows>>,
}

impl Default for Comparisons {
    fn default() -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
        Self {
            turns: Semaphore::new(AT_ONCE),
            whole: Cache::builder()
                .max_capacity(KEPT)
                .weigher(move |_, diff: &Arc<Diff>| count(bytes(diff)))
                .time_to_idle(IDLE)
                .build(),
            tables: Cache::builder()
                .max_capacity(KEPT)
                .weigher(move |_, table: &Arc<TableRows>| count(bytes_of_rows(table)))
                .time_to_idle(IDLE)
                .build(),
        }
    }
}

impl Comparisons {
    /// What changed from `first` to `second`. With `rows`, changed rows are counted from the sealed dumps.
    pub(crate) async fn whole(
        &self,
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        rows: bool,
    ) -> Result<Arc<Diff>, Arc<CompareError>> {
        let key = |rows| ((first.id.clone(), second.id.clone()), rows);
        // What was found with the rows answers the question without them too.
        if let Some(known) = self.whole.get(&key(true)).await {
            return Ok(known);
        }
        self.whole.try_get_with(key(rows), self.read_whole(desk, first, second, rows)).await
    }

    async fn read_whole(
        &self,
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        rows: bool,
    ) -> Result<Arc<Diff>, CompareError> {
        let _turn = self.turns.acquire().await;
        let reading = Reading::begin(desk, first, second, rows).await?;
        let found = diff::diff(&reading.work, desk.tools(), &reading.ctx).await?;
        Ok(Arc::new(Diff { first: side(first), second: side(second), components: found.components, size: found.size }))
    }

    /// The changed rows of one table, sorted by key, as many as are kept.
    pub(crate) async fn table(
        &self,
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        component: &Name,
        (schema, table): (&str, &str),
    ) -> Result<Arc<TableRows>, Arc<CompareError>> {
        let ends = (first.id.clone(), second.id.clone());
        let key = (ends, component.clone(), schema.to_owned(), table.to_owned());
        let read = async {
            let _turn = self.turns.acquire().await;
            let reading = Reading::begin(desk, first, second, true).await?;
            let found = diff::table(&reading.work, component, schema, table, ROWS, desk.tools(), &reading.ctx).await?;
            Ok(Arc::new(found))
        };
        self.tables.try_get_with(key, read).await
    }

    /// One file, line by line.
    pub(crate) async fn file(
        &self,
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        component: &Name,
        path: &Path,
    ) -> Result<FileView, CompareError> {
        let _turn = self.turns.acquire().await;
        let reading = Reading::begin(desk, first, second, false).await?;
        Ok(diff::file(&reading.work, component, path, desk.tools(), &reading.ctx).await?)
    }

    /// Both values of a variable, in the clear.
    pub(crate) async fn value(
        &self,
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        component: &Name,
        variable: &str,
    ) -> Result<(Option<Secret>, Option<Secret>), CompareError> {
        let reading = Reading::begin(desk, first, second, false).await?;
        Ok(diff::reveal(&reading.work, component, variable).await?)
    }
}

/// What a comparison costs to keep, in bytes, about.
fn bytes(diff: &Diff) -> usize {
    /// The fixed part of an entry.
    const ENTRY: usize = 200;
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let files = |changes: &FileChanges| changes.entries.iter().map(|entry| ENTRY + entry.path.len()).sum::<usize>();
    let of = |changes: &Changes| match changes {
        Changes::Same | Changes::Unknown { .. } => 0,
        Changes::Configuration(changes) => ENTRY * changes.variables.len(),
        Changes::Files(changes) => files(changes),
        Changes::Git(changes) => ENTRY * (changes.added.len() + changes.removed.len()) + files(&changes.worktree),
        Changes::Database(changes) => {
            let schema = changes.schema.iter().map(|object| ENTRY + text(&object.before) + text(&object.after));
            ENTRY * changes.tables.len() + schema.sum::<usize>()
        }
    };
    diff.components.iter().map(|component| ENTRY * (1 + component.skipped.len()) + of(&component.changes)).sum()
}

/// What an opened table costs to keep, in bytes, about.
fn bytes_of_rows(table: &TableRows) -> usize {
    let side = |cells: &Option<Vec<Cell>>| {
        let cell = |cell: &Cell| size_of::<Cell>() + cell.as_ref().map_or(0, String::len);
        cells.iter().flatten().map(cell).sum::<usize>()
    };
    table.rows.iter().map(|row| size_of::<RowChange>() + side(&row.before) + side(&row.after)).sum()
}

fn side(row: &CheckpointRow) -> Side {
    Side {
        checkpoint: row.id.clone(),
        name: row.name.clone(),
        environment: row.environment.clone(),
        created_at: row.created_at,
    }
}

/// One comparison under way: what it reads, its room for temporary files, and its end with the one who waits for it.
struct Reading {
    // Before the scratch space goes, the work that may sit on threads of its own is told to end.
    _end: CancelOnDrop,
    work: DiffWork,
    ctx: Context,
    _scratch: tempfile::TempDir,
}

impl Reading {
    async fn begin(
        desk: &Desk,
        first: &CheckpointRow,
        second: &CheckpointRow,
        rows: bool,
    ) -> Result<Self, CompareError> {
        let place = &desk.settings().scratch;
        let scratch = tempfile::Builder::new()
            .prefix(SCRATCH)
            .tempdir_in(place)
            .map_err(|source| CompareError::Scratch { path: place.clone(), source })?;
        // One key for each project: a fingerprint says nothing across projects.
        let purpose = format!("diff:{}", second.environment.project);
        let work = DiffWork {
            first: desk.end(&first.id).await?,
            second: desk.end(&second.id).await?,
            key: FingerprintKey::new(Zeroizing::new(desk.key().fingerprint(&purpose, b"fingerprints of values"))),
            rows,
            limits: DiffLimits::default(),
            scratch: scratch.path().to_owned(),
        };
        let (ctx, end) = Context::untold();
        Ok(Self { _end: end, work, ctx, _scratch: scratch })
    }
}

impl Desk {
    /// One checkpoint as the engine reads it, from a copy that is sound.
    pub(crate) async fn end(&self, id: &CheckpointId) -> Result<End, DeskError> {
        let (vault, root) = self.sealed(id).await?;
        Ok(End { vault, root, manifest: self.store().manifest(id).await? })
    }
}
