//! The walk: list, compare with the parent, read what is new, write trees from the leaves up.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::files::{Outcome, Reader};
use super::meta::{Meta, xattrs_of, xattrs_of_path};
use super::{Archived, SkipReason, Skipped, Source};
use crate::node::{NodeKind, write_tree};
use crate::pack::BlobKind;
use crate::queue::Queue;
use crate::write::{Core, Tally};
use crate::{Chunking, Error, Meter, Node, TreeId};

/// Files of one batch, and their bytes.
const BATCH: usize = 48;
const BATCH_BYTES: u64 = 2 << 20;

enum Task {
    /// List a directory.
    List { up: Arc<Dir>, at: Arc<OwnedFd>, name: OsString, before: Option<Node> },
    /// The root, which is open already.
    Root { at: Arc<OwnedFd>, before: Option<Node> },
    /// Read files.
    Read { dir: Arc<Dir>, at: Arc<OwnedFd>, files: Vec<(OsString, Meta)> },
}

/// A directory whose tasks are not all done.
struct Dir {
    up: Option<Arc<Dir>>,
    path: PathBuf,
    /// The directory's own node, still without its tree.
    node: Node,
    before: Option<Node>,
    nodes: Mutex<Vec<Node>>,
    left: AtomicUsize,
    /// Every entry is as it was in `before`.
    same: AtomicBool,
}

struct Walk<'a> {
    core: &'a Core,
    source: &'a Source,
    meter: &'a Meter,
    queue: Queue<Task>,
    tally: Arc<Tally>,
    skipped: Mutex<Vec<Skipped>>,
    root: Mutex<Option<Node>>,
    error: Mutex<Option<Error>>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    files: AtomicU64,
    dirs: AtomicU64,
    others: AtomicU64,
    unchanged: AtomicU64,
    bytes: AtomicU64,
}

pub(crate) fn run(core: &Arc<Core>, source: &Source, meter: &Meter) -> Result<Archived, Error> {
    core.check()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root =
        rustix::fs::openat(CWD, &source.root, flags, Mode::empty()).map_err(|error| Error::io(&source.root, error))?;
    let before = source.parent.map(|tree| Node::dir("", tree, time::OffsetDateTime::UNIX_EPOCH));
    let workers = core.vault.options.threads.max(1);
    let walk = Walk {
        core,
        source,
        meter,
        queue: Queue::new(workers, Task::Root { at: Arc::new(root), before }),
        tally: Arc::new(Tally::new(meter)),
        skipped: Mutex::default(),
        root: Mutex::default(),
        error: Mutex::default(),
        counts: Counts::default(),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(|| walk.work())).collect();
        for thread in threads {
            if thread.join().is_err() {
                walk.stop(Error::Refused("a walker died".into()));
            }
        }
    });
    walk.archived()
}

