//! The plan: directories and small things are made while the trees are read, files are noted down.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::existing::{Existed, Standing};
use super::target::DIR;
use super::{Job, Wanted, metadata};
use crate::node::NodeKind;
use crate::queue::Queue;
use crate::{Error, Node, Problem, TreeId};

/// Everything that is left to do once the directories stand.
#[derive(Default)]
pub(super) struct Plan {
    /// Relative paths, with the nodes whose metadata is set at the end; the root has none, nor what is passed through.
    pub dirs: Vec<PlannedDir>,
    pub files: Vec<PlannedFile>,
    pub links: Vec<PlannedLink>,
    /// What has been made beside files and directories: number of the directory, and name.
    pub made: Vec<(usize, OsString)>,
    leaders: HashMap<(u64, u64), Leader>,
}

pub(super) struct PlannedDir {
    pub path: PathBuf,
    pub node: Option<Node>,
    /// It stood there before us.
    pub existed: bool,
}

/// A file to be written.
pub(super) struct PlannedFile {
    /// Number of its directory.
    pub dir: usize,
    pub node: Node,
    /// Blobs that are still to be written.
    pub left: AtomicUsize,
    /// Whether it has been made.
    pub made: Mutex<bool>,
}

/// A further name of a file.
pub(super) struct PlannedLink {
    pub dir: usize,
    pub name: OsString,
    /// Directory and name of the first.
    pub to: (usize, OsString),
}

/// The first of the files that share an inode.
struct Leader {
    dir: usize,
    node: Node,
    /// If it stood there unchanged: the inode that it has here.
    inode: Option<(u64, u64)>,
}

struct Task {
    number: usize,
    path: PathBuf,
    fd: Arc<OwnedFd>,
    tree: TreeId,
    existed: bool,
}

impl Plan {
    /// As far as it came, and what stopped it.
    pub(super) fn make(job: &Job<'_>, tree: &TreeId) -> (Plan, Result<(), Error>) {
        let existed = job.trash.is_some();
        let plan = Plan { dirs: vec![PlannedDir { path: PathBuf::new(), node: None, existed }], ..Plan::default() };
        let root = match job.target.dir(Path::new("")) {
            Ok(root) => root,
            Err(error) => return (plan, Err(Error::io(&job.target.path, error))),
        };
        let first = Task { number: 0, path: PathBuf::new(), fd: Arc::new(root), tree: *tree, existed };
        let queue = Queue::new(job.threads(), first);
        let plan = Mutex::new(plan);
        let outcome = job.on_all_threads(|| {
            while let Some(task) = queue.pop() {
                if let Err(error) = job.check().and_then(|()| Planner { job, plan: &plan, task }.list(&queue)) {
                    queue.end();
                    return Err(error);
                }
            }
            Ok(())
        });
        (plan.into_inner().unwrap_or_else(PoisonError::into_inner), outcome)
    }
}

/// One directory's turn.
struct Planner<'a> {
    job: &'a Job<'a>,
    plan: &'a Mutex<Plan>,
    task: Task,
}

