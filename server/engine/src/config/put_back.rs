//! An env file is put back: the very bytes, with their mode, in one step.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Document, facts_of, set_facts};
use crate::{failure::Failure, place::sync_dir};

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct PutBack {
    pub bytes: u64,
    /// Where the file that stood there is now.
    pub kept: Option<PathBuf>,
    pub warnings: Vec<String>,
}

/// Writes the sealed env file to `target` and keeps the present one in `trash`. A file that is equal stays.
///
/// # Errors
/// Something could not be written; the file at `target` is then as it was.
pub(crate) fn put_back(document: &Document, target: Option<&Path>, trash: &Path) -> Result<PutBack, Failure> {
    let mut done = PutBack::default();
    let listed: Vec<&str> = document
        .entries
        .iter()
        .filter(|entry| !entry.origin.starts_with("the file "))
        .map(|entry| entry.name.as_str())
        .collect();
    if !listed.is_empty() {
        done.warnings.push(format!(
            "these variables live outside of a file and are not put back: {}; read them with `holdfast checkpoint cat`",
            listed.join(", ")
        ));
    }
    let (Some(file), Some(target)) = (&document.file, target) else { return Ok(done) };
    let said = |error: std::io::Error| Failure::io(target, &error);
    // What the document says of a mode is data: an env file runs as nobody.
    let (mode, uid, gid) = (file.mode & 0o777, file.uid, file.gid);
    if fs::read(target).is_ok_and(|now| now == file.content) {
        if facts_of(target).is_some_and(|(_, now, ..)| now != mode) {
            set_facts(target, mode, uid, gid).map_err(said)?;
        }
        return Ok(done);
    }
    let folder = target.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(said)?;
    let mut fresh = tempfile::Builder::new().prefix(".holdfast-").tempfile_in(folder).map_err(said)?;
    fresh.write_all(&file.content).map_err(said)?;
    set_facts(fresh.path(), mode, uid, gid).map_err(said)?;
    fresh.as_file().sync_all().map_err(said)?;
    if let Some((_, now_mode, now_uid, now_gid)) = facts_of(target) {
        fs::create_dir_all(trash).map_err(|error| Failure::io(trash, &error))?;
        let kept = trash.join(target.file_name().unwrap_or_default());
        let before = fs::read(target).map_err(said)?;
        let mut copy = tempfile::Builder::new().tempfile_in(trash).map_err(said)?;
        copy.write_all(&before).map_err(said)?;
        set_facts(copy.path(), now_mode, now_uid, now_gid).map_err(said)?;
        copy.as_file().sync_all().map_err(said)?;
        copy.persist(&kept).map_err(|error| Failure::io(&kept, &error.error))?;
        sync_dir(trash).map_err(said)?;
        done.kept = Some(kept);
    }
    fresh.persist(target).map_err(|error| Failure::io(target, &error.error))?;
    sync_dir(folder).map_err(said)?;
    done.bytes = u64::try_from(file.content.len()).unwrap_or(u64::MAX);
    Ok(done)
}
