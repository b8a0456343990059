//! Two sealed databases compared through the engine's door.

use holdfast_engine::{
    Context,
    diff::{DiffError, DiffLimits, DiffWork, FingerprintKey},
};
use holdfast_model::diff::{Changes, DatabaseChanges, TableRows};

use super::support::{Bench, Checkpoint};

/// Two checkpoints, and how they are compared.
pub struct Compared {
    pub work: DiffWork,
    ctx: Context,
    tools: holdfast_engine::Tools,
    _scratch: tempfile::TempDir,
}

impl Compared {
    pub async fn new(bench: &Bench, first: &Checkpoint, second: &Checkpoint) -> Self {
        let (first, second) = (bench.end(first).await, bench.end(second).await);
        let scratch = tempfile::tempdir().unwrap();
        let work = DiffWork {
            first,
            second,
            key: FingerprintKey::new([7; 32].into()),
            rows: true,
            limits: DiffLimits::default(),
            scratch: scratch.path().to_path_buf(),
        };
        Self { work, ctx: bench.ctx.clone(), tools: bench.tools.clone(), _scratch: scratch }
    }

    /// The database's changes; nothing may be left in the scratch folder.
    pub async fn changes(&self) -> DatabaseChanges {
        let found = holdfast_engine::diff::diff(&self.work, &self.tools, &self.ctx).await.unwrap();
        assert!(std::fs::read_dir(&self.work.scratch).unwrap().next().is_none(), "something was left");
        match found.components.into_iter().next().unwrap().changes {
            Changes::Database(changes) => changes,
            Changes::Same => DatabaseChanges::default(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn table(&self, schema: &str, table: &str, keep: usize) -> Result<TableRows, DiffError> {
        let component = self.work.second.manifest.components[0].name.clone();
        let (work, tools, ctx) = (&self.work, &self.tools, &self.ctx);
        let found = holdfast_engine::diff::table(work, &component, schema, table, keep, tools, ctx).await;
        assert!(std::fs::read_dir(&self.work.scratch).unwrap().next().is_none(), "something was left");
        found
    }
}
