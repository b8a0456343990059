//! The disk of the suite: every call of a vault to its disk passes here, is counted and may come to harm, and what it
//! makes durable is written down.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_vault::{DirEntry, Disk, SystemDisk};
use rustix::process::{Signal, getpid, kill_process};

/// What was done to the disk, in its order. Files are numbers.
#[derive(Debug, Clone)]
pub enum Step {
    Create {
        file: usize,
        path: Option<PathBuf>,
    },
    Write {
        file: usize,
        bytes: Arc<[u8]>,
    },
    Sync {
        file: usize,
    },
    SyncFailed {
        file: usize,
    },
    Link {
        file: usize,
        path: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    MakeDir {
        path: PathBuf,
    },
    SyncDir {
        path: PathBuf,
    },
    /// Something happened that is no call: a seal returned, for example.
    Mark(String),
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// It fails and has done nothing.
    Error(i32),
    /// A write takes the half of it.
    Short,
    /// The process is gone for its disk: this and every later call fails.
    Dead,
    /// The process is killed before it.
    Kill,
    /// The process is killed when half of it is written.
    KillHalf,
    /// The process stops before it, until somebody lets it go on.
    Stop,
}

/// Which calls are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Every,
    Writes,
    Syncs,
    /// Those of one name: "link in snapshots".
    Named(String),
}

#[derive(Debug)]
struct Plan {
    which: Which,
    number: usize,
    harm: Harm,
}

#[derive(Debug, Default)]
struct Own {
    plan: Option<Plan>,
    seen: usize,
    harmed: bool,
    names: BTreeMap<String, usize>,
}

#[derive(Debug, Default)]
struct Log {
    steps: Vec<Step>,
    /// Numbers of open files by inode, and the directory that they are for.
    files: HashMap<u64, (usize, String)>,
    made: usize,
}

/// One process's way to the disk. Several may write into one log.
#[derive(Debug, Clone, Default)]
pub struct Tap {
    log: Arc<Mutex<Log>>,
    own: Arc<Mutex<Own>>,
}

impl Tap {
    /// Another process, whose steps go to the same log.
    pub fn another(&self) -> Tap {
        Tap { log: self.log.clone(), own: Arc::default() }
    }

    /// From now on, the `number`-th call of these comes to harm, counted from 1.
    pub fn plan(&self, which: Which, number: usize, harm: Harm) {
        *self.own() = Own { plan: Some(Plan { which, number, harm }), ..Own::default() };
    }

    /// No more harm. Says whether there was any.
    pub fn heal(&self) -> bool {
        std::mem::take(&mut *self.own()).harmed
    }

    /// How often each named call came since the last plan.
    pub fn names(&self) -> BTreeMap<String, usize> {
        self.own().names.clone()
    }

    pub fn mark(&self, what: impl Into<String>) {
        self.log().steps.push(Step::Mark(what.into()));
    }

    /// What was done so far; the next one begins anew.
    pub fn take_log(&self) -> Vec<Step> {
        std::mem::take(&mut self.log().steps)
    }

    fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and says what becomes of it. `Ok(true)`: only half of it.
    fn before(&self, word: &str, place: &str) -> io::Result<bool> {
        let mut own = self.own();
        let name = format!("{word} in {place}");
        *own.names.entry(name.clone()).or_default() += 1;
        let Some(Plan { which, number, harm }) = &own.plan else { return Ok(false) };
        let (number, harm) = (*number, *harm);
        let counts = match which {
            Which::Every => true,
            Which::Writes => word == "write",
            Which::Syncs => word.starts_with("sync"),
            Which::Named(wanted) => *wanted == name,
        };
        if counts {
            own.seen += 1;
        }
        let comes = if harm == Harm::Dead { own.seen >= number } else { counts && own.seen == number };
        if !comes {
            return Ok(false);
        }
        own.harmed = true;
        drop(own);
        match harm {
            Harm::Error(code) => Err(io::Error::from_raw_os_error(code)),
            Harm::Dead => Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())),
            Harm::Short | Harm::KillHalf => Ok(true),
            Harm::Kill => end(),
            Harm::Stop => {
                kill_process(getpid(), Signal::STOP).unwrap();
                Ok(false)
            }
        }
    }

    fn kills(&self) -> bool {
        self.own().plan.as_ref().is_some_and(|plan| plan.harm == Harm::KillHalf)
    }

    /// A call that changes which names there are.
    fn change(&self, word: &str, path: &Path, step: Step, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut log = self.log();
        self.before(word, place(path))?;
        act()?;
        log.steps.push(step);
        Ok(())
    }

    /// A call that only looks.
    fn look_at<T>(&self, word: &str, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.before(word, place(path))?;
        act()
    }
}

