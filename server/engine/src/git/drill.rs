//! A sealed repository is restored into scratch space, checked by git itself and compared with its manifest.

use std::{path::Path, time::Instant};

use holdfast_model::{
    drill::Check,
    manifest::{Facts, ManifestComponent},
};
use holdfast_vault::{Cancel, Existing, Meter, RestoreOptions, TreeId, Vault};

use super::{full_branch, head, refs, run::Git};
use crate::{context::elapsed, failure::Failure};

/// Faults that old versions of git and its relatives made in histories which are in use: the copy is not worse for them.
const OLD_FAULTS: [&str; 8] = [
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingEmail",
    "badTimezone",
    "badEmail",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
    "missingNameBeforeEmail",
];

/// Restores the repository to `scratch` and compares.
///
/// # Errors
/// Only what is not the copy's fault: cancelled, no git, no space.
pub(crate) fn drill(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    program: &Path,
    scratch: &Path,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<Vec<Check>, Failure> {
    let Facts::Git { branch, head: sealed_head, refs: sealed, .. } = &component.facts else {
        return Err(Failure::Said("the manifest does not describe it as a repository".to_owned()));
    };
    let mut checks = Vec::new();
    let mut begun = Instant::now();
    let mut enter = |name: &str, expected: Option<String>, found: Option<String>, fault: Option<String>| {
        checks.push(Check {
            component: component.name.to_string(),
            name: name.to_owned(),
            passed: fault.is_none(),
            expected,
            found,
            message: fault,
            duration_ms: elapsed(begun),
        });
        begun = Instant::now();
    };
    let restored = bring(vault, dir, scratch, cancel, meter)?;
    if let Some(fault) = restored {
        enter("restore", None, None, Some(fault));
        return Ok(checks);
    }
    enter("restore", None, None, None);
    let git = Git::new(program, scratch, cancel);
    let mut lenient = git.clone();
    for fault in OLD_FAULTS {
        lenient = lenient.set(format!("fsck.{fault}=warn"));
    }
    let fsck = lenient.ask(&["fsck", "--full", "--no-dangling", "--no-progress"], b"")?;
    let words =
        fsck.err.lines().chain(std::str::from_utf8(&fsck.out).unwrap_or_default().lines()).take(3).collect::<Vec<_>>();
    enter("fsck", None, None, (!fsck.ok).then(|| format!("git fsck finds faults in the copy: {}", words.join("; "))));

    let (found, _) = refs(&git)?;
    let wrong: Vec<&str> = sealed
        .iter()
        .filter(|(name, object)| found.get(*name) != Some(*object))
        .map(|(name, _)| name.as_str())
        .chain(found.keys().filter(|name| !sealed.contains_key(*name)).map(String::as_str))
        .collect();
    let count = |number: usize| Some(format!("{number} refs"));
    let fault = match wrong.as_slice() {
        [] => None,
        [one] => Some(format!("the ref `{one}` differs from what was sealed")),
        [one, more @ ..] => Some(format!("`{one}` and {} more refs differ from what was sealed", more.len())),
    };
    enter("refs", count(sealed.len()), count(found.len()), fault);

    let now = head(&git, &found)?;
    let say = |branch: &Option<String>, commit: &Option<String>| {
        format!(
            "{} at {}",
            branch.as_deref().map_or("no branch".to_owned(), full_branch),
            commit.as_deref().unwrap_or("no commit")
        )
    };
    // A repository without any commit and branch is written with git's own first branch.
    let (expected, found) = (say(branch, sealed_head), say(&now.0, &now.1));
    let fault = (expected != found).then(|| "HEAD differs from what was sealed".to_owned());
    enter("HEAD", Some(expected), Some(found), fault);
    Ok(checks)
}

/// Restores a sealed repository to an empty folder; gives what is wrong with the copy, if anything.
pub(crate) fn bring(
    vault: &Vault,
    dir: &TreeId,
    target: &Path,
    cancel: &Cancel,
    meter: &Meter,
) -> Result<Option<String>, Failure> {
    let options = RestoreOptions {
        existing: Existing::Refuse,
        ownership: false,
        cancel: cancel.clone(),
        meter: meter.clone(),
        ..RestoreOptions::default()
    };
    match vault.restore(dir, target, options) {
        Ok(restored) => Ok(restored.problems.first().map(|problem| problem.what.clone())),
        Err(holdfast_vault::Error::Damaged { what }) => Ok(Some(what)),
        Err(error @ (holdfast_vault::Error::NoSuchPath { .. } | holdfast_vault::Error::Refused(_))) => {
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
