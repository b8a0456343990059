//! What a test of a restore looks at: files on disk, and the steps that a run has told.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use holdfast::actions::Apply;
use holdfast_model::{
    event::{EventBody, StepState},
    view::RunView,
};
use serde_json::Value;

use crate::house::House;

/// Every file below a folder with its content's length and hash.
pub fn listing(root: &Path) -> BTreeMap<PathBuf, String> {
    let (mut found, mut open) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let facts = path.symlink_metadata().unwrap();
            let content = if facts.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let content = format!("{} {}", content.len(), holdfast_vault::Id::of(&content));
            if facts.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, content);
        }
    }
    found
}

/// Applies a definition as the host's own credential does.
pub async fn apply(house: &House, definition: Value) {
    house.actions().apply(Apply { definition, dry_run: false }).await.unwrap();
}

/// How a step of a run ended, and why.
pub async fn step(house: &House, run: &RunView, name: &str) -> (StepState, String) {
    let mut steps = house.events(&run.id).await.into_iter().filter_map(|event| match event.body {
        EventBody::Step { step, state, detail, .. } if step == name && state != StepState::Started => {
            Some((state, detail.unwrap_or_default()))
        }
        _ => None,
    });
    steps.next_back().unwrap()
}