fn end() -> ! {
    kill_process(getpid(), Signal::KILL).unwrap();
    unreachable!("killed")
}

/// The part of a vault that a path lies in.
fn place(path: &Path) -> &'static str {
    let known = ["data", "index", "snapshots", "locks", "keys"];
    let mut parts = path.components().rev().filter_map(|part| part.as_os_str().to_str());
    parts.find_map(|part| known.into_iter().find(|known| *known == part)).unwrap_or("root")
}

impl Log {
    fn made(&mut self, file: &File, dir: &Path, path: Option<&Path>) {
        let number = self.made;
        self.made += 1;
        self.files.insert(file.metadata().unwrap().ino(), (number, place(dir).to_owned()));
        self.steps.push(Step::Create { file: number, path: path.map(Path::to_owned) });
    }

    fn number(&self, file: &File) -> (usize, String) {
        self.files[&file.metadata().unwrap().ino()].clone()
    }
}

impl Disk for Tap {
    fn create_nameless(&self, dir: &Path) -> io::Result<File> {
        let mut log = self.log();
        self.before("open", place(dir))?;
        let file = SystemDisk.create_nameless(dir)?;
        log.made(&file, dir, None);
        Ok(file)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        let mut log = self.log();
        self.before("create", place(path))?;
        let file = SystemDisk.create(path)?;
        log.made(&file, path, Some(path));
        Ok(file)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.log();
        let (number, place) = log.number(file);
        let half = self.before("write", &place)?;
        let bytes = if half { &bytes[..bytes.len().div_ceil(2)] } else { bytes };
        let count = SystemDisk.write(file, bytes)?;
        if half && self.kills() {
            end();
        }
        log.steps.push(Step::Write { file: number, bytes: bytes[..count].into() });
        Ok(count)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let mut log = self.log();
        let (number, place) = log.number(file);
        if let Err(error) = self.before("sync", &place) {
            log.steps.push(Step::SyncFailed { file: number });
            return Err(error);
        }
        SystemDisk.sync(file)?;
        log.steps.push(Step::Sync { file: number });
        Ok(())
    }

    fn link(&self, file: &File, path: &Path) -> io::Result<()> {
        let (number, _) = self.log().number(file);
        let step = Step::Link { file: number, path: path.to_owned() };
        self.change("link", path, step, || SystemDisk.link(file, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let step = Step::Rename { from: from.to_owned(), to: to.to_owned() };
        self.change("rename", to, step, || SystemDisk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change("remove", path, Step::Remove { path: path.to_owned() }, || SystemDisk.remove(path))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.change("make directory", path, Step::MakeDir { path: path.to_owned() }, || SystemDisk.make_dir(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.change("sync names", dir, Step::SyncDir { path: dir.to_owned() }, || SystemDisk.sync_dir(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.look_at("list", dir, || SystemDisk.list(dir))
    }

    fn look(&self, path: &Path) -> io::Result<DirEntry> {
        self.look_at("look", path, || SystemDisk.look(path))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look_at("read", path, || SystemDisk.read(path))
    }

    fn read_range(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.look_at("read part", path, || SystemDisk.read_range(path, offset, len))
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        self.look_at("free", path, || SystemDisk.free(path))
    }
}
