//! A process of its own that works in a vault until something ends it or stops it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use holdfast_vault::{Error, Existing, RestoreOptions, SnapshotId, Vault};

use super::life::*;
use super::tap::{Harm, Tap, Which};

/// What it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Create,
    Prune,
    Forget,
    Restore,
    Copy,
    Repair,
}

pub const WORKS: [Work; 6] = [Work::Create, Work::Prune, Work::Forget, Work::Restore, Work::Copy, Work::Repair];

/// What it works on: below one directory lie `vault`, `other` to copy to, `source`, and the restore's `target` with its
/// `trash`.
pub struct Site {
    pub room: tempfile::TempDir,
    image: Image,
    other_image: Image,
    pub contents: Contents,
    /// Snapshots that are there from the beginning; the first one is forgotten, the second one restored.
    pub kept: Vec<SnapshotId>,
    /// Straight to the disk, from this process.
    pub vault: Vault,
    /// The same for the one that is copied to, which has a snapshot by now.
    pub other: Vault,
}

impl Site {
    pub fn new(rng: &mut Rng) -> Site {
        let room = room();
        let path = room.path().join("vault");
        let (mut contents, kept) = vault_in_use(&path, rng);
        let next = changed(rng, &contents["base-2"]);
        lay_out(&next, &room.path().join("source"));
        contents.insert("next".into(), next);
        let image = Image::of(&path);
        let vault = open_on(Arc::new(holdfast_vault::SystemDisk), &path).unwrap();
        let other = init(&room.path().join("other"));
        put(&other, "next", &contents["next"]).unwrap();
        let other_image = Image::of(&room.path().join("other"));
        Site { room, image, other_image, contents, kept, vault, other }
    }

    pub fn path(&self) -> PathBuf {
        self.room.path().join("vault")
    }

    pub fn other_path(&self) -> PathBuf {
        self.room.path().join("other")
    }

    /// Everything as in the beginning.
    pub fn put_back(&self) {
        self.image.put_back(&self.path());
        self.other_image.put_back(&self.other_path());
        for dir in ["target", "trash"] {
            let _ = std::fs::remove_dir_all(self.room.path().join(dir));
        }
    }

    /// The calls that a work makes when nothing happens, by name.
    pub fn calls(&self, work: Work) -> BTreeMap<String, usize> {
        self.put_back();
        let tap = Tap::default();
        let vault = open_on(Arc::new(tap.clone()), &self.path()).unwrap();
        let other = open_on(Arc::new(tap.clone()), &self.other_path()).unwrap();
        tap.heal();
        do_work(work, [&vault, &other], self.room.path(), &self.kept).unwrap();
        let names = tap.names();
        self.put_back();
        names
    }

    /// Does it in this process.
    pub fn work(&self, work: Work) -> Result<Option<SnapshotId>, Error> {
        do_work(work, [&self.vault, &self.other], self.room.path(), &self.kept)
    }

    /// Starts it in a process of its own, which comes to harm at a call; with 0, at none. It is ready when this returns.
    pub fn start(&self, work: Work, which: &Which, number: usize, harm: Harm) -> Victim {
        self.start_under(Command::new(std::env::current_exe().unwrap()), work, which, number, harm)
    }