impl Walk<'_> {
    fn archived(self) -> Result<Archived, Error> {
        if let Some(error) = self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let root = self.root.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (node, tree) = root
            .and_then(|node| node.subtree.map(|tree| (node, tree)))
            .ok_or_else(|| Error::Refused("the walk ended without a tree".into()))?;
        let mut skipped = self.skipped.into_inner().unwrap_or_else(PoisonError::into_inner);
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Archived {
            node,
            tree,
            files: self.counts.files.into_inner(),
            dirs: self.counts.dirs.into_inner(),
            others: self.counts.others.into_inner(),
            unchanged: self.counts.unchanged.into_inner(),
            bytes: self.counts.bytes.into_inner(),
            stored: self.tally.stored(),
            skipped,
        })
    }

    fn stop(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.queue.end();
    }

    fn skip(&self, path: PathBuf, reason: SkipReason, message: impl Into<String>) {
        let skipped = Skipped { path, reason, message: message.into() };
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).push(skipped);
    }

    fn skip_unreadable(&self, path: PathBuf, error: Errno) {
        self.skip(path, SkipReason::Unreadable, std::io::Error::from(error).to_string());
    }

    fn work(&self) {
        // A panic must not leave the others waiting.
        struct EndOnPanic<'a>(&'a Queue<Task>);
        impl Drop for EndOnPanic<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.end();
                }
            }
        }
        let _guard = EndOnPanic(&self.queue);
        let cutter = self.core.vault.cutters.get(Chunking::Files);
        let mut reader = match Reader::new(self.core, cutter, self.tally.clone()) {
            Ok(reader) => reader,
            Err(error) => return self.stop(error),
        };
        let mut listing = vec![MaybeUninit::uninit(); 64 << 10];
        while let Some(task) = self.queue.pop() {
            let done = self.core.check().and_then(|()| match task {
                Task::Read { dir, at, files } => self.read(&mut reader, &dir, &at, files),
                Task::Root { at, before } => self.list(&mut reader, &mut listing, None, at, OsString::new(), before),
                Task::List { up, at, name, before } => self.enter(&mut reader, &mut listing, up, &at, name, before),
            });
            if let Err(error) = done {
                return self.stop(error);
            }
        }
    }

    fn enter(
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
    fn list(
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

    fn say_odd(&self, path: &Path, names: &[OsString]) {
        for name in names {
            let message = format!("extended attribute {name:?}: its name is not text");
            self.skip(path.to_owned(), SkipReason::Unsupported, message);
        }
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

    fn read(
        &self,
        reader: &mut Reader<'_>,
        dir: &Arc<Dir>,
        at: &Arc<OwnedFd>,
        files: Vec<(OsString, Meta)>,
    ) -> Result<(), Error> {
        let mut nodes = Vec::with_capacity(files.len());
        for (name, meta) in files {
            self.core.check()?;
            let outcome = reader.read(at.as_fd(), &name, meta)?;
            let path = || dir.path.join(&name);
            match outcome {
                Outcome::Read { node, unsettled, odd } => {
                    if unsettled {
                        self.skip(path(), SkipReason::Unsettled, "it changed each time that it was read");
                    }
                    if !odd.is_empty() {
                        self.say_odd(&path(), &odd);
                    }
                    self.counts.bytes.fetch_add(node.size, Ordering::Relaxed);
                    self.meter.add_bytes(node.size);
                    self.meter.add_files(1);
                    nodes.push(*node);
                }
                Outcome::Gone => {}
                Outcome::Unreadable(error) => self.skip_unreadable(path(), error),
            }
        }
        self.counts.files.fetch_add(nodes.len() as u64, Ordering::Relaxed);
        dir.nodes.lock().unwrap_or_else(PoisonError::into_inner).extend(nodes);
        self.leave(reader, dir.clone())
    }

    /// One task of a directory is done; if it was the last, its tree is written, and so on upwards.
    fn leave(&self, reader: &mut Reader<'_>, mut dir: Arc<Dir>) -> Result<(), Error> {
        while dir.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let tree = self.tree_of(reader, &dir)?;
            let mut node = dir.node.clone();
            node.subtree = Some(tree);
            self.counts.dirs.fetch_add(1, Ordering::Relaxed);
            self.meter.add_files(1);
            let Some(up) = dir.up.clone() else {
                *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(node);
                return Ok(());
            };
            if dir.before.as_ref() != Some(&node) {
                up.same.store(false, Ordering::Relaxed);
            }
            up.nodes.lock().unwrap_or_else(PoisonError::into_inner).push(node);
            dir = up;
        }
        Ok(())
    }

    fn tree_of(&self, reader: &mut Reader<'_>, dir: &Dir) -> Result<TreeId, Error> {
        let mut nodes = std::mem::take(&mut *dir.nodes.lock().unwrap_or_else(PoisonError::into_inner));
        let before = dir.before.as_ref().and_then(|node| node.subtree);
        if let Some(tree) = before.filter(|_| dir.same.load(Ordering::Relaxed))
            && self.core.vault.index().has(BlobKind::Tree, &tree)
        {
            return Ok(tree);
        }
        nodes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        reader.store_tree(&write_tree(&nodes))
    }
}

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
