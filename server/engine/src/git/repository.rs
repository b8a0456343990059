//! Where a repository keeps its things; found by looking, so that none of its settings is read for it.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use crate::place::real;

/// A repository on disk.
#[derive(Debug, Clone)]
pub(super) struct Repository {
    /// As given.
    pub path: PathBuf,
    /// HEAD and index.
    pub git_dir: PathBuf,
    /// Objects, refs and settings; the same as `git_dir` unless it is a linked work tree.
    pub common_dir: PathBuf,
    /// None for a bare repository.
    pub work_tree: Option<PathBuf>,
}

/// Looks at `path`.
///
/// # Errors
/// It is not there, or is not a repository.
pub(super) fn find(path: &Path) -> Result<Repository, String> {
    if let Err(error) = fs::read_dir(path) {
        return Err(match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("{} does not exist; clone or make the repository, or correct `path`", path.display())
            }
            _ => format!("{}: {error}", path.display()),
        });
    }
    let dot = path.join(".git");
    let is_git_dir = |dir: &Path| dir.join("HEAD").symlink_metadata().is_ok();
    let (git_dir, work_tree) = if dot.is_dir() {
        (real(&dot), Some(real(path)))
    } else if let Ok(pointer) = fs::read_to_string(&dot) {
        let target = pointer
            .trim()
            .strip_prefix("gitdir: ")
            .ok_or_else(|| format!("{} is not a pointer to a git directory", dot.display()))?;
        (real(&path.join(target)), Some(real(path)))
    } else if is_git_dir(path) && path.join("objects").is_dir() {
        (real(path), None)
    } else {
        return Err(format!(
            "{} is not a git repository: it has no .git; give the folder that holds it, or use kind `files`",
            path.display()
        ));
    };
    if !is_git_dir(&git_dir) {
        return Err(format!("{} is not a git directory: it has no HEAD", git_dir.display()));
    }
    let common_dir = match fs::read_to_string(git_dir.join("commondir")) {
        Ok(relative) => real(&git_dir.join(relative.trim())),
        Err(_) => git_dir.clone(),
    };
    if !common_dir.join("objects").is_dir() {
        return Err(format!("{} has no objects", common_dir.display()));
    }
    Ok(Repository { path: path.to_path_buf(), git_dir, common_dir, work_tree })
}

impl Repository {
    /// Object stores that this one borrows from, and those that they borrow from.
    pub(super) fn borrowed(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = Vec::new();
        let mut open = vec![self.common_dir.join("objects")];
        while let Some(store) = open.pop() {
            let Ok(list) = fs::read(store.join("info/alternates")) else { continue };
            for line in list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
                let place = real(&store.join(std::ffi::OsStr::from_bytes(line)));
                if place.is_dir() && !found.contains(&place) {
                    found.push(place.clone());
                    open.push(place);
                }
            }
        }
        found
    }

    /// The names of all packs: what a repack changes.
    pub(super) fn packs(&self) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(self.common_dir.join("objects/pack"));
        let mut names: Vec<_> = entries.into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| name.as_encoded_bytes().ends_with(b".pack"));
        names.sort();
        names
    }

    /// Stash entries, newest first, as the reflog of `refs/stash` names them.
    pub(super) fn stashes(&self) -> Vec<String> {
        let log = fs::read(self.common_dir.join("logs/refs/stash")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        text.lines().rev().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect()
    }

    /// Whether another git process is at work in it.
    pub(super) fn lock(&self) -> Option<PathBuf> {
        Some(self.git_dir.join("index.lock")).filter(|lock| lock.symlink_metadata().is_ok())
    }

    /// Work trees beside this one.
    pub(super) fn other_work_trees(&self) -> bool {
        let own = self.git_dir.file_name();
        fs::read_dir(self.common_dir.join("worktrees"))
            .is_ok_and(|list| list.flatten().any(|entry| Some(entry.file_name().as_os_str()) != own))
    }
}
