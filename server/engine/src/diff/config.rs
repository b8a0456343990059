//! Variables, by name. A value leaves this room only as a fingerprint, or when it is revealed.

use std::collections::BTreeMap;

use holdfast_model::{
    diff::{Change, ConfigChanges, VariableChange},
    secret::Secret,
    state::Kind,
};
use holdfast_vault::{Node, Vault};

use super::{
    DiffError, DiffWork, FingerprintKey,
    component::{Both, Nodes},
};
use crate::{
    config::{Document, EnvFile, read},
    failure::blocking,
};

/// Compares it.
pub(super) async fn compare(work: &DiffWork, both: &Both<'_>, nodes: Nodes) -> Result<ConfigChanges, DiffError> {
    let (first, second) = documents(work, nodes).await?;
    // A file whose lines could not be told apart has no variables in the list; that is no removal of them.
    let unparsed = [both.first, both.second]
        .into_iter()
        .flatten()
        .any(|side| side.skipped.iter().any(|skipped| skipped.reason == "unparsed"));
    Ok(between(first.as_ref(), second.as_ref(), unparsed, &work.key))
}

/// The two values of one variable.
pub(super) async fn reveal(
    work: &DiffWork,
    both: &Both<'_>,
    variable: &str,
) -> Result<(Option<Secret>, Option<Secret>), DiffError> {
    let component = both.any;
    if component.kind != Kind::Config {
        return Err(DiffError::NoSuchComponent { name: component.name.clone(), of: "with variables" });
    }
    let (first, second) = documents(work, both.nodes(work).await?).await?;
    let value = |document: &Option<Document>| {
        let entries = document.as_ref()?.entries.iter();
        entries.rev().find(|entry| entry.name == variable).map(|entry| entry.value.clone())
    };
    Ok((value(&first), value(&second)))
}

async fn documents(work: &DiffWork, nodes: Nodes) -> Result<(Option<Document>, Option<Document>), DiffError> {
    let (first, second) = (work.first.vault.clone(), work.second.vault.clone());
    let open = |vault: &Vault, node: Option<&Node>| node.map(|node| read(vault, node)).transpose();
    let both = move || Ok((open(&first, nodes.first.as_ref())?, open(&second, nodes.second.as_ref())?));
    Ok(blocking(both).await?)
}

fn between(first: Option<&Document>, second: Option<&Document>, unparsed: bool, key: &FingerprintKey) -> ConfigChanges {
    let (before, after) = (values(first, unparsed), values(second, unparsed));
    let mut changes = ConfigChanges::default();
    let mut names: Vec<&str> = before.keys().chain(after.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (before, after) = (before.get(name).copied(), after.get(name).copied());
        if before == after {
            changes.unchanged += 1;
        } else if let Some(change) = Change::between(before.is_some(), after.is_some()) {
            let print = |value: Option<&str>| value.map(|value| key.of(name, value));
            let (before, after) = (print(before), print(after));
            changes.variables.push(VariableChange { name: name.to_owned(), change, before, after });
        }
    }
    changes.file = phrases(Facts::of(first), Facts::of(second), unparsed, changes.variables.is_empty());
    changes
}

/// Every name with the value that counts: of a name given twice the later one.
fn values(document: Option<&Document>, unparsed: bool) -> BTreeMap<&str, &str> {
    let Some(document) = document else { return BTreeMap::new() };
    let from_file = document.file.as_ref().map(|file| format!("the file {}", file.path));
    let told = document.entries.iter().filter(|entry| !unparsed || from_file.as_ref() != Some(&entry.origin));
    told.map(|entry| (entry.name.as_str(), entry.value.expose())).collect()
}

/// What is told of an env file beyond its variables.
struct Facts<'a> {
    path: &'a str,
    mode: u32,
    owner: (u32, u32),
    content: &'a [u8],
}

impl<'a> Facts<'a> {
    fn of(document: Option<&'a Document>) -> Option<Self> {
        let EnvFile { path, mode, uid, gid, content } = document?.file.as_ref()?;
        Some(Self { path, mode: *mode, owner: (*uid, *gid), content })
    }
}

fn phrases(before: Option<Facts<'_>>, after: Option<Facts<'_>>, unparsed: bool, no_variable: bool) -> Vec<String> {
    let (before, after) = match (before, after) {
        (None, None) => return Vec::new(),
        (Some(file), None) => return vec![format!("file {} removed", file.path)],
        (None, Some(file)) => return vec![format!("file {} added", file.path)],
        (Some(before), Some(after)) => (before, after),
    };
    let mut told = Vec::new();
    if before.path != after.path {
        told.push(format!("file {} → {}", before.path, after.path));
    }
    if before.mode != after.mode {
        told.push(format!("mode {:04o} → {:04o}", before.mode, after.mode));
    }
    if before.owner != after.owner {
        let (before, after) = (before.owner, after.owner);
        told.push(format!("owner {}:{} → {}:{}", before.0, before.1, after.0, after.1));
    }
    if before.content != after.content {
        if unparsed {
            told.push("content, which is not NAME=value throughout: its variables cannot be told apart".to_owned());
        } else if no_variable {
            told.push("comments, order or quoting".to_owned());
        }
    }
    told
}