impl Planner<'_> {
    fn list(self, queue: &Queue<Task>) -> Result<(), Error> {
        let tree = match self.job.vault.tree(&self.task.tree) {
            Ok(tree) => tree,
            Err(Error::Damaged { what }) => {
                self.job.problem(Problem::new(what).path(&self.task.path).blob(self.task.tree));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut standing = if self.task.existed {
            Standing::list(self.job, self.task.fd.as_fd(), &self.task.path)?
        } else {
            Standing::default()
        };
        let (mut tasks, mut files) = (Vec::new(), Vec::new());
        for node in tree.nodes {
            let path = self.task.path.join(&node.name);
            if !node.has_safe_name() {
                // Nobody can have asked for it by its name.
                if !self.job.wants_all_of(&self.task.path) {
                    continue;
                }
                let what = format!("{:?} cannot be a name in {}", node.name, self.task.path.display());
                self.job.problem(Problem::new(what).path(path));
                continue;
            }
            let wanted = self.job.wants(&path, node.is_dir());
            if wanted == Wanted::No {
                continue;
            }
            if !self.job.options.privileged && matches!(node.kind, NodeKind::Device | NodeKind::CharDevice) {
                if !standing.has_same(self.job, self.task.fd.as_fd(), &node) {
                    self.job.withhold(&path, "a device is not made");
                }
                continue;
            }
            let existed = match wanted {
                Wanted::Through => standing.pass_through(self.job, &path, &node),
                _ => standing.make_way(self.job, self.task.fd.as_fd(), &path, &node)?,
            };
            if matches!(existed, Existed::Kept) {
                continue;
            }
            let node = if self.job.options.privileged { node } else { self.tamed(&path, node, &existed) };
            match node.kind {
                NodeKind::Dir => tasks.extend(self.dir(path, node, wanted, matches!(existed, Existed::Same(_)))?),
                NodeKind::File => files.push((path, node, existed)),
                _ => self.special(&path, &node, &existed)?,
            }
        }
        if self.job.options.only.is_none() {
            standing.trash_rest(self.job, self.task.fd.as_fd(), &self.task.path)?;
        }
        self.files(files)?;
        queue.push(tasks);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry without what would let it do more than its owner may. A file that stands there with the same owner
    /// keeps the bits that it has.
    fn tamed(&self, path: &Path, mut node: Node, existed: &Existed) -> Node {
        const RAISING: u32 = 0o6000;
        if node.is_dir() || node.kind == NodeKind::Symlink {
            return node;
        }
        let (had, standing) = match existed {
            Existed::Same(meta) if (meta.uid, meta.gid) == (node.uid, node.gid) => (meta.mode & RAISING, true),
            Existed::Same(_) => (0, true),
            _ => (0, false),
        };
        let wanted = node.mode;
        node.mode = (wanted & !RAISING) | (wanted & had);
        if node.mode != wanted {
            self.job.withhold(path, "its set-uid or set-gid bit is not put back");
        }
        let xattrs = node.xattrs.len();
        node.xattrs.retain(|xattr| xattr.name != metadata::CAPABILITY);
        if node.xattrs.len() != xattrs && !standing {
            self.job.withhold(path, "its capabilities are not put back");
        }
        node
    }

    fn dir(&self, path: PathBuf, node: Node, wanted: Wanted, existed: bool) -> Result<Option<Task>, Error> {
        let fd = &self.task.fd;
        let made = if existed { Ok(()) } else { rustix::fs::mkdirat(fd, &node.name, Mode::RWXU) };
        let opened = made.and_then(|()| rustix::fs::openat(fd, &node.name, DIR, Mode::empty()));
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.job.entry_failed(&path, "directory", error)?;
                return Ok(None);
            }
        };
        let Some(tree) = node.subtree else {
            self.job.problem(Problem::new(format!("{}: a directory without a tree", path.display())).path(path));
            return Ok(None);
        };
        let mut plan = self.lock();
        let number = plan.dirs.len();
        let node = (wanted == Wanted::Yes || !existed).then_some(node);
        plan.dirs.push(PlannedDir { path: path.clone(), node, existed });
        Ok(Some(Task { number, path, fd: Arc::new(opened), tree, existed }))
    }

    /// A link, pipe, socket or device.
    fn special(&self, path: &Path, node: &Node, existed: &Existed) -> Result<(), Error> {
        let fd = &self.task.fd;
        let mode = Mode::RUSR | Mode::WUSR;
        let make = |kind, device| rustix::fs::mknodat(fd, &node.name, kind, mode, device);
        let made = match (existed, node.kind) {
            (Existed::Same(_), _) => Ok(()),
            (_, NodeKind::Symlink) => rustix::fs::symlinkat(&node.linktarget, fd, &node.name),
            (_, NodeKind::Fifo) => make(FileType::Fifo, 0),
            (_, NodeKind::Socket) => make(FileType::Socket, 0),
            (_, NodeKind::Device) => make(FileType::BlockDevice, node.device),
            (_, NodeKind::CharDevice) => make(FileType::CharacterDevice, node.device),
            (_, NodeKind::File | NodeKind::Dir) => Err(Errno::INVAL),
        };
        if let Err(error) = made {
            return self.job.entry_failed(path, node.kind.word(), error);
        }
        if !matches!(existed, Existed::Same(_)) {
            self.lock().made.push((self.task.number, node.name.clone()));
        }
        metadata::set_special(self.job, fd.as_fd(), path, node)?;
        self.job.done(1);
        Ok(())
    }

    fn files(&self, files: Vec<(PathBuf, Node, Existed)>) -> Result<(), Error> {
        for (path, node, existed) in files {
            let key = (node.inode, node.device_id);
            let linked = node.links > 1 && node.inode != 0;
            let inode = match &existed {
                Existed::Same(meta) => Some((meta.device_id, meta.inode)),
                _ => None,
            };
            if linked && self.follow(&path, &node, inode)? {
                continue;
            }
            if linked {
                let leader = Leader { dir: self.task.number, node: node.clone(), inode };
                self.lock().leaders.entry(key).or_insert(leader);
            }
            if let Existed::Same(_) = existed {
                metadata::set_existing_file(self.job, self.task.fd.as_fd(), &path, &node)?;
                self.job.unchanged.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.job.done(1);
                continue;
            }
            let left = AtomicUsize::new(node.content.len());
            let file = PlannedFile { dir: self.task.number, node, left, made: Mutex::new(false) };
            self.lock().files.push(file);
        }
        Ok(())
    }

    /// Whether the file is a further name of one that was seen; then it is linked later, or is already.
    fn follow(&self, path: &Path, node: &Node, inode: Option<(u64, u64)>) -> Result<bool, Error> {
        let mut plan = self.lock();
        let Some(leader) = plan.leaders.get(&(node.inode, node.device_id)) else { return Ok(false) };
        if leader.node.content != node.content || leader.node.size != node.size {
            return Ok(false);
        }
        let to = (leader.dir, leader.node.name.clone());
        if inode.is_some() && leader.inode == inode {
            drop(plan);
            self.job.unchanged.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.job.done(1);
            return Ok(true);
        }
        if inode.is_some() {
            // Right content, but a file of its own.
            super::existing::trash(self.job, self.task.fd.as_fd(), path, &node.name)?;
        }
        plan.links.push(PlannedLink { dir: self.task.number, name: node.name.clone(), to });
        Ok(true)
    }
}
