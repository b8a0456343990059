//! Lost power: what a vault did to its disk is replayed up to any point, what was not synced is dropped or torn, and all
//! that was sealed by then must be there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_vault::{LocalBackend, SnapshotId, SystemDisk, Vault};

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
    gone: BTreeSet<SnapshotId>,
    doing: String,
}

fn open(tap: &Tap, path: &Path) -> Vault {
    open_on(Arc::new(tap.clone()), path).unwrap()
}

/// The vault is made; then there are backups, prunes and snapshots that are forgotten, some of which die in the middle,
/// and others go on.
fn story(rng: &mut Rng, days: usize) -> Story {
    let room = room();
    // None of the directories above exists yet.
    let path = room.path().join("above/more/vault");
    let tap = Tap::default();
    tap.mark("init");
    let backend = LocalBackend::create_on(Arc::new(tap.clone()), &path).unwrap();
    let mut vault = Vault::init(Arc::new(backend), &password(), options()).unwrap();
    let mut process = tap.clone();
    let mut contents = Contents::new();
    let mut last = content(rng, 3);
    let mut there: Vec<SnapshotId> = Vec::new();
    for day in 0..days {
        let dies = rng.chance(35);
        if dies {
            process.plan(Which::Every, 1 + rng.below(45), Harm::Dead);
        }
        let tag = format!("day-{day}");
        match rng.below(10) {
            0..=4 => {
                // Sometimes the very same again: nothing but a snapshot is written.
                if !rng.chance(30) {
                    last = changed(rng, &last);
                }
                contents.insert(tag.clone(), last.clone());
                tap.mark("create");
                if let Ok(id) = put(&vault, &tag, &last) {
                    tap.mark(format!("sealed {id}"));
                    there.push(id);
                }
            }
            5..=6 if there.len() > 1 => {
                let id = there.remove(rng.below(there.len()));
                tap.mark(format!("forget {id}"));
                if vault.forget(&id).is_ok() {
                    tap.mark(format!("forgotten {id}"));
                }
            }
            7 => two_at_once(&tap, &vault, &path, &tag, &last, &mut contents, &mut there),
            _ => {
                tap.mark("prune");
                let _ = prune(&vault);
            }
        }
        if process.heal() || dies {
            // Another process goes on, and finds out that the first one is dead.
            process = tap.another();
            vault = open(&process, &path);
            for lock in fs::read_dir(path.join("locks")).unwrap() {
                holdfast_vault::Disk::remove(&process, &lock.unwrap().path()).unwrap();
            }
        }
    }
    Story { root: room.path().to_owned(), steps: tap.take_log(), contents }
}

/// Two processes put in the same new content at the same time, each relying on what the other has just written.
fn two_at_once(
    tap: &Tap,
    vault: &Vault,
    path: &Path,
    tag: &str,
    last: &Content,
    contents: &mut Contents,
    there: &mut Vec<SnapshotId>,
) {
    let other = open(&tap.another(), path);
    tap.mark("create");
    let tags = [format!("{tag}-a"), format!("{tag}-b")];
    tags.iter().for_each(|tag| drop(contents.insert(tag.clone(), last.clone())));
    let sealed = std::thread::scope(|scope| {
        let threads = [(vault, &tags[0]), (&other, &tags[1])].map(|(vault, tag)| {
            scope.spawn(move || {
                let id = put(vault, tag, last).ok()?;
                tap.mark(format!("sealed {id}"));
                Some(id)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    there.extend(sealed.into_iter().flatten());
}

fn promise(steps: &[Step]) -> Promise {
    let mut promise = Promise::default();
    for step in steps {
        let Step::Mark(mark) = step else { continue };
        match mark.split_once(' ') {
            Some(("sealed", id)) => drop(promise.must.insert(id.parse().unwrap())),
            // From here on it may be there or not.
            Some(("forget", id)) => drop(promise.must.remove(&id.parse().unwrap())),
            Some(("forgotten", id)) => drop(promise.gone.insert(id.parse().unwrap())),
            _ => {}
        }
        if !mark.starts_with("sealed") && !mark.starts_with("forgotten") {
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
    let path = room.path().join("above/more/vault");
    let promise = promise(&story.steps[..at]);
    let mut contents = story.contents.clone();
    let vault = match open_on(Arc::new(SystemDisk), &path) {
        Ok(vault) => vault,
        Err(error) if promise.doing != "init" => return Err(format!("it does not open: {error}")),
        // Nothing was promised yet; beginning again is all that is needed.
        Err(_) => {
            let backend = LocalBackend::create(&path).map_err(|error| error.to_string())?;
            Vault::init(Arc::new(backend), &password(), options()).map_err(|error| format!("init: {error}"))?
        }
    };
    vault.remove_dead_locks().map_err(|error| error.to_string())?;
    let there: BTreeSet<SnapshotId> = all_whole(&vault, &contents)?.into_iter().collect();
    if let Some(lost) = promise.must.difference(&there).next() {
        return Err(format!("snapshot {lost} was sealed and is lost"));
    }
    if let Some(back) = promise.gone.intersection(&there).next() {
        return Err(format!("snapshot {back} was forgotten and is back"));
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
    if now.len() != there.len() + 1 {
        return Err(format!("{} snapshots became {}", there.len() + 1, now.len()));
    }
    if with_restic {
        restic_accepts(rng.pick::<PathBuf>(&restics()), &path)?;
    }
    Ok(promise.doing)
}

#[test]
fn lost_power() {
    let mut rng = Rng::new(1);
    let (stories, cuts) = (many(4, 50), many(10, 24));
    let counts = ["init", "create", "forget", "prune"].map(|word| (word, AtomicUsize::new(0)));
    let mut sealed = 0;
    for number in 0..stories {
        let story = story(&mut rng, 14);
        sealed += promise(&story.steps).must.len();
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
    report(Row {
        part: "lost power",
        what: format!(
            "the disk's own operations replayed up to a point, what was not synced dropped or torn: {stories} stories, \
             {sealed} seals; cut during {}",
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
