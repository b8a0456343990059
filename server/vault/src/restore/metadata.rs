//! Owner, attributes, permissions and times, in the order in which they do not undo each other: a change of owner drops
//! set-uid bits and capabilities, and everything moves the times.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use time::OffsetDateTime;

use super::Job;
use super::existing::mtime;
use super::plan::{Plan, PlannedDir};
use crate::Error;
use crate::archive::{Meta, xattrs_of};
use crate::node::{Node, NodeKind, Xattr};

/// The attribute that gives a program rights of root.
pub(super) const CAPABILITY: &str = "security.capability";

fn times(node: &Node) -> Timestamps {
    let stamp = |time: OffsetDateTime| Timespec { tv_sec: time.unix_timestamp(), tv_nsec: time.nanosecond().into() };
    Timestamps { last_access: stamp(node.atime), last_modification: stamp(node.mtime) }
}

/// Sets everything on a file or directory that we have just made.
pub(super) fn set_new(job: &Job<'_>, file: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    set_all_but_times(job, file, path, node)?;
    report(job, path, "times", rustix::fs::futimens(file, &times(node)))
}

/// The same, for a file whose times come later.
pub(super) fn set_all_but_times(job: &Job<'_>, file: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    if job.chown {
        let owner = (Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)));
        report(job, path, "owner", rustix::fs::fchown(file, owner.0, owner.1))?;
    }
    for Xattr { name, value } in &node.xattrs {
        let set = rustix::fs::fsetxattr(file, name.as_str(), value, XattrFlags::empty());
        report(job, path, name, set)?;
    }
    report(job, path, "permissions", rustix::fs::fchmod(file, Mode::from_raw_mode(node.mode)))
}

/// Sets the times of an entry of this directory.
pub(super) fn set_times(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    let set = rustix::fs::utimensat(dir, &node.name, &times(node), AtFlags::SYMLINK_NOFOLLOW);
    report(job, path, "times", set)
}

/// Sets what differs: a file that needs nothing keeps its ctime, and is known as unchanged in the next backup.
fn set_existing(job: &Job<'_>, file: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    let meta = Meta::of(file).map_err(|error| Error::io(path, error))?;
    let (mut have, _) = xattrs_of(file).unwrap_or_default();
    if !job.options.privileged {
        // Neither given nor taken away.
        have.retain(|xattr| xattr.name != CAPABILITY);
    }
    let owned = !job.chown || (meta.uid, meta.gid) == (node.uid, node.gid);
    if owned && meta.mode == node.mode && mtime(&meta) == Some(node.mtime) && have == node.xattrs {
        return Ok(());
    }
    for Xattr { name, .. } in have.iter().filter(|had| node.xattrs.iter().all(|xattr| xattr.name != had.name)) {
        report(job, path, name, rustix::fs::fremovexattr(file, name.as_str()))?;
    }
    set_new(job, file, path, node)
}

/// Sets what differs on a file that stands there with the right content.
pub(super) fn set_existing_file(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, &node.name, flags, Mode::empty()) {
        Ok(file) => set_existing(job, file.as_fd(), path, node),
        Err(error) => job.entry_failed(path, "metadata", error),
    }
}

/// Sets everything on an entry that cannot be opened.
pub(super) fn set_special(job: &Job<'_>, dir: BorrowedFd<'_>, path: &Path, node: &Node) -> Result<(), Error> {
    if job.chown {
        let owner = (Some(Uid::from_raw(node.uid)), Some(Gid::from_raw(node.gid)));
        let set = rustix::fs::chownat(dir, &node.name, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW);
        report(job, path, "owner", set)?;
    }
    if node.kind != NodeKind::Symlink {
        let mut place = OsString::from(format!("/proc/self/fd/{}/", dir.as_raw_fd()));
        place.push(&node.name);
        for Xattr { name, value } in &node.xattrs {
            let set = rustix::fs::lsetxattr(place.as_os_str(), name.as_str(), value, XattrFlags::empty());
            report(job, path, name, set)?;
        }
        // Permissions go through a handle, for there is no way to set them that refuses links.
        let set = rustix::fs::openat(dir, &node.name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .and_then(|handle| {
                let place = format!("/proc/self/fd/{}", handle.as_raw_fd());
                rustix::fs::chmodat(CWD, place.as_str(), Mode::from_raw_mode(node.mode), AtFlags::empty())
            });
        report(job, path, "permissions", set)?;
    }
    set_times(job, dir, path, node)
}

fn report(job: &Job<'_>, path: &Path, what: &str, outcome: Result<(), Errno>) -> Result<(), Error> {
    outcome.or_else(|error| job.entry_failed(path, what, error))
}

/// The directories' own metadata, from the leaves up, when nothing is written into them any more.
pub(super) fn finish_dirs(job: &Job<'_>, plan: &mut Plan) -> Result<(), Error> {
    let depth = |dir: &PlannedDir| dir.path.components().count();
    plan.dirs.sort_by_cached_key(|dir| std::cmp::Reverse(depth(dir)));
    for level in plan.dirs.chunk_by(|a, b| depth(a) == depth(b)) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(dir) = level.get(next.fetch_add(1, Ordering::Relaxed)) {
                job.check()?;
                finish_dir(job, dir)?;
            }
            Ok(())
        };
        if level.len() < 32 { work()? } else { job.on_all_threads(work)? }
    }
    Ok(())
}

fn finish_dir(job: &Job<'_>, dir: &PlannedDir) -> Result<(), Error> {
    let Some(node) = &dir.node else { return Ok(()) };
    let opened = match job.target.dir(&dir.path) {
        Ok(opened) => opened,
        Err(error) => return job.entry_failed(&dir.path, "directory", error),
    };
    let set = if dir.existed { set_existing } else { set_new };
    set(job, opened.as_fd(), &dir.path, node)?;
    job.done(1);
    Ok(())
}

/// Gives `to` what `from` has; for copies into a trash on another file system.
pub(super) fn set_plain(to: BorrowedFd<'_>, from: BorrowedFd<'_>, meta: &Meta) -> Result<(), Errno> {
    // Only root may give files away; an attribute that this file system has no place for is no reason to lose the rest.
    let _ = rustix::fs::fchown(to, Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
    for Xattr { name, value } in xattrs_of(from)?.0 {
        let _ = rustix::fs::fsetxattr(to, name.as_str(), &value, XattrFlags::empty());
    }
    rustix::fs::fchmod(to, Mode::from_raw_mode(meta.mode))?;
    rustix::fs::futimens(to, &stamps(meta))
}

/// The same for an entry that cannot be opened, in a directory of our own.
pub(super) fn set_plain_special(to: &Path, meta: &Meta) -> Result<(), Errno> {
    let owner = (Some(Uid::from_raw(meta.uid)), Some(Gid::from_raw(meta.gid)));
    let _ = rustix::fs::chownat(CWD, to, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW);
    if meta.kind != NodeKind::Symlink {
        rustix::fs::chmodat(CWD, to, Mode::from_raw_mode(meta.mode), AtFlags::empty())?;
    }
    rustix::fs::utimensat(CWD, to, &stamps(meta), AtFlags::SYMLINK_NOFOLLOW)
}

fn stamps(meta: &Meta) -> Timestamps {
    let stamp = Timespec { tv_sec: meta.mtime.0, tv_nsec: meta.mtime.1.into() };
    Timestamps { last_access: stamp, last_modification: stamp }
}
