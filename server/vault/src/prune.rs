//! Taking out what no snapshot needs, in two phases, so that nobody who was late loses anything.
//!
//! Phase one: packs that no snapshot needs leave the index, and so do packs of which too much is unused, once what is
//! used of them has been copied and verified. They stay where they are, and the index files remember them with the time
//! (`packs_to_delete`, as rustic has it; restic passes over that). Phase two, in a later prune: those that left longer
//! ago than the grace are removed, or come back if a snapshot needs them after all, because a writer that had been
//! stopped went on.
//!
//! Everything follows from what the vault holds, nothing from what an earlier run remembered: so a prune may be stopped
//! or killed anywhere, and the next one goes on.
//!
//! - Reading and copying happen under the shared lock, beside other writers. The exclusive lock is taken in slices; each
//!   begins by making sure that index and snapshots are those that the decisions were made by, else these are made anew.
//! - New files are durable before the old ones go, and the lock is looked at between the two.
//! - What a bucket's object lock holds waits until it is free; index files that are replaced are hidden meanwhile.
//! - What cannot be read stops the prune: a snapshot, a tree, an index file, any list.

mod apply;
mod census;
mod plan;
mod repack;
mod survey;
mod turn;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::backend::FileKind;
use crate::id::IdMap;
use crate::lock::Lock;
use crate::vault::Opened;
use crate::{BackendError, Cancel, Error, Meter, PackId, Problem, SnapshotId, Vault};
use apply::{Apply, Outcome};
use plan::Plan;
use survey::Survey;
use turn::{Halt, Turn};

/// How often the vault may change under a prune before it gives way.
const AGAIN: usize = 5;

/// How a prune works.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneOptions {
    /// How long a pack stays after it has left the index: longer than any writer may stand still. 23 hours by default.
    pub grace: Duration,
    /// The share of unused bytes that may stay in used packs before they are repacked, from 0 (repack whatever holds
    /// something unused) to 1 (never repack); 0.05 by default.
    pub unused_share: f64,
    /// For how long the exclusive lock is held at once; 2 s by default.
    pub slice: Duration,
    /// Snapshots that the caller knows to be there; if the vault's list lacks one, nothing is done.
    pub expected_snapshots: Vec<SnapshotId>,
}

impl Default for PruneOptions {
    fn default() -> PruneOptions {
        PruneOptions {
            grace: Duration::from_secs(23 * 3600),
            unused_share: 0.05,
            slice: Duration::from_secs(2),
            expected_snapshots: Vec::new(),
        }
    }
}

/// Why a prune stopped before its end; what it did until then stands, and running it again goes on from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// The caller said that somebody else wants the vault.
    Wanted,
    /// It was cancelled.
    Cancelled,
    /// Somebody else is at work in the vault.
    Busy {
        /// Who holds a lock, or what keeps changing.
        by: String,
    },
}

/// What a prune did, and what it left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Set if it stopped early: run it again.
    pub stopped: Option<Stopped>,
    /// Snapshots that were read.
    pub snapshots: u64,
    /// Packs that left the index now, or that no index ever named; they are removed when the grace is over.
    pub packs_marked: u64,
    /// Bytes of these.
    pub bytes_marked: u64,
    /// Packs whose used blobs were copied into new ones.
    pub packs_repacked: u64,
    /// Bytes that were copied.
    pub bytes_repacked: u64,
    /// Packs removed: their grace was over, and no snapshot needs them.
    pub packs_removed: u64,
    /// Bytes freed.
    pub bytes_removed: u64,
    /// Packs that had left the index and came back, because a snapshot needs them.
    pub packs_returned: u64,
    /// Entries of packs that nobody needs and that are not there.
    pub packs_gone: u64,
    /// Packs that wait for the end of their grace, or of the time for which the bucket's object lock holds them.
    pub packs_waiting: u64,
    /// Bytes of these.
    pub bytes_waiting: u64,
    /// When the first of these may be removed.
    pub next_removal: Option<OffsetDateTime>,
    /// Bytes that snapshots need.
    pub bytes_used: u64,
    /// Unused bytes that stay, in packs that are used too.
    pub bytes_unused: u64,
    /// Packs that should have been repacked but hold damage; they stay as they are.
    pub damaged: Vec<Problem>,
}

impl PruneReport {
    /// Whether all was done that can be done today.
    pub fn is_done(&self) -> bool {
        self.stopped.is_none()
    }
}

