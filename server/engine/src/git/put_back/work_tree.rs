//! The work tree and index of a repository that is put back; whatever makes way is moved, never overwritten.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use super::Before;
use crate::{
    failure::Failure,
    git::{
        desk::Desk,
        repository::Repository,
        run::{fields, push},
    },
};

/// States of an unfinished merge, rebase or bisection: they belong to the work tree that is replaced.
const UNFINISHED: [&str; 10] = [
    "MERGE_HEAD",
    "MERGE_MSG",
    "MERGE_MODE",
    "AUTO_MERGE",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "rebase-merge",
    "rebase-apply",
    "sequencer",
    "BISECT_LOG",
];
/// Makes the work tree show `to` where it shows `from` now; whatever makes way is moved to the trash.
pub(super) fn check_out(
    before: &Before<'_>,
    desk: &Desk,
    root: &Path,
    from: &str,
    to: &str,
    owner: &fs::Metadata,
    kept: &mut Vec<String>,
) -> Result<u64, Failure> {
    let git = desk.git();
    let raw = git.run(&["diff-tree", "-r", "--raw", "--no-renames", "--no-abbrev", "-z", from, to])?;
    let mut parts = fields(&raw);
    let (mut write, mut files, mut moved) = (Vec::new(), Vec::new(), 0_u64);
    while let (Some(facts), Some(path)) = (parts.next(), parts.next()) {
        before.cancel.check()?;
        let facts = String::from_utf8_lossy(facts);
        let modes: Vec<&str> = facts.trim_start_matches(':').split(' ').take(2).collect();
        // A submodule's folder is a repository of its own.
        if modes.contains(&"160000") {
            continue;
        }
        let relative = PathBuf::from(OsStr::from_bytes(path));
        moved += make_way(root, &relative, before.trash)?;
        if modes.get(1).is_some_and(|mode| *mode != "000000") {
            push(&mut write, path);
            files.push(relative);
        }
    }
    if moved > 0 {
        kept.push(format!("{moved} files in {}", before.trash.display()));
    }
    git.run(&["read-tree", to])?;
    git.feed(&["checkout-index", "-f", "-z", "--stdin"], &write)?;
    if rustix::process::geteuid().is_root() && owner.uid() != 0 {
        for place in files.iter().flat_map(|file| file.ancestors()).filter(|place| !place.as_os_str().is_empty()) {
            let place = root.join(place);
            if place.symlink_metadata().is_ok_and(|facts| facts.uid() == 0) {
                let _ = std::os::unix::fs::lchown(&place, Some(owner.uid()), Some(owner.gid()));
            }
        }
    }
    Ok(u64::try_from(files.len()).unwrap_or(u64::MAX))
}

/// Moves what stands at `relative`, or at a file among its ancestors, to the trash; empty folders that stay go.
fn make_way(root: &Path, relative: &Path, trash: &Path) -> Result<u64, Failure> {
    let mut blocking = None;
    let mut ancestors: Vec<&Path> = relative.ancestors().filter(|place| !place.as_os_str().is_empty()).collect();
    ancestors.reverse();
    for place in ancestors {
        match root.join(place).symlink_metadata() {
            Ok(facts) if facts.is_dir() && place != relative => {}
            Ok(_) => {
                blocking = Some(place);
                break;
            }
            Err(_) => break,
        }
    }
    let Some(place) = blocking else { return Ok(0) };
    let (from, to) = (root.join(place), trash.join(place));
    let said = |error: std::io::Error| Failure::io(&from, &error);
    fs::create_dir_all(to.parent().unwrap_or(trash)).map_err(said)?;
    if to.symlink_metadata().is_ok() {
        // From an earlier try of the same run: both stay.
        let again = tempfile::Builder::new().prefix("again-").tempdir_in(trash).map_err(said)?.keep();
        fs::rename(&from, again.join(from.file_name().unwrap_or_default())).map_err(said)?;
    } else {
        fs::rename(&from, &to).map_err(said)?;
    }
    for folder in place.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        if fs::remove_dir(root.join(folder)).is_err() {
            break;
        }
    }
    Ok(1)
}

/// The present index and the state of an unfinished merge or rebase go to the trash.
pub(super) fn set_aside(repository: &Repository, trash: &Path, kept: &mut Vec<String>) -> Result<(), Failure> {
    let folder = trash.join(".git");
    let said = |error: std::io::Error| Failure::io(&folder, &error);
    let index = repository.git_dir.join("index");
    if index.exists() {
        fs::create_dir_all(&folder).map_err(said)?;
        fs::copy(&index, folder.join("index")).map_err(said)?;
    }
    for name in UNFINISHED {
        let from = repository.git_dir.join(name);
        if from.symlink_metadata().is_ok() && folder.join(name).symlink_metadata().is_err() {
            fs::create_dir_all(&folder).map_err(said)?;
            fs::rename(&from, folder.join(name)).map_err(said)?;
            kept.push(format!("the unfinished {name} in {}", folder.display()));
        }
    }
    Ok(())
}

/// Writes the index as git does: under its lock, then by renaming.
pub(super) fn write_index(desk: &Desk, repository: &Repository, tree: &str) -> Result<(), Failure> {
    let git = desk.git();
    git.run(&["read-tree", tree])?;
    // Files that differ from what is staged make it say so; they are meant to.
    let _ = git.ask(&["update-index", "-q", "--refresh"], b"")?;
    let (lock, index) = (repository.git_dir.join("index.lock"), repository.git_dir.join("index"));
    let said = |error: std::io::Error| Failure::io(&lock, &error);
    let fresh = fs::read(&desk.index).map_err(said)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o644).open(&lock).map_err(said)?;
    std::io::Write::write_all(&mut file, &fresh).and_then(|()| file.sync_all()).map_err(said)?;
    fs::rename(&lock, &index).map_err(said)
}
