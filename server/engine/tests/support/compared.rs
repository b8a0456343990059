//! Two sealed databases compared through the engine's door.

use std::{collections::BTreeMap, sync::Arc};

use holdfast_engine::{
    Context,
    diff::{DiffError, DiffLimits, DiffWork, End, FingerprintKey},
};
use holdfast_model::{
    diff::{Change, Changes, DatabaseChanges, RowChanges, TableRows},
    id::{CheckpointId, EnvironmentId, RunId},
    manifest::{FORMAT, Manifest, ManifestComponent},
    state::Trigger,
};
use holdfast_vault::{Cancel, Node, SnapshotDraft, TreeId, Vault};

use super::support::{Bench, Checkpoint};

/// A sealed component as a checkpoint of its own.
pub async fn end(vault: &Vault, dir: TreeId, component: &ManifestComponent) -> End {
    let (vault, component) = (vault.clone(), component.clone());
    tokio::task::spawn_blocking(move || {
        let instant = component.instant;
        let writer = Arc::new(vault.writer(Cancel::new()).unwrap());
        let inner = writer.put_tree(vec![Node::dir("postgres", dir, instant)]).unwrap();
        let root = writer.put_tree(vec![Node::dir("databases", inner, instant)]).unwrap();
        let draft = SnapshotDraft {
            tree: root,
            time: instant,
            paths: vec!["/".into()],
            tags: vec![],
            parent: None,
            hostname: "test".into(),
            username: "test".into(),
            program_version: "test".into(),
        };
        Arc::into_inner(writer).unwrap().seal(draft).unwrap();
        let manifest = Manifest {
            format: FORMAT,
            holdfast: "test".into(),
            tools: BTreeMap::new(),
            checkpoint: CheckpointId::from_parts(1, 1),
            run: RunId::from_parts(1, 1),
            attempt: 1,
            name: None,
            description: None,
            tags: Vec::new(),
            project: "shop".parse().unwrap(),
            environment: "test".parse().unwrap(),
            environment_id: EnvironmentId::from_parts(1, 1),
            created_at: instant,
            created_by: "test".into(),
            trigger: Trigger::Manual,
            metadata: BTreeMap::new(),
            skew_ms: 0,
            total: component.size,
            stored: component.stored,
            components: vec![component],
            left_out: Vec::new(),
            previous: None,
        };
        End { vault, root, manifest }
    })
    .await
    .unwrap()
}

/// Two checkpoints, and how they are compared.
pub struct Compared {
    pub work: DiffWork,
    ctx: Context,
    tools: holdfast_engine::Tools,
    _scratch: tempfile::TempDir,
}

impl Compared {
    pub async fn new(bench: &Bench, first: &Checkpoint, second: &Checkpoint) -> Self {
        let first = end(&bench.vault, first.dir, &first.component).await;
        let second = end(&bench.vault, second.dir, &second.component).await;
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

    /// The other way round.
    pub fn turned(mut self) -> Self {
        std::mem::swap(&mut self.work.first, &mut self.work.second);
        self
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

/// Each object that changed, one line: `~ column-by-column table public.orders: …`.
pub fn schema(changes: &DatabaseChanges) -> Vec<String> {
    changes
        .schema
        .iter()
        .map(|object| {
            let dot = if object.schema.is_empty() { "" } else { "." };
            let details =
                if object.details.is_empty() { String::new() } else { format!(": {}", object.details.join("; ")) };
            format!("{} {} {}{dot}{}{details}", object.change.sign(), object.kind, object.schema, object.name)
        })
        .collect()
}

/// Each table that changed, one line: `public.orders 3→4 +1 -0 ~2 by id`.
pub fn tables(changes: &DatabaseChanges) -> Vec<String> {
    let count = |rows: Option<u64>| rows.map_or_else(|| "none".to_owned(), |rows| rows.to_string());
    changes
        .tables
        .iter()
        .map(|table| {
            let rows = match &table.rows {
                RowChanges::NotRead => "not read".to_owned(),
                RowChanges::Counted { added, removed, changed, key } => {
                    let by = if key.is_empty() { "whole".to_owned() } else { key.join("+") };
                    format!("+{added} -{removed} ~{changed} by {by}")
                }
                RowChanges::Unreadable { why } => format!("unreadable: {why}"),
            };
            format!("{}.{} {}→{} {rows}", table.schema, table.name, count(table.before), count(table.after))
        })
        .collect()
}

/// Each row that differs, one line: `~ 1|a → 1|b`.
pub fn rows(table: &TableRows) -> Vec<String> {
    let text = |row: &Option<Vec<Option<String>>>| {
        let cells = row.iter().flatten().map(|cell| cell.clone().unwrap_or_else(|| "NULL".to_owned()));
        cells.collect::<Vec<_>>().join("|")
    };
    table
        .rows
        .iter()
        .map(|row| match row.change {
            Change::Added => format!("+ {}", text(&row.after)),
            Change::Removed => format!("- {}", text(&row.before)),
            Change::Changed => format!("~ {} → {}", text(&row.before), text(&row.after)),
        })
        .collect()
}

/// What the other direction must say.
pub fn mirrored(changes: &DatabaseChanges) -> DatabaseChanges {
    let mut turned = changes.clone();
    for object in &mut turned.schema {
        std::mem::swap(&mut object.before, &mut object.after);
        object.change = other(object.change);
    }
    for table in &mut turned.tables {
        std::mem::swap(&mut table.before, &mut table.after);
        if let RowChanges::Counted { added, removed, .. } = &mut table.rows {
            std::mem::swap(added, removed);
        }
    }
    for sequence in &mut turned.sequences {
        std::mem::swap(&mut sequence.before, &mut sequence.after);
    }
    turned
}

const fn other(change: Change) -> Change {
    match change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    }
}