impl Vault {
    /// Takes out what no snapshot needs.
    ///
    /// `wanted` is asked a few times a second, between any two small steps, on this thread: once it says that somebody
    /// else wants the vault, the prune stops at the next safe point. So it does when it is cancelled. Both are no
    /// errors: [`PruneReport::stopped`] tells.
    ///
    /// Memory grows with the number of blobs, as the index itself does, and not with the packs' size.
    ///
    /// # Errors
    /// [`Error::Locked`] if somebody is at work in the vault, [`Error::SnapshotsMissing`], [`Error::Damaged`] if
    /// anything cannot be read by which the decision is made, and failures of the backend. Nothing that a snapshot
    /// needs was removed in any case, and the next prune goes on.
    pub fn prune(
        &self,
        options: &PruneOptions,
        cancel: &Cancel,
        meter: &Meter,
        wanted: &dyn Fn() -> bool,
    ) -> Result<PruneReport, Error> {
        let vault = &self.0;
        let mut prune = Prune {
            vault,
            options,
            meter,
            turn: Turn::new(cancel, wanted),
            started: OffsetDateTime::now_utc(),
            held: IdMap::default(),
            report: PruneReport::default(),
        };
        let outcome = prune.run();
        let reloaded = {
            let _turn = vault.reload_turn();
            vault.reload_index()
        };
        match outcome {
            Ok(()) => reloaded?,
            Err(Halt::Early(why)) => prune.report.stopped = Some(why),
            Err(Halt::Failed(error)) => return Err(error),
        }
        Ok(prune.report)
    }
}

/// One prune on its way.
struct Prune<'a> {
    vault: &'a Arc<Opened>,
    options: &'a PruneOptions,
    meter: &'a Meter,
    turn: Turn<'a>,
    started: OffsetDateTime,
    /// Packs whose grace is over and that the storage holds until then.
    held: IdMap<OffsetDateTime>,
    report: PruneReport,
}

impl Prune<'_> {
    fn run(&mut self) -> Result<(), Halt> {
        self.turn.check()?;
        // Nobody at work, and stale locks away, before anything costs time.
        drop(Lock::take(self.vault, true)?);
        let mut survey = Survey::default();
        let mut repacked = false;
        let mut changes = 0;
        loop {
            let shared = self.lock(false)?;
            self.meter.set_current("reading what the snapshots need");
            survey.refresh(self.vault, &self.options.expected_snapshots, &self.turn, self.meter)?;
            drop(shared);
            self.report.snapshots = survey.snapshots();
            let mut plan = Plan::make(&mut survey, self.options, self.started);
            self.ask_for_held(&survey, &mut plan)?;
            plan.describe(&survey, self.options, &self.held, &mut self.report);
            self.meter.set_current("taking out what nobody needs");
            match Apply::new(self, &mut survey, &plan).run()? {
                Outcome::Changed if changes == AGAIN => {
                    return Err(Halt::Early(Stopped::Busy { by: "others, who keep changing it".into() }));
                }
                Outcome::Changed => {
                    changes += 1;
                    continue;
                }
                Outcome::Done => {}
            }
            if repacked || plan.repack.is_empty() {
                self.tidy();
                return Ok(());
            }
            self.meter.set_current("repacking");
            repack::run(self, &survey, &plan)?;
            repacked = true;
        }
    }

    /// Everything that a snapshot needs is in index files that can be seen: those that were withdrawn are worth nothing.
    fn tidy(&self) {
        match self.vault.backend.tidy() {
            Ok(0) => {}
            Ok(files) => tracing::debug!(files, "withdrawn index files were removed"),
            // The next prune tries again.
            Err(error) => tracing::warn!(%error, "withdrawn index files were not removed"),
        }
    }

    /// What the storage holds is not removed yet, whatever its grace. It is asked now, for it would be in vain later,
    /// under the exclusive lock.
    fn ask_for_held(&mut self, survey: &Survey, plan: &mut Plan) -> Result<(), Halt> {
        if self.vault.backend.retention().is_none() {
            return Ok(());
        }
        self.meter.set_current("asking what the bucket holds");
        let due: Vec<PackId> = plan.due(survey).filter(|pack| !self.held.contains_key(pack)).collect();
        let (asked, next) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        self.turn.crew(self.vault.readers().min(due.len()), &|| {}, &|stop| {
            while let Some(pack) = due.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                match self.vault.backend.held_until(FileKind::Pack, &pack.to_string()) {
                    Ok(until) => asked.lock().unwrap_or_else(PoisonError::into_inner).push((*pack, until)),
                    Err(BackendError::NotFound { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(())
        })?;
        let now = OffsetDateTime::now_utc();
        for (pack, until) in asked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.held.extend(until.filter(|until| *until > now).map(|until| (pack, until)));
        }
        plan.wait_for(survey, &self.held);
        Ok(())
    }

    /// A lock, or the reason to stop: here something has been done already.
    fn lock(&self, exclusive: bool) -> Result<Lock, Halt> {
        match Lock::take(self.vault, exclusive) {
            Err(Error::Locked { by }) => Err(Halt::Early(Stopped::Busy { by })),
            other => Ok(other?),
        }
    }
}
