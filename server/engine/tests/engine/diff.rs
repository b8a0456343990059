//! What differs between two checkpoints, through the engine's public door.

use holdfast_engine::{
    DiffError, DiffLimits, DiffWork, Differences, End, FingerprintKey,
    diff::{self as engine, diff},
};
use holdfast_model::diff::{
    BeforeAfter, Change, Changes, ComponentDiff, FileChange, FileChangeKind, FileChanges, FileView, Presence,
};
use serde_json::json;

use crate::bench::{Bench, Checkpoint, name};

mod config;
mod file;
mod files;
mod git;
mod random;
mod sqlite;

pub fn work(bench: &Bench, first: &Checkpoint, second: &Checkpoint) -> DiffWork {
    let end = |checkpoint: &Checkpoint| End {
        vault: bench.vault.clone(),
        root: checkpoint.root,
        manifest: checkpoint.manifest.clone(),
    };
    DiffWork {
        first: end(first),
        second: end(second),
        key: FingerprintKey::new(zeroize::Zeroizing::new([7; 32])),
        rows: true,
        limits: DiffLimits::default(),
        scratch: bench.scratch(),
    }
}

pub async fn between(bench: &Bench, first: &Checkpoint, second: &Checkpoint) -> Differences {
    let work = work(bench, first, second);
    let found = diff(&work, &bench.tools, &bench.ctx()).await.unwrap();
    let left: Vec<_> = std::fs::read_dir(&work.scratch).unwrap().collect();
    assert!(left.is_empty(), "left in scratch space: {left:?}");
    found
}

/// The one component of a diff of one component.
pub async fn one(bench: &Bench, first: &Checkpoint, second: &Checkpoint) -> ComponentDiff {
    between(bench, first, second).await.components.remove(0)
}

pub fn files(part: &ComponentDiff) -> &FileChanges {
    match &part.changes {
        Changes::Files(files) => files,
        Changes::Git(git) => &git.worktree,
        other => panic!("{other:?}"),
    }
}

/// `M path`, `R from > to`, with what else is told of it.
pub fn told(changes: &FileChanges) -> Vec<String> {
    changes.entries.iter().map(line).collect()
}

pub fn line(entry: &FileChange) -> String {
    let mut text = format!("{} ", entry.change.letter());
    if let FileChangeKind::Renamed { from } = &entry.change {
        text.push_str(&format!("{from} > "));
    }
    text.push_str(&entry.path);
    if entry.kind != "file" {
        text.push_str(&format!(" [{}]", entry.kind));
    }
    if let Some(lines) = entry.lines {
        text.push_str(&format!(" +{} -{}", lines.added, lines.removed));
    }
    if !entry.what.is_empty() {
        text.push_str(&format!(" ({})", entry.what.join("; ")));
    }
    text
}

/// The same diff the other way round, by its definition.
pub fn mirrored(changes: &FileChanges) -> FileChanges {
    let mut entries: Vec<FileChange> = changes
        .entries
        .iter()
        .cloned()
        .map(|mut entry| {
            std::mem::swap(&mut entry.before, &mut entry.after);
            entry.change = match entry.change {
                FileChangeKind::Added => FileChangeKind::Deleted,
                FileChangeKind::Deleted => FileChangeKind::Added,
                FileChangeKind::Renamed { from } => {
                    let to = std::mem::replace(&mut entry.path, from);
                    FileChangeKind::Renamed { from: to }
                }
                other => other,
            };
            if let Some(lines) = &mut entry.lines {
                std::mem::swap(&mut lines.added, &mut lines.removed);
            }
            let turn = |text: &str, word: &str| match text.split_once(" → ") {
                Some((before, after)) => format!("{word}{after} → {}", before.trim_start_matches(word)),
                None => text.to_owned(),
            };
            entry.kind = turn(&entry.kind, "");
            for what in &mut entry.what {
                let word = format!("{} ", what.split(' ').next().unwrap());
                *what = turn(what, &word);
            }
            entry
        })
        .collect();
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let mut counts = changes.counts;
    std::mem::swap(&mut counts.added, &mut counts.deleted);
    FileChanges { counts, entries, more: changes.more }
}

pub fn sorted(changes: &FileChanges) -> FileChanges {
    let mut changes = changes.clone();
    changes.entries.sort_by(|one, other| one.path.cmp(&other.path));
    // Only a path that the second side has says its bytes.
    changes.entries.iter_mut().for_each(|entry| entry.raw = None);
    changes
}

