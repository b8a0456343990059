//! Doing what was decided, under the exclusive lock, in slices.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use time::OffsetDateTime;

use super::census::File;
use super::plan::{Fate, Plan};
use super::survey::Survey;
use super::turn::Halt;
use super::{Prune, PruneReport};
use crate::backend::FileKind;
use crate::id::IdSet;
use crate::index::{FILE_BLOBS, IndexJson, PackJson};
use crate::lock::Lock;
use crate::{BackendError, Id, PackId};

/// Index files with fewer blobs are put together …
const SMALL: usize = FILE_BLOBS / 5;
/// … when there are so many of them.
const MANY_SMALL: usize = 8;
/// Packs removed, or index files read, between two looks at lock and clock.
const AT_ONCE: usize = 32;
/// For how long the vault is left to others between two slices.
const PAUSE: Duration = Duration::from_millis(20);

/// How it ended.
pub(super) enum Outcome {
    /// All that was decided is done.
    Done,
    /// The vault has changed meanwhile: decide again.
    Changed,
}

/// A step that leaves the vault right behind it.
enum Step {
    /// Replace these index files.
    Index(Vec<Id>),
    /// Mark packs that no index names.
    Strays(Vec<(PackId, u64)>),
    /// Remove these packs.
    Remove(Vec<(PackId, u64)>),
}

pub(super) struct Apply<'a, 'b> {
    prune: &'b mut Prune<'a>,
    survey: &'b mut Survey,
    plan: &'b Plan,
    held: Option<(Lock, Instant)>,
    /// Packs that could not be removed: their entries stay.
    still_there: IdSet,
}

/// What the entries of an index file become, and what to count once they have.
#[derive(Default)]
struct Rewrite {
    json: IndexJson,
    marked: Vec<u64>,
    returned: u64,
    gone: u64,
}

impl<'a, 'b> Apply<'a, 'b> {
    pub(super) fn new(prune: &'b mut Prune<'a>, survey: &'b mut Survey, plan: &'b Plan) -> Apply<'a, 'b> {
        Apply { prune, survey, plan, held: None, still_there: IdSet::default() }
    }

    pub(super) fn run(mut self) -> Result<Outcome, Halt> {
        let mut steps = VecDeque::from(self.steps());
        while let Some(step) = steps.pop_front() {
            self.prune.turn.check()?;
            if !self.enter()? {
                return Ok(Outcome::Changed);
            }
            match step {
                Step::Index(files) => {
                    let later = self.replace(files)?;
                    if !later.is_empty() {
                        steps.push_front(Step::Index(later));
                    }
                }
                Step::Strays(packs) => self.mark_strays(&packs)?,
                Step::Remove(packs) => self.remove(&packs)?,
            }
        }
        Ok(Outcome::Done)
    }

    /// What is needed again comes first, what frees space before what only tidies.
    fn steps(&self) -> Vec<Step> {
        let (mut first, mut later, mut small) = (Vec::new(), Vec::new(), Vec::new());
        for file in &self.survey.census.files {
            let returns = |(number, marked): &(u32, bool)| *marked && self.plan.fate(*number) == Fate::Return;
            if file.packs.iter().any(returns) {
                first.push(file);
            } else if file.packs.iter().any(|(number, marked)| self.changes(*number, *marked)) {
                later.push(file);
            } else if file.blobs < SMALL {
                small.push(file);
            }
        }
        // Whenever files are written anew, small ones join them.
        if small.len() >= MANY_SMALL || !small.is_empty() && !later.is_empty() {
            later.extend(small);
        }
        let mut steps: Vec<Step> = grouped(&first).map(Step::Index).collect();
        let number = |(pack, size): &(u32, u64)| self.survey.census.packs.get(*pack as usize).map(|of| (of.id, *size));
        let due: Vec<(u32, u64)> = (0..)
            .zip(&self.survey.census.packs)
            .filter(|(pack, _)| self.plan.fate(*pack) == Fate::Remove)
            .map(|(pack, of)| (pack, of.size))
            .collect();
        let due: Vec<(PackId, u64)> = due.iter().filter_map(number).collect();
        steps.extend(due.chunks(AT_ONCE).map(|packs| Step::Remove(packs.to_vec())));
        steps.extend(grouped(&later).map(Step::Index));
        steps.extend(self.survey.census.strays.chunks(FILE_BLOBS).map(|packs| Step::Strays(packs.to_vec())));
        steps
    }