    /// The same under another program, which has been told to start this one.
    pub fn start_under(&self, mut command: Command, work: Work, which: &Which, number: usize, harm: Harm) -> Victim {
        let kept: Vec<String> = self.kept.iter().map(ToString::to_string).collect();
        let which = match which {
            Which::Named(name) => name.as_str(),
            _ => "every",
        };
        let mut child = command
            .args(["--exact", "victim::victim", "--nocapture", "--test-threads=1"])
            .env("VICTIM_ROOM", self.room.path())
            .env("VICTIM_WORK", format!("{work:?}"))
            .env("VICTIM_KEPT", kept.join(" "))
            .env("VICTIM_HARM", format!("{harm:?} {number} {which}"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.by_ref().any(|line| line.unwrap().contains("ready")), "the victim did not start");
        Victim { child, said }
    }
}

/// What a victim has said.
#[derive(Debug, Default)]
pub struct End {
    pub sealed: Option<SnapshotId>,
    /// Ids in the other vault.
    pub copied: Vec<SnapshotId>,
    pub refused: Option<String>,
    /// It came to its own end.
    pub done: bool,
}

pub struct Victim {
    pub child: Child,
    said: Lines<BufReader<ChildStdout>>,
}

impl Victim {
    /// What it says until it ends.
    pub fn end(mut self) -> End {
        let mut end = End::default();
        for line in self.said.by_ref().map_while(Result::ok) {
            if let Some(id) = line.strip_prefix("sealed ") {
                end.sealed = Some(id.parse().unwrap());
            } else if let Some(id) = line.strip_prefix("copied ") {
                end.copied.push(id.parse().unwrap());
            } else if let Some(why) = line.strip_prefix("refused ") {
                end.refused = Some(why.to_owned());
            }
            end.done |= line == "done";
        }
        let _ = self.child.wait();
        end
    }
}

fn do_work(
    work: Work,
    [vault, other]: [&Vault; 2],
    room: &Path,
    kept: &[SnapshotId],
) -> Result<Option<SnapshotId>, Error> {
    match work {
        Work::Repair => repair(vault).map(|()| None),
        Work::Copy => copy(vault, other, kept, &mut |id| println!("copied {id}")).map(|()| None),
        Work::Create => archive(vault, "next", &room.join("source")).map(Some),
        Work::Prune => match prune(vault)?.stopped {
            None => Ok(None),
            Some(stopped) => Err(Error::Refused(format!("stopped: {stopped:?}"))),
        },
        Work::Forget => vault.forget(&kept[0]).map(|()| None),
        Work::Restore => {
            let existing = Existing::Replace { trash: room.join("trash"), keep: Arc::new(|_, _| false) };
            let options = RestoreOptions { existing, ..RestoreOptions::faithful() };
            let restored = vault.restore(&vault.snapshot(&kept[1])?.tree, &room.join("target"), options)?;
            restored.problems.first().map_or(Ok(None), |problem| Err(Error::Refused(problem.what.clone())))
        }
    }
}

/// Not a test by itself: the process that comes to harm.
#[test]
fn victim() {
    let Ok(room) = std::env::var("VICTIM_ROOM") else { return };
    let said = |name: &str| std::env::var(name).unwrap();
    let kept: Vec<SnapshotId> = said("VICTIM_KEPT").split(' ').map(|id| id.parse().unwrap()).collect();
    let work = WORKS.into_iter().find(|work| format!("{work:?}") == said("VICTIM_WORK")).unwrap();
    let harm = said("VICTIM_HARM");
    let mut harm = harm.splitn(3, ' ');
    let (kind, number, which) = (harm.next().unwrap(), harm.next().unwrap(), harm.next().unwrap());
    let kind = [Harm::Kill, Harm::KillHalf, Harm::Stop].into_iter().find(|harm| format!("{harm:?}") == kind).unwrap();
    let which = if which == "every" { Which::Every } else { Which::Named(which.to_owned()) };
    let tap = Tap::default();
    let vault = open_on(Arc::new(tap.clone()), &Path::new(&room).join("vault")).unwrap();
    let other = open_on(Arc::new(tap.clone()), &Path::new(&room).join("other")).unwrap();
    println!("\nready");
    match number.parse().unwrap() {
        0 => {}
        number => tap.plan(which, number, kind),
    }
    match do_work(work, [&vault, &other], Path::new(&room), &kept) {
        Ok(Some(id)) => println!("sealed {id}"),
        Ok(None) => {}
        Err(error) => println!("refused {error}"),
    }
    println!("done");
}
