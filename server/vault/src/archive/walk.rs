//! The walk: list, compare with the parent, read what is new, write trees from the leaves up.

mod list;

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::files::{Outcome, Reader};
use super::meta::Meta;
use super::{Archived, SkipReason, Skipped, Source};
use crate::node::write_tree;
use crate::pack::BlobKind;
use crate::queue::Queue;
use crate::write::{Core, Tally};
use crate::{Chunking, Error, Meter, Node, TreeId};

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

    fn say_odd(&self, path: &Path, names: &[OsString]) {
        for name in names {
            let message = format!("extended attribute {name:?}: its name is not text");
            self.skip(path.to_owned(), SkipReason::Unsupported, message);
        }
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
