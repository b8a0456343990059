//! Whose turn it is: ours, until we are cancelled or somebody else wants the vault.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::Stopped;
use crate::{BackendError, Cancel, Error};

/// How often the caller is asked at most.
const ASK: Duration = Duration::from_millis(200);

/// Why a step of a prune did not come to its end.
pub(super) enum Halt {
    /// At a safe point, for a good reason.
    Early(Stopped),
    /// An error.
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Halt {
        match error {
            Error::Cancelled => Halt::Early(Stopped::Cancelled),
            other => Halt::Failed(other),
        }
    }
}

impl From<BackendError> for Halt {
    fn from(error: BackendError) -> Halt {
        Halt::Failed(error.into())
    }
}

/// Asked between any two small steps.
pub(super) struct Turn<'a> {
    cancel: &'a Cancel,
    wanted: &'a dyn Fn() -> bool,
    asked: Cell<Option<Instant>>,
}

impl<'a> Turn<'a> {
    pub(super) fn new(cancel: &'a Cancel, wanted: &'a dyn Fn() -> bool) -> Turn<'a> {
        Turn { cancel, wanted, asked: Cell::new(None) }
    }

    /// `Err` when it is time to stop.
    pub(super) fn check(&self) -> Result<(), Halt> {
        if self.cancel.is_cancelled() {
            return Err(Halt::Early(Stopped::Cancelled));
        }
        if self.asked.get().is_some_and(|asked| asked.elapsed() < ASK) {
            return Ok(());
        }
        if (self.wanted)() {
            return Err(Halt::Early(Stopped::Wanted));
        }
        self.asked.set(Some(Instant::now()));
        Ok(())
    }

    /// Lets threads work while this one goes on asking. `work` looks at its flag between small steps and goes home when
    /// it is set; `end` wakes those who wait for each other.
    pub(super) fn crew(
        &self,
        threads: usize,
        end: &(dyn Fn() + Sync),
        work: &(dyn Fn(&AtomicBool) -> Result<(), Error> + Sync),
    ) -> Result<(), Halt> {
        let stop = AtomicBool::new(false);
        let (alive, gone) = crossbeam_channel::bounded::<()>(0);
        std::thread::scope(|scope| {
            let stop = &stop;
            let workers: Vec<_> = (0..threads.max(1))
                .map(|_| {
                    let alive = alive.clone();
                    scope.spawn(move || {
                        let _alive = alive;
                        let end = OnTrouble { stop, end };
                        let outcome = work(stop);
                        if outcome.is_ok() {
                            std::mem::forget(end);
                        }
                        outcome
                    })
                })
                .collect();
            drop(alive);
            let mut verdict = Ok(());
            while gone.recv_timeout(ASK / 2) == Err(RecvTimeoutError::Timeout) {
                if verdict.is_ok() {
                    verdict = self.check();
                    if verdict.is_err() {
                        stop.store(true, Ordering::Relaxed);
                        end();
                    }
                }
            }
            for worker in workers {
                worker.join().map_err(|_| Error::Refused("a thread of the prune died".into()))??;
            }
            verdict
        })
    }
}

/// Ends everybody's work when one fails or panics.
struct OnTrouble<'a> {
    stop: &'a AtomicBool,
    end: &'a (dyn Fn() + Sync),
}

impl Drop for OnTrouble<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        (self.end)();
    }
}
