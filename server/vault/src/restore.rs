//! A tree in the vault becomes a directory on disk again.
//!
//! First the directories are made and everything that has no content; what stands in the way goes to the trash. Then the
//! packs are read in order, each range once, and each blob is written to all its places. Then all of it is brought to the
//! disk, before files that were written in parts get their times; then hard links, and at last the directories' own
//! metadata, from the leaves up.
//!
//! What cannot go on, because the disk is full or somebody cancelled it, is undone: what it made goes, and what made way
//! comes back.
//!
//! No path is ever resolved as a whole: each step is taken from an open directory and refuses links. So neither a link
//! in the target nor an odd name in a tree leads out of the target.

mod content;
mod existing;
mod metadata;
mod plan;
mod target;
mod trash;
mod undo;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::vault::Opened;
use crate::{Cancel, Error, Meter, Problem, TreeId};
use plan::Plan;
use target::Target;
use trash::Trash;

/// How to restore.
#[derive(Clone)]
pub struct RestoreOptions {
    /// What to do with what stands in the target.
    pub existing: Existing,
    /// Which entries of the tree are wanted; all where it is none.
    pub only: Option<Choice>,
    /// Set owner and group, where we are root.
    pub ownership: bool,
    /// Make devices, and give files their set-uid and set-gid bits and capabilities: whoever can write to the vault
    /// could otherwise get more on this host than the files say.
    pub privileged: bool,
    /// Stops it between two blobs.
    pub cancel: Cancel,
    /// Counts restored files and bytes.
    pub meter: Meter,
}

impl Default for RestoreOptions {
    fn default() -> RestoreOptions {
        RestoreOptions {
            existing: Existing::Refuse,
            only: None,
            ownership: true,
            privileged: false,
            cancel: Cancel::new(),
            meter: Meter::new(),
        }
    }
}

impl RestoreOptions {
    /// Everything as it was, devices and set-uid bits too: for a vault that is trusted as the disk is.
    pub fn faithful() -> RestoreOptions {
        RestoreOptions { privileged: true, ..RestoreOptions::default() }
    }
}

/// Says of a path relative to the target, and whether it is a directory, whether a restore wants it.
pub type Choice = Arc<dyn Fn(&Path, bool) -> Wanted + Send + Sync>;

/// What a restore does with an entry of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is put back; of a directory that is the directory itself, and each entry of it is asked for in its turn.
    Yes,
    /// A directory that is only passed through: one that stands there stays as it is, one that does not is made.
    Through,
    /// It is no part of this restore, and what stands there stays.
    No,
}

/// What to do with what stands in the target.
#[derive(Clone)]
pub enum Existing {
    /// The target must be absent or empty.
    Refuse,
    /// Entries that equal the tree's stay, others make way into `trash`. They come back from there when the restore ends
    /// by an error; entries that stayed may have the tree's metadata then.
    Replace {
        /// Where they go, under their relative paths; made when first needed. Best on the target's file system.
        trash: PathBuf,
        /// Says of a path relative to the target, and whether it is a directory, that it stays as it is.
        keep: crate::Filter,
    },
}

/// What a restore did.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Entries made or found equal: files, directories, links and the rest.
    pub files: u64,
    /// Bytes of file content written.
    pub bytes: u64,
    /// Files that stood there with the right content.
    pub unchanged: u64,
    /// Relative paths that were moved to the trash.
    pub trashed: Vec<PathBuf>,
    /// What could not be restored, entry by entry.
    pub problems: Vec<Problem>,
    /// What was left out because it was not asked for: devices, and what would let files do more than others.
    pub withheld: Vec<Problem>,
}

/// What all workers of a restore share.
struct Job<'a> {
    vault: &'a Opened,
    target: Target,
    options: &'a RestoreOptions,
    /// Whether owners can be set.
    chown: bool,
    trash: Option<Mutex<Trash>>,
    files: AtomicU64,
    bytes: AtomicU64,
    unchanged: AtomicU64,
    problems: Mutex<Vec<Problem>>,
    withheld: Mutex<Vec<Problem>>,
    /// Files of the plan that get their times when they are on the disk.
    late: Mutex<Vec<usize>>,
    /// What ends all of it.
    error: Mutex<Option<Error>>,
}

