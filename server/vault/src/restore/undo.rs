//! A restore that cannot go on leaves what stood there, not half of each.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::PoisonError;

use rustix::fs::AtFlags;

use super::plan::Plan;
use super::target::Target;
use super::trash::Trash;

/// Removes what this restore has made, and nothing else; then what made way goes back. What was made meanwhile by others
/// stays, and so does, in the trash, what belongs in its place.
pub(super) fn undo(target: &Target, plan: &Plan, trash: Trash) {
    let files = plan.files.iter().filter(|file| *file.made.lock().unwrap_or_else(PoisonError::into_inner));
    let files = files.map(|file| (file.dir, &file.node.name));
    for (dir, name) in files.chain(plan.made.iter().map(|(dir, name)| (*dir, name))) {
        remove(target, &plan.dirs[dir].path, name, AtFlags::empty());
    }
    // A directory stands behind the one that it lies in.
    for dir in plan.dirs.iter().rev().filter(|dir| !dir.existed) {
        if let (Some(parent), Some(name)) = (dir.path.parent(), dir.path.file_name()) {
            remove(target, parent, name, AtFlags::REMOVEDIR);
        }
    }
    trash.give_back(target);
}

fn remove(target: &Target, dir: &Path, name: &OsStr, flags: AtFlags) {
    let removed = target.dir(dir).and_then(|dir| rustix::fs::unlinkat(dir, name, flags));
    if let Err(error) = removed {
        tracing::warn!(path = %dir.join(name).display(), %error, "what a restore had made was not removed");
    }
}