    /// Whether an entry has to be written anew.
    fn changes(&self, number: u32, marked: bool) -> bool {
        let Some(pack) = self.survey.census.packs.get(number as usize) else { return false };
        match (self.plan.fate(number), marked) {
            (Fate::Keep, false) => false,
            // A mark without a time gets one.
            (Fate::Wait, true) => pack.marked == Some(None),
            _ => true,
        }
    }

    /// Makes sure that we hold the exclusive lock, not for too long, and that the decisions are still good.
    fn enter(&mut self) -> Result<bool, Halt> {
        let slice = self.prune.options.slice;
        if let Some((lock, _)) = self.held.take_if(|(_, since)| since.elapsed() >= slice) {
            drop(lock);
            std::thread::sleep(PAUSE);
        }
        if self.held.is_none() {
            let lock = self.prune.lock(true)?;
            self.held = Some((lock, Instant::now()));
            return Ok(self.survey.holds(self.prune.vault, &self.prune.options.expected_snapshots)?);
        }
        Ok(true)
    }

    /// Looked at between writing and removing: we may have stood still for longer than a lock lives.
    fn still_held(&self) -> Result<(), Halt> {
        if let Some((lock, _)) = &self.held {
            lock.still_held()?;
        }
        Ok(())
    }

    /// Puts a new file in the place of these, and gives those that it had no time for: many small ones that are far
    /// away would take longer than anybody is to wait.
    fn replace(&mut self, mut files: Vec<Id>) -> Result<Vec<Id>, Halt> {
        let vault = self.prune.vault;
        let (begun, now) = (Instant::now(), OffsetDateTime::now_utc());
        let mut rewrite = Rewrite::default();
        let mut read = 0;
        for some in files.chunks(AT_ONCE) {
            // Those that were read have to be removed too.
            if read > 0 && begun.elapsed() >= self.prune.options.slice / 2 {
                break;
            }
            self.prune.turn.check()?;
            for file in vault.in_parallel(some, |id| vault.load(FileKind::Index, &id.to_string()))? {
                self.sort(file, now, &mut rewrite);
            }
            read += some.len();
        }
        let later = files.split_off(read);
        let new = self.write(&rewrite.json)?;
        if let Err(halt) = self.still_held() {
            // Others have worked here since: what it says may be of yesterday. The old files still say it all.
            if let Some(new) = new {
                vault.backend.withdraw(FileKind::Index, &new.to_string())?;
            }
            return Err(halt);
        }
        vault.in_parallel(&files, |id| Ok(vault.backend.withdraw(FileKind::Index, &id.to_string())?))?;
        let gone: IdSet = files.into_iter().collect();
        self.survey.census.files.retain(|file| !gone.contains(&file.id));
        let report = &mut self.prune.report;
        report.packs_returned += rewrite.returned;
        report.packs_gone += rewrite.gone;
        for size in rewrite.marked {
            report.mark(size, now, self.prune.options);
        }
        Ok(later)
    }