impl Job<'_> {
    fn problem(&self, problem: Problem) {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    fn withhold(&self, path: &Path, what: &str) {
        let problem = Problem::new(format!("{}: {what}", path.display())).path(path);
        self.withheld.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
    }

    fn wants(&self, path: &Path, is_dir: bool) -> Wanted {
        match self.options.only.as_ref().map_or(Wanted::Yes, |only| only(path, is_dir)) {
            Wanted::Through if !is_dir => Wanted::No,
            wanted => wanted,
        }
    }

    /// Whether a directory of the tree is wanted as such, and not for a part of it.
    fn wants_all_of(&self, dir: &Path) -> bool {
        self.options.only.is_none() || !dir.as_os_str().is_empty() && self.wants(dir, true) == Wanted::Yes
    }

    /// Takes an error of one entry: a full disk ends everything, all else is a problem of that entry.
    fn entry_failed(&self, path: &Path, what: &str, error: rustix::io::Errno) -> Result<(), Error> {
        use rustix::io::Errno;
        if matches!(error, Errno::NOSPC | Errno::DQUOT) {
            return Err(Error::NoSpace { place: self.target.path.display().to_string() });
        }
        let error = std::io::Error::from(error);
        self.problem(Problem::new(format!("{}: {what}: {error}", path.display())).path(path));
        Ok(())
    }

    fn done(&self, entries: u64) {
        self.files.fetch_add(entries, Ordering::Relaxed);
        self.options.meter.add_files(entries);
    }

    fn wrote(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.options.meter.add_bytes(bytes);
    }

    /// `Err` once it was cancelled or a worker has failed.
    fn check(&self) -> Result<(), Error> {
        self.options.cancel.check()?;
        match &*self.error.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn fail(&self, error: Error) {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// How many threads work on it: what they share must count with the same number.
    fn threads(&self) -> usize {
        self.vault.readers()
    }

    /// Runs `work` on all threads and gives the first error.
    fn on_all_threads(&self, work: impl Fn() -> Result<(), Error> + Sync) -> Result<(), Error> {
        std::thread::scope(|scope| {
            let run = || {
                if let Err(error) = work() {
                    self.fail(error);
                }
            };
            let threads: Vec<_> = (0..self.threads()).map(|_| scope.spawn(run)).collect();
            for thread in threads {
                if thread.join().is_err() {
                    self.fail(Error::Refused("a worker of the restore died".into()));
                }
            }
        });
        self.check()
    }
}

pub(crate) fn run(
    vault: &Arc<Opened>,
    tree: &TreeId,
    path: &Path,
    options: &RestoreOptions,
) -> Result<Restored, Error> {
    options.cancel.check()?;
    // A tree that is not there shall not leave an empty directory behind.
    vault.tree(tree)?;
    let target = Target::open(path)?;
    let trash = match &options.existing {
        Existing::Refuse => {
            target.refuse_entries()?;
            None
        }
        Existing::Replace { trash, .. } => Some(Mutex::new(Trash::new(trash, &target)?)),
    };
    let job = Job {
        vault,
        target,
        chown: options.ownership && rustix::process::geteuid().is_root(),
        options,
        trash,
        files: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        unchanged: AtomicU64::new(0),
        problems: Mutex::default(),
        withheld: Mutex::default(),
        late: Mutex::default(),
        error: Mutex::default(),
    };
    let (mut plan, outcome) = Plan::make(&job, tree);
    if let Err(error) = outcome.and_then(|()| carry_out(&job, &mut plan)) {
        if let Some(trash) = job.trash {
            undo::undo(&job.target, &plan, trash.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        return Err(error);
    }
    let mut problems = job.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    let mut withheld = job.withheld.into_inner().unwrap_or_else(PoisonError::into_inner);
    withheld.sort_by(|a, b| a.path.cmp(&b.path));
    let trashed = job.trash.map(|trash| trash.into_inner().unwrap_or_else(PoisonError::into_inner).into_moved());
    Ok(Restored {
        files: job.files.into_inner(),
        bytes: job.bytes.into_inner(),
        unchanged: job.unchanged.into_inner(),
        trashed: trashed.unwrap_or_default(),
        problems,
        withheld,
    })
}

fn carry_out(job: &Job<'_>, plan: &mut Plan) -> Result<(), Error> {
    content::write(job, plan)?;
    content::settle(job, plan)?;
    content::link(job, plan)?;
    metadata::finish_dirs(job, plan)
}
