//! Which variables a restore would add, change and take out, by name alone.

use std::{collections::BTreeMap, fs, path::Path};

use holdfast_model::plan::Listed;

use super::{Document, parse};

/// How an env file differs from the sealed one.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub added: Listed,
    pub changed: Listed,
    pub removed: Listed,
    pub same: u64,
    /// Whether the file is equal, byte for byte.
    pub equal: bool,
    /// Variables that live outside of a file.
    pub outside: Vec<String>,
}

/// Compares; a file that is not there has no variables.
pub(crate) fn changes(document: &Document, target: Option<&Path>) -> Changes {
    let mut found = Changes::default();
    let listed = document.entries.iter().filter(|entry| !entry.origin.starts_with("the file "));
    found.outside = listed.map(|entry| entry.name.clone()).collect();
    let (Some(file), Some(target)) = (&document.file, target) else { return found };
    let now = fs::read(target).unwrap_or_default();
    found.equal = now == file.content;
    let read = |bytes: &[u8]| parse::env_file(bytes).unwrap_or_default().into_iter().collect::<BTreeMap<_, _>>();
    let (then, now) = (read(&file.content), read(&now));
    for (name, value) in &then {
        match now.get(name) {
            Some(present) if present == value => found.same += 1,
            Some(_) => found.changed.add(|| name.clone()),
            None => found.added.add(|| name.clone()),
        }
    }
    for name in now.keys().filter(|name| !then.contains_key(*name)) {
        found.removed.add(|| name.clone());
    }
    found
}
