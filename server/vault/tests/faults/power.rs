//! Lost power: what a vault did to its disk is replayed up to any point, what was not synced is dropped or torn, and all
//! that was sealed or copied by then must be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_vault::{Disk, LocalBackend, SnapshotId, SystemDisk, Vault};

use super::life::*;
use super::platter::Platter;
use super::report::{Row, report};
use super::support::{options, password};
use super::tap::{Harm, Step, Tap, Which};

/// Days of a vault, and what its disk was asked for.
struct Story {
    root: PathBuf,
    steps: Vec<Step>,
    contents: Contents,
}

/// What must be there after a cut, and what may.
#[derive(Default)]
struct Promise {
    must: BTreeSet<SnapshotId>,
    /// In the vault that is copied to.
    copied: BTreeSet<SnapshotId>,
    gone: BTreeSet<SnapshotId>,
    doing: String,
}

/// One process's view: it may die in the middle, and another one goes on.
struct Process {
    tap: Tap,
    vault: Vault,
    /// What is copied to.
    other: Vault,
}

/// None of the directories above them exists in the beginning.
const VAULT: &str = "above/more/vault";
const OTHER: &str = "above/other";

impl Process {
    fn start(tap: Tap, root: &Path) -> Process {
        let [vault, other] = [VAULT, OTHER].map(|path| open_on(Arc::new(tap.clone()), &root.join(path)).unwrap());
        Process { tap, vault, other }
    }

    /// Another process goes on, and finds out that this one is dead.
    fn replaced(self, root: &Path) -> Process {
        let next = Process::start(self.tap.another(), root);
        for path in [VAULT, OTHER] {
            for lock in fs::read_dir(root.join(path).join("locks")).unwrap() {
                Disk::remove(&next.tap, &lock.unwrap().path()).unwrap();
            }
        }
        next
    }
}

/// Two vaults are made; then there are backups, prunes, copies, and snapshots that are forgotten. Some of it dies in the
/// middle, and another process goes on.
fn story(rng: &mut Rng, days: usize) -> Story {
    let room = room();
    let root = room.path();
    let tap = Tap::default();
    tap.mark("init");
    for path in [VAULT, OTHER] {
        let backend = LocalBackend::create_on(Arc::new(tap.clone()), root.join(path)).unwrap();
        Vault::init(Arc::new(backend), &password(), options()).unwrap();
    }
    let mut process = Process::start(tap.another(), root);
    let mut contents = Contents::new();
    let mut last = content(rng, 3);
    let mut there: Vec<SnapshotId> = Vec::new();
    let mut all: BTreeSet<SnapshotId> = BTreeSet::new();
    for day in 0..days {
        let dies = rng.chance(35);
        if dies {
            // Often between a change of names and the moment in which it would have lasted.
            let names = ["sync names in snapshots", "sync names in index"];
            match rng.below(4) {
                0 | 1 => process.tap.plan(Which::Named((*rng.pick(&names)).to_owned()), 1, Harm::Dead),
                _ => process.tap.plan(Which::Every, 1 + rng.below(45), Harm::Dead),
            }
        }
        let tag = format!("day-{day}");
        match rng.below(13) {
            0..5 => {
                // Sometimes the very same again: nothing but a snapshot is written.
                if !rng.chance(30) {
                    last = changed(rng, &last);
                }
                contents.insert(tag.clone(), last.clone());
                tap.mark("create");
                if let Ok(id) = put(&process.vault, &tag, &last) {
                    tap.mark(format!("sealed {id}"));
                    there.push(id);
                }
            }
            5..7 if there.len() > 1 => {
                let id = there.remove(rng.below(there.len()));
                tap.mark(format!("forget {id}"));
                if process.vault.forget(&id).is_ok() {
                    tap.mark(format!("forgotten {id}"));
                }
            }
            7 => {
                let tags = [format!("{tag}-a"), format!("{tag}-b")];
                tags.iter().for_each(|tag| drop(contents.insert(tag.clone(), last.clone())));
                there.extend(two_at_once(&tap, &process.vault, root, &tags, &last));
            }
            8..10 => {
                tap.mark("copy");
                let mut each = |id: &SnapshotId| tap.mark(format!("copied {id}"));
                let _ = copy(&process.vault, &process.other, &there, &mut each);
            }
            10 => {
                tap.mark("repair");
                let _ = repair(&process.vault);
            }
            _ => {
                tap.mark("prune");
                let _ = prune(&process.vault);
            }
        }
        if dies {
            process = process.replaced(root);
            // It takes what it sees for sealed, and what it does not see for forgotten.
            let seen = process.vault.snapshots().unwrap();
            for snapshot in &seen {
                tap.mark(format!("sealed {}", snapshot.id));
            }
            for id in all.iter().filter(|id| seen.iter().all(|snapshot| snapshot.id != **id)) {
                tap.mark(format!("forgotten {id}"));
            }
            there = seen.iter().map(|snapshot| snapshot.id).collect();
        }
        all.extend(&there);
    }
    Story { root: root.to_owned(), steps: tap.take_log(), contents }
}

