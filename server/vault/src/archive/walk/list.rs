//! Listing a directory: each entry is compared with the parent's, and what is new becomes a task.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::{Dir, Task, Walk};
use crate::archive::files::Reader;
use crate::archive::meta::{Meta, xattrs_of, xattrs_of_path};
use crate::node::NodeKind;
use crate::pack::BlobKind;
use crate::{Error, Node};

/// Files of one batch, and their bytes.
const BATCH: usize = 48;
const BATCH_BYTES: u64 = 2 << 20;

/// What a directory holds, sorted by what is to be done.
struct Found {
    old: HashMap<OsString, Node>,
    dirs: Vec<(OsString, Option<Node>)>,
    files: Vec<(OsString, Meta)>,
    /// Done already.
    nodes: Vec<Node>,
    unchanged: u64,
    others: u64,
    bytes: u64,
    same: bool,
}

impl Default for Found {
    fn default() -> Found {
        Found {
            old: HashMap::new(),
            dirs: Vec::new(),
            files: Vec::new(),
            nodes: Vec::new(),
            unchanged: 0,
            others: 0,
            bytes: 0,
            same: true,
        }
    }
}

impl Found {
    /// The files to read, in the order of their inodes and thus roughly of their places on the disk.
    fn batches(&mut self) -> Vec<Vec<(OsString, Meta)>> {
        let mut files = std::mem::take(&mut self.files);
        files.sort_unstable_by_key(|(_, meta)| meta.inode);
        let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), 0);
        for file in files {
            bytes += file.1.size;
            batch.push(file);
            if batch.len() >= BATCH || bytes >= BATCH_BYTES {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            batches.push(batch);
        }
        batches
    }
}