    /// Each entry to where it belongs.
    fn sort(&self, file: IndexJson, now: OffsetDateTime, rewrite: &mut Rewrite) {
        for mut entry in file.packs {
            let number = self.survey.census.number_of(&entry.id);
            match number.map_or(Fate::Keep, |number| self.plan.fate(number)) {
                Fate::Mark => {
                    let pack = number.and_then(|number| self.survey.census.packs.get(number as usize));
                    rewrite.marked.push(pack.map_or(0, |pack| pack.size));
                    entry.time = Some(now);
                    rewrite.json.packs_to_delete.push(entry);
                }
                Fate::Gone => rewrite.gone += 1,
                _ => rewrite.json.packs.push(entry),
            }
        }
        for mut entry in file.packs_to_delete {
            let number = self.survey.census.number_of(&entry.id);
            let fate = number.map_or(Fate::Wait, |number| self.plan.fate(number));
            match if self.still_there.contains(&entry.id) { Fate::Wait } else { fate } {
                Fate::Return if !entry.blobs.is_empty() => {
                    rewrite.returned += 1;
                    entry.time = None;
                    rewrite.json.packs.push(entry);
                }
                Fate::Wait | Fate::Return => {
                    entry.time = entry.time.or(Some(now));
                    rewrite.json.packs_to_delete.push(entry);
                }
                // Removed by now, or named as in use by another entry, which counts.
                Fate::Keep | Fate::Mark | Fate::Gone | Fate::Remove | Fate::Forget => {}
            }
        }
    }

    fn mark_strays(&mut self, packs: &[(PackId, u64)]) -> Result<(), Halt> {
        let now = OffsetDateTime::now_utc();
        let entry = |(id, size): &(PackId, u64)| PackJson {
            time: Some(now),
            size: Some(*size),
            ..PackJson::new(*id, Vec::new())
        };
        self.write(&IndexJson { packs: Vec::new(), packs_to_delete: packs.iter().map(entry).collect() })?;
        for (_, size) in packs {
            self.prune.report.mark(*size, now, self.prune.options);
        }
        Ok(())
    }

    /// Gives the new file's name, if there was anything to write.
    fn write(&mut self, json: &IndexJson) -> Result<Option<Id>, Halt> {
        if json.is_empty() {
            return Ok(None);
        }
        self.still_held()?;
        let (id, _) = self.prune.vault.save(FileKind::Index, json)?;
        self.survey.census.files.push(File { id, blobs: json.blobs(), packs: Vec::new() });
        Ok(Some(id))
    }

    fn remove(&mut self, packs: &[(PackId, u64)]) -> Result<(), Halt> {
        self.still_held()?;
        let backend = &self.prune.vault.backend;
        // To its end: it is few packs, and stopping in between would gain nothing.
        let done = self.prune.vault.in_parallel(packs, |(id, size)| {
            match backend.remove(FileKind::Pack, &id.to_string()) {
                Err(BackendError::Held { until, .. }) => Ok((*id, *size, Some(until))),
                other => Ok(other.map(|()| (*id, *size, None))?),
            }
        })?;
        let report = &mut self.prune.report;
        for (id, size, held) in done {
            match held {
                None => {
                    report.packs_removed += 1;
                    report.bytes_removed += size;
                }
                // Nobody had said so before.
                Some(until) => {
                    report.packs_waiting += 1;
                    report.bytes_waiting += size;
                    report.waits_until(until);
                    self.still_there.insert(id);
                }
            }
        }
        self.prune.meter.add_files(packs.len() as u64);
        Ok(())
    }
}

impl PruneReport {
    fn mark(&mut self, size: u64, now: OffsetDateTime, options: &super::PruneOptions) {
        self.packs_marked += 1;
        self.bytes_marked += size;
        self.packs_waiting += 1;
        self.bytes_waiting += size;
        self.waits_since(now, options);
    }
}

/// Files that fit into one new file together.
fn grouped(files: &[&File]) -> impl Iterator<Item = Vec<Id>> {
    let mut groups: Vec<(usize, Vec<Id>)> = Vec::new();
    for file in files {
        match groups.last_mut() {
            Some((blobs, group)) if *blobs + file.blobs <= FILE_BLOBS => {
                *blobs += file.blobs;
                group.push(file.id);
            }
            _ => groups.push((file.blobs, vec![file.id])),
        }
    }
    groups.into_iter().map(|(_, group)| group)
}
