//! Which refs a restore would make, set and remove, found without touching anything.

use std::{collections::BTreeSet, path::Path};

use holdfast_model::{manifest::Facts, plan::Listed};
use holdfast_vault::Cancel;

use super::{put_back::OURS, refs, repository, run::Git};
use crate::failure::Failure;

/// How a repository's refs differ from the sealed ones.
#[derive(Debug, Default)]
pub(crate) struct RefChanges {
    pub made: Listed,
    pub changed: Listed,
    pub removed: Listed,
    pub same: u64,
}

/// Compares; a repository that is not there has no refs.
pub(crate) fn ref_changes(path: &Path, facts: &Facts, program: &Path, cancel: &Cancel) -> Result<RefChanges, Failure> {
    let Facts::Git { refs: sealed, .. } = facts else {
        return Err(Failure::Said("the manifest does not describe it as a repository".to_owned()));
    };
    let now = match repository::find(path) {
        Ok(repository) => refs(&Git::new(program, &repository.git_dir, cancel))?.0,
        Err(_) => Default::default(),
    };
    let mut changes = RefChanges::default();
    let names: BTreeSet<&String> = sealed.keys().chain(now.keys()).filter(|name| !name.starts_with(OURS)).collect();
    for name in names {
        let name = name.clone();
        match (sealed.get(&name), now.get(&name)) {
            (then, now) if then == now => changes.same += 1,
            (Some(_), None) => changes.made.add(|| name),
            (None, Some(_)) => changes.removed.add(|| name),
            _ => changes.changed.add(|| name),
        }
    }
    Ok(changes)
}