impl Walk<'_> {
    pub(super) fn enter(
        &self,
        reader: &mut Reader<'_>,
        listing: &mut [MaybeUninit<u8>],
        up: Arc<Dir>,
        at: &OwnedFd,
        name: OsString,
        before: Option<Node>,
    ) -> Result<(), Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(at, name.as_os_str(), flags, Mode::empty()) {
            Ok(fd) => return self.list(reader, listing, Some(up), Arc::new(fd), name, before),
            Err(Errno::NOENT) => {}
            Err(error) => self.skip_unreadable(up.path.join(&name), error),
        }
        up.same.store(false, Ordering::Relaxed);
        self.leave(reader, up)
    }

    /// Lists a directory and makes tasks of what is in it.
    pub(super) fn list(
        &self,
        reader: &mut Reader<'_>,
        listing: &mut [MaybeUninit<u8>],
        up: Option<Arc<Dir>>,
        at: Arc<OwnedFd>,
        name: OsString,
        before: Option<Node>,
    ) -> Result<(), Error> {
        let path = up.as_ref().map_or_else(PathBuf::new, |up| up.path.join(&name));
        self.meter.set_current(&path.to_string_lossy());
        let own = match self.dir_node(reader, &at, &path, name, before.as_ref()) {
            Ok(node) => node,
            Err(error) => return self.unlistable(reader, up, path, error),
        };
        let mut old: HashMap<OsString, Node> = HashMap::new();
        if let Some(tree) = before.as_ref().and_then(|node| node.subtree) {
            match self.core.vault.tree(&tree) {
                Ok(tree) => old.extend(tree.nodes.into_iter().map(|node| (node.name.clone(), node))),
                // The parent only saves work; without it all is read anew.
                Err(error) => tracing::warn!(%error, path = %path.display(), "the parent's tree cannot be read"),
            }
        }
        let mut found = Found { old, ..Found::default() };
        let mut entry_path = path.clone();
        let mut entries = RawDir::new(&*at, listing);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unlistable(reader, up, path, error),
            };
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            entry_path.push(name);
            self.classify(reader, &at, name, &entry_path, &mut found)?;
            entry_path.pop();
        }
        self.add_counts(&found);
        let dirs = std::mem::take(&mut found.dirs);
        let batches = found.batches();
        let same = before.is_some() && found.same && found.old.is_empty() && batches.is_empty();
        let dir = Arc::new(Dir {
            up,
            path,
            node: own,
            before,
            nodes: Mutex::new(found.nodes),
            // One more, so that it does not end before all its tasks stand in the queue.
            left: AtomicUsize::new(dirs.len() + batches.len() + 1),
            same: AtomicBool::new(same),
        });
        let mut tasks: Vec<Task> = Vec::with_capacity(dirs.len() + batches.len());
        for (name, before) in dirs.into_iter().rev() {
            tasks.push(Task::List { up: dir.clone(), at: at.clone(), name, before });
        }
        tasks.extend(batches.into_iter().map(|files| Task::Read { dir: dir.clone(), at: at.clone(), files }));
        drop(at);
        self.queue.push(tasks);
        self.leave(reader, dir)
    }

    /// The root must be there; any other directory that cannot be listed is not in the tree, and said to be missing.
    fn unlistable(
        &self,
        reader: &mut Reader<'_>,
        up: Option<Arc<Dir>>,
        path: PathBuf,
        error: Errno,
    ) -> Result<(), Error> {
        let Some(up) = up else { return Err(Error::io(&self.source.root, error)) };
        up.same.store(false, Ordering::Relaxed);
        if error != Errno::NOENT {
            self.skip_unreadable(path, error);
        }
        self.leave(reader, up)
    }

    fn dir_node(
        &self,
        reader: &mut Reader<'_>,
        at: &OwnedFd,
        path: &Path,
        name: OsString,
        before: Option<&Node>,
    ) -> Result<Node, Errno> {
        let meta = Meta::of(at)?;
        let mut node = meta.node(name, &mut reader.names);
        match before.filter(|before| meta.is_still(before)) {
            Some(before) => node.xattrs.clone_from(&before.xattrs),
            None => {
                let (xattrs, odd) = xattrs_of(at.as_fd())?;
                node.xattrs = xattrs;
                self.say_odd(path, &odd);
            }
        }
        Ok(node)
    }

    /// Decides what is to be done about an entry.
    fn classify(
        &self,
        reader: &mut Reader<'_>,
        at: &Arc<OwnedFd>,
        name: &OsStr,
        path: &Path,
        found: &mut Found,
    ) -> Result<(), Error> {
        let meta = match Meta::at(at.as_fd(), name) {
            Ok(meta) => meta,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => {
                self.skip_unreadable(path.to_owned(), error);
                return Ok(());
            }
        };
        if !(self.source.filter)(path, meta.kind == NodeKind::Dir) {
            return Ok(());
        }
        let old = found.old.remove(name);
        match meta.kind {
            NodeKind::Dir => {
                let old = old.filter(Node::is_dir);
                found.same &= old.is_some();
                found.dirs.push((name.to_owned(), old));
            }
            NodeKind::File => match old {
                Some(old) if meta.is_still(&old) && self.has_content(&old) => {
                    found.unchanged += 1;
                    found.bytes += old.size;
                    found.nodes.push(old);
                }
                _ => found.files.push((name.to_owned(), meta)),
            },
            _ => match old {
                Some(old) if meta.is_still(&old) => {
                    found.others += 1;
                    found.nodes.push(old);
                }
                _ => {
                    found.same = false;
                    self.other(reader, at, name, path, &meta, found);
                }
            },
        }
        Ok(())
    }

    fn has_content(&self, node: &Node) -> bool {
        let index = self.core.vault.index();
        node.content.iter().all(|id| index.has(BlobKind::Data, id))
    }

    /// A link, pipe, socket or device.
    fn other(
        &self,
        reader: &mut Reader<'_>,
        at: &Arc<OwnedFd>,
        name: &OsStr,
        path: &Path,
        meta: &Meta,
        found: &mut Found,
    ) {
        let mut node = meta.node(name.to_owned(), &mut reader.names);
        let filled = if meta.kind == NodeKind::Symlink {
            rustix::fs::readlinkat(at, name, Vec::new()).map(|target| {
                node.linktarget = OsString::from_vec(target.into_bytes());
            })
        } else {
            xattrs_of_path(at.as_fd(), name).map(|(xattrs, odd)| {
                node.xattrs = xattrs;
                self.say_odd(path, &odd);
            })
        };
        match filled {
            Ok(()) => {
                found.others += 1;
                found.nodes.push(node);
            }
            Err(Errno::NOENT | Errno::INVAL) => {}
            Err(error) => self.skip_unreadable(path.to_owned(), error),
        }
    }

    fn add_counts(&self, found: &Found) {
        let files = found.unchanged;
        self.counts.files.fetch_add(files, Ordering::Relaxed);
        self.counts.unchanged.fetch_add(files, Ordering::Relaxed);
        self.counts.others.fetch_add(found.others, Ordering::Relaxed);
        self.counts.bytes.fetch_add(found.bytes, Ordering::Relaxed);
        self.meter.add_files(files + found.others);
        self.meter.add_bytes(found.bytes);
    }
}