/// Two processes put in the same new content at the same time, each relying on what the other has just written.
fn two_at_once(tap: &Tap, vault: &Vault, root: &Path, tags: &[String; 2], content: &Content) -> Vec<SnapshotId> {
    let other = open_on(Arc::new(tap.another()), &root.join(VAULT)).unwrap();
    tap.mark("create");
    std::thread::scope(|scope| {
        let threads = [(vault, &tags[0]), (&other, &tags[1])].map(|(vault, tag)| {
            scope.spawn(move || {
                let id = put(vault, tag, content).ok()?;
                tap.mark(format!("sealed {id}"));
                Some(id)
            })
        });
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

fn promise(steps: &[Step]) -> Promise {
    let mut promise = Promise::default();
    for step in steps {
        let Step::Mark(mark) = step else { continue };
        match mark.split_once(' ') {
            Some(("copied", id)) => drop(promise.copied.insert(id.parse().unwrap())),
            Some(("sealed", id)) => drop(promise.must.insert(id.parse().unwrap())),
            // From here on it may be there or not.
            Some(("forget", id)) => drop(promise.must.remove(&id.parse().unwrap())),
            Some(("forgotten", id)) => drop(promise.gone.insert(id.parse().unwrap())),
            _ => {}
        }
        if !["sealed", "copied", "forgotten"].iter().any(|word| mark.starts_with(word)) {
            promise.doing = mark.split(' ').next().unwrap().to_owned();
        }
    }
    promise
}

/// Cuts the power after so many steps, and looks.
fn after_the_cut(story: &Story, at: usize, rng: &mut Rng, with_restic: bool) -> Result<String, String> {
    let mut platter = Platter::default();
    story.steps[..at].iter().for_each(|step| platter.apply(step));
    let kept = *rng.pick(&[0, 10, 50, 50, 90, 100]);
    let left = platter.cut(rng, kept);
    let room = room();
    for (path, file) in &left {
        let to = room.path().join(path.strip_prefix(&story.root).unwrap());
        match file {
            None => fs::create_dir_all(to).unwrap(),
            // Its process is gone; here it would be this one, which lives. What is torn stays.
            Some(file) if path.parent().unwrap().ends_with("locks") && file.is_whole => {}
            Some(file) => fs::write(to, &file.bytes).unwrap(),
        }
    }
    let promise = promise(&story.steps[..at]);
    let mut contents = story.contents.clone();
    let path = room.path().join(VAULT);
    let vault = open_or_begin(&path, &promise)?;
    let other = open_or_begin(&room.path().join(OTHER), &promise)?;
    vault.remove_dead_locks().map_err(|error| error.to_string())?;
    let there: BTreeSet<SnapshotId> = all_whole(&vault, &contents)?.into_iter().collect();
    if let Some(lost) = promise.must.difference(&there).next() {
        return Err(format!("snapshot {lost} was sealed and is lost"));
    }
    if let Some(back) = promise.gone.intersection(&there).next() {
        return Err(format!("snapshot {back} was forgotten and is back"));
    }
    let copies = all_whole(&other, &contents).map_err(|error| format!("copies: {error}"))?;
    if let Some(lost) = promise.copied.iter().find(|id| !copies.contains(id)) {
        return Err(format!("snapshot {lost} was copied and is lost"));
    }
    // The next runs need nothing else.
    let next = match contents.values().last() {
        Some(last) => changed(rng, last),
        None => content(rng, 3),
    };
    put(&vault, "next", &next).map_err(|error| format!("the next backup: {error}"))?;
    contents.insert("next".into(), next);
    for _ in 0..2 {
        let pruned = prune(&vault).map_err(|error| format!("the next prune: {error}"))?;
        if !pruned.is_done() {
            return Err(format!("the next prune stopped: {:?}", pruned.stopped));
        }
    }
    let now = all_whole(&vault, &contents)?;
    copy(&vault, &other, &now, &mut |_| ()).map_err(|error| format!("the next copy: {error}"))?;
    all_whole(&other, &contents).map_err(|error| format!("the next copies: {error}"))?;
    if now.len() != there.len() + 1 {
        return Err(format!("{} snapshots became {}", there.len() + 1, now.len()));
    }
    if with_restic {
        restic_accepts(rng.pick::<PathBuf>(&restics()), &path)?;
    }
    Ok(promise.doing)
}

/// Nothing is promised as long as a vault is being made: beginning again is all that is needed.
fn open_or_begin(path: &Path, promise: &Promise) -> Result<Vault, String> {
    match open_on(Arc::new(SystemDisk), path) {
        Ok(vault) => Ok(vault),
        Err(error) if promise.doing != "init" => Err(format!("{} does not open: {error}", path.display())),
        Err(_) => {
            let backend = LocalBackend::create(path).map_err(|error| error.to_string())?;
            Vault::init(Arc::new(backend), &password(), options()).map_err(|error| format!("init: {error}"))
        }
    }
}

#[test]
fn lost_power() {
    let mut rng = Rng::new(1);
    let (stories, cuts) = (many(3, 42), many(10, 24));
    let counts = ["init", "create", "forget", "prune", "copy", "repair"].map(|word| (word, AtomicUsize::new(0)));
    let (mut sealed, mut copied) = (0, 0);
    for number in 0..stories {
        let story = story(&mut rng, 14);
        let promised = promise(&story.steps);
        (sealed, copied) = (sealed + promised.must.len(), copied + promised.copied.len());
        // Half of the cuts come directly behind something that was promised.
        let marks: Vec<usize> =
            (1..=story.steps.len()).filter(|at| matches!(story.steps[at - 1], Step::Mark(_))).collect();
        let made = marks.get(1).copied().unwrap_or(0);
        let schedules: Vec<(usize, u64)> = (0..cuts)
            .map(|_| {
                let at = match rng.below(20) {
                    0 => 1 + rng.below(made),
                    1..10 => *rng.pick(&marks),
                    _ => made + rng.below(story.steps.len() + 1 - made),
                };
                (at, rng.next())
            })
            .collect();
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((at, seed)) = schedules.get(next.fetch_add(1, Ordering::Relaxed)) {
                let with_restic = *at % 20 == 0;
                let doing = after_the_cut(&story, *at, &mut Rng::seeded(*seed), with_restic);
                let doing = doing.unwrap_or_else(|error| {
                    let last: Vec<String> = story.steps[..*at].iter().rev().take(12).map(brief).collect();
                    panic!("story {number}, cut after step {at} (seed {seed}): {error}\nbefore, backwards: {last:#?}")
                });
                if let Some((_, count)) = counts.iter().find(|(word, _)| *word == doing) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            let workers = [scope.spawn(work), scope.spawn(work)];
            workers.into_iter().for_each(|worker| worker.join().unwrap());
        });
    }
    let counted: Vec<String> =
        counts.iter().map(|(word, count)| format!("{word} {}", count.load(Ordering::Relaxed))).collect();
    report(&Row {
        part: "power",
        what: format!(
            "the vault's own calls to its disk replayed up to a point, what was not synced dropped or torn, in {stories} \
             stories with {sealed} seals and {copied} copies that had to last; cut during {}",
            counted.join(", ")
        ),
        count: stories * cuts,
    });
}

fn brief(step: &Step) -> String {
    match step {
        Step::Write { file, bytes } => format!("Write {{ file: {file}, {} bytes }}", bytes.len()),
        other => format!("{other:?}"),
    }
}
