//! A directory or file of a restore: what stays, what is wanted, and how it is put back.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use holdfast_model::{
    definition::Component,
    manifest::{Facts, ManifestComponent},
    name::Name,
    size,
};
use holdfast_vault::{Cancel, Existing, Meter, Node, RestoreOptions, TreeId, Vault};

use super::{
    super::{RestoreReport, RestoreWork, choice::Choice, destination::Destination},
    tree,
};
use crate::{
    config,
    failure::Failure,
    files::{Selection, TRASH, neighbours},
    place,
};

/// What stays as it is, whatever the tree says.
#[derive(Clone)]
pub(super) struct Keep {
    selection: Arc<Selection>,
    skipped: Arc<[String]>,
}

impl Keep {
    pub(super) fn root(&self) -> &Path {
        self.selection.root()
    }

    pub(super) fn keeps(&self, relative: &Path, is_dir: bool) -> bool {
        !self.selection.takes(relative, is_dir) || self.skipped.contains(&place::shown(relative))
    }
}

pub(super) fn keep(
    work: &RestoreWork,
    sealed: &ManifestComponent,
    now: &Component,
    path: &Path,
    exclude: &[String],
) -> Result<Keep, Failure> {
    let (mut patterns, mut is_file) = (exclude.to_vec(), false);
    if let Facts::Files { exclude, dirs, .. } = &sealed.facts {
        patterns.extend(exclude.iter().filter(|pattern| !patterns.contains(pattern)).cloned().collect::<Vec<_>>());
        is_file = *dirs == 0;
    }
    let left_out = neighbours(&work.definition, now, path);
    let selection = Selection::new(path, &patterns, left_out, &work.forbidden, Some(is_file)).map_err(Failure::Said)?;
    let skipped = sealed.skipped.iter().map(|skipped| skipped.name.clone()).collect();
    Ok(Keep { selection: Arc::new(selection), skipped })
}

/// What the request's patterns mean here.
pub(super) fn choose(
    vault: &Vault,
    tree: TreeId,
    facts: &Facts,
    now: &Path,
    root: &Path,
    patterns: &[String],
    cancel: &Cancel,
) -> Result<Choice, Failure> {
    let before = match facts {
        Facts::Files { path, .. } => Path::new(path),
        _ => now,
    };
    Choice::find(vault, tree, &[root, now, before], patterns, cancel)
}

/// The folder of this run for what makes way at `path`: on the same file system, and in no capture.
pub(super) fn trash_of_run(path: &Path, work: &RestoreWork) -> PathBuf {
    let real = place::real(path);
    let beside = real.parent().unwrap_or(Path::new("/"));
    let apart = place::device(&real).ok() != place::device(beside).ok() || !place::writable(beside);
    let base = if apart && real.is_dir() { real.as_path() } else { beside };
    base.join(format!("{TRASH}{}", work.run))
}

/// The component's part of it.
pub(super) fn trash(path: &Path, work: &RestoreWork, name: &Name) -> PathBuf {
    trash_of_run(path, work).join(name.as_str())
}

/// What was kept may hold secrets: only the owner of the place looks into it, and git does not offer to add it.
pub(super) fn close_trash(base: &Option<PathBuf>) {
    let Some((base, folder)) = base.as_ref().and_then(|base| Some((base, base.parent()?))) else { return };
    if let (true, Ok(owner)) = (base.is_dir(), fs::metadata(folder)) {
        let _ = fs::write(base.join(".gitignore"), "*\n");
        let _ = config::set_facts(base, 0o700, owner.uid(), owner.gid());
    }
}

/// A directory or file on its way back.
pub(super) struct PutFiles<'a> {
    pub work: &'a RestoreWork,
    pub sealed: &'a ManifestComponent,
    pub node: &'a Node,
    pub path: &'a Path,
    pub keep: Keep,
    pub only: Option<Arc<Choice>>,
    pub cancel: &'a Cancel,
    pub meter: &'a Meter,
}

pub(super) fn put_back(put: PutFiles<'_>) -> Result<RestoreReport, Failure> {
    let PutFiles { work, sealed, node, path, keep, only, cancel, meter } = put;
    let trash = trash(path, work, &sealed.name);
    let root = keep.selection.root().to_path_buf();
    let single = keep.selection.is_single_file();
    let fresh = root.symlink_metadata().is_err();
    let mut kept = Vec::new();
    if !single && root.symlink_metadata().is_ok_and(|facts| !facts.is_dir()) {
        let away = trash.join("instead-of-folder");
        let said = |error: std::io::Error| Failure::io(&root, &error);
        fs::create_dir_all(&trash).map_err(said)?;
        fs::rename(&root, &away).map_err(said)?;
        kept.push(format!("the file that stood at {} in {}", root.display(), away.display()));
    }
    if let Some(folder) = root.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    }
    let options = RestoreOptions {
        existing: Existing::Replace {
            trash: trash.clone(),
            keep: Arc::new(move |relative, is_dir| keep.keeps(relative, is_dir)),
        },
        only: only
            .clone()
            .map(|only| -> holdfast_vault::Choice { Arc::new(move |relative, is_dir| only.wants(relative, is_dir)) }),
        ownership: true,
        privileged: work.privileged,
        cancel: cancel.clone(),
        meter: meter.clone(),
    };
    let restored = work.vault.restore(&tree(node)?, &root, options)?;
    if let Some(problem) = restored.problems.first() {
        let path = problem.path.as_ref().map(|path| format!("{}: ", place::shown(path))).unwrap_or_default();
        let more = restored.problems.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return Err(Failure::Said(format!("{path}{}{more}", problem.what)));
    }
    if fresh && !single && !matches!(work.destination, Destination::Folder(_)) {
        config::set_facts(&root, node.mode, node.uid, node.gid).map_err(|error| Failure::io(&root, &error))?;
    }
    if !restored.trashed.is_empty() {
        let count = restored.trashed.len();
        let what = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
        kept.push(format!("{what} in {}", trash.display()));
    }
    let mut warnings = Vec::new();
    if let Some(first) = restored.withheld.first() {
        let more = restored.withheld.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        warnings.push(format!("left out, for nobody asked for it by --privileged: {}{more}", first.what));
    }
    let matched = only.map(|only| {
        let what = if only.matched.count == 1 { "file".to_owned() } else { "files".to_owned() };
        format!("`{}`: {} {what} matched, {}", sealed.name, only.matched.count, size::display(only.bytes))
    });
    Ok(RestoreReport {
        files: restored.files,
        bytes: restored.bytes,
        kept,
        warnings,
        matched: matched.into_iter().collect(),
        ..RestoreReport::default()
    })
}