pub async fn open(bench: &Bench, first: &Checkpoint, second: &Checkpoint, part: &str, path: &[u8]) -> FileView {
    try_open(bench, &work(bench, first, second), part, path).await.unwrap()
}

pub async fn try_open(bench: &Bench, work: &DiffWork, part: &str, path: &[u8]) -> Result<FileView, DiffError> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    engine::file(work, &name(part), path, &bench.tools, &bench.ctx()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn components_are_told_in_the_second_ones_order_and_alone_where_only_one_has_them() {
    let bench = Bench::new().await;
    bench.write("same/a", "a");
    bench.write("gone/b", "b");
    bench.write("new/c", "ccc");
    let part = |name: &str| json!({"name": name, "kind": "files", "path": bench.app(name)});
    let config = json!({"name": "vars", "kind": "config", "variables": [{"name": "A", "value": "1"}]});
    let first = bench.take(&bench.define(json!([part("gone"), part("same"), config]), json!({}))).await;
    let second = bench.take(&bench.define(json!([part("new"), part("same")]), json!({}))).await;
    let found = between(&bench, &first, &second).await;
    let parts: Vec<_> = found.components.iter().map(|part| (part.name.as_str(), part.presence)).collect();
    let expected =
        [("new", Presence::Second), ("same", Presence::Both), ("gone", Presence::First), ("vars", Presence::First)];
    assert_eq!(parts, expected);
    assert_eq!(told(files(&found.components[0])), ["A c"]);
    assert_eq!(found.components[0].size, BeforeAfter { before: 0, after: 3 });
    assert_eq!(found.components[1].changes, Changes::Same);
    assert_eq!(told(files(&found.components[2])), ["D b"]);
    let Changes::Configuration(vars) = &found.components[3].changes else { panic!() };
    assert_eq!((vars.variables[0].name.as_str(), vars.variables[0].change), ("A", Change::Removed));
    assert_eq!(found.size.logical, BeforeAfter { before: first.manifest.total, after: second.manifest.total });
    assert_eq!(found.size.stored, BeforeAfter { before: first.manifest.stored, after: second.manifest.stored });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_became_another_kind_is_told_twice() {
    let bench = Bench::new().await;
    let file = bench.write("app/.env", "A=1\n");
    let folder = bench.define(json!([{"name": "app", "kind": "files", "path": bench.app("app")}]), json!({}));
    let vars = bench.define(json!([{"name": "app", "kind": "config", "file": file}]), json!({}));
    let (first, second) = (bench.take(&folder).await, bench.take(&vars).await);
    let found = between(&bench, &first, &second).await;
    let parts: Vec<_> = found.components.iter().map(|part| (part.kind.as_str(), part.presence)).collect();
    assert_eq!(parts, [("config", Presence::Second), ("files", Presence::First)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_newer_missing_or_cancelled_is_said() {
    let bench = Bench::new().await;
    bench.write("up/a", "a");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let first = bench.take(&definition).await;
    bench.write("up/b", "b");
    let second = bench.take(&definition).await;

    let mut newer = work(&bench, &first, &second);
    newer.second.manifest.format += 1;
    assert!(matches!(diff(&newer, &bench.tools, &bench.ctx()).await, Err(DiffError::Format { .. })));

    let mut lost = work(&bench, &first, &second);
    lost.second.manifest.components[0].place = "files/nowhere".into();
    let found = diff(&lost, &bench.tools, &bench.ctx()).await.unwrap();
    assert!(matches!(&found.components[0].changes, Changes::Unknown { why } if why.contains("files/nowhere")));

    let plain = work(&bench, &first, &second);
    assert!(matches!(try_open(&bench, &plain, "none", b"a").await, Err(DiffError::NoSuchComponent { .. })));
    assert!(matches!(try_open(&bench, &plain, "up", b"none").await, Err(DiffError::NoSuchFile { .. })));
    assert!(matches!(try_open(&bench, &plain, "up", b"").await, Err(DiffError::NoSuchFile { .. })));
    bench.cancel.cancel();
    assert!(matches!(diff(&plain, &bench.tools, &bench.ctx()).await, Err(DiffError::Cancelled)));
}
