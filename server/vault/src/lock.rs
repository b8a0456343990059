//! restic's lock files: many shared locks or one exclusive lock at a time, renewed while their process lives.
//!
//! A lock is taken by looking, writing our own file, and looking again: of two that come at once at least one sees the
//! other and steps back. This needs a storage that lists what was written before, which disks and today's buckets are.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::Error;
use crate::backend::{BackendError, FileKind};
use crate::vault::Opened;

/// A lock this old belongs to nobody any more.
const STALE: time::Duration = time::Duration::minutes(30);
/// How often a held lock is renewed.
const RENEWAL: Duration = Duration::from_secs(5 * 60);

/// Locks of this process that nobody holds any more, and whose removal failed: they shall be in nobody's way, though
/// their process lives.
static GIVEN_UP: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The JSON of a lock file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LockJson {
    #[serde(with = "crate::snapshot::rfc3339")]
    time: OffsetDateTime,
    exclusive: bool,
    pub(crate) hostname: String,
    username: String,
    pid: i32,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
}

impl LockJson {
    fn ours(exclusive: bool) -> LockJson {
        LockJson {
            time: OffsetDateTime::now_utc(),
            exclusive,
            hostname: host(),
            username: user(),
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
        }
    }

    pub(crate) fn is_old(&self) -> bool {
        OffsetDateTime::now_utc() - self.time > STALE
    }

    /// Its process was one of this host and is gone.
    pub(crate) fn is_dead(&self) -> bool {
        // No process has the number 0 or one below it; the system takes these for groups.
        let pid = Some(self.pid).filter(|pid| *pid > 0).and_then(Pid::from_raw);
        let gone = || pid.is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
        self.hostname == host() && gone()
    }

    pub(crate) fn describe(&self) -> String {
        let word = if self.exclusive { "exclusive" } else { "shared" };
        format!("PID {} on {} by {} ({word}, since {})", self.pid, self.hostname, self.username, self.time)
    }
}

/// A lock that we hold; dropping it removes the file.
pub(crate) struct Lock {
    held: Arc<Held>,
    renewal: Option<JoinHandle<()>>,
}

struct Held {
    vault: Arc<Opened>,
    state: Mutex<State>,
    end: Condvar,
}

struct State {
    name: String,
    lost: Option<String>,
    ended: bool,
}

impl Lock {
    /// Takes a lock, or says who is in the way.
    pub(crate) fn take(vault: &Arc<Opened>, exclusive: bool) -> Result<Lock, Error> {
        survive_restics_question();
        refuse_if_locked(vault, exclusive, None)?;
        let (id, _) = vault.save(FileKind::Lock, &LockJson::ours(exclusive))?;
        let held = Arc::new(Held {
            vault: vault.clone(),
            state: Mutex::new(State { name: id.to_string(), lost: None, ended: false }),
            end: Condvar::new(),
        });
        let mut lock = Lock { held: held.clone(), renewal: None };
        refuse_if_locked(vault, exclusive, Some(&id.to_string()))?;
        let renewal = std::thread::Builder::new()
            .name("vault-lock".into())
            .spawn(move || held.renew(exclusive))
            .map_err(|error| Error::io("a thread for the lock", error))?;
        lock.renewal = Some(renewal);
        Ok(lock)
    }

    /// `Err` if somebody has removed our lock: then others may have changed the vault under us.
    pub(crate) fn still_held(&self) -> Result<(), Error> {
        let state = self.held.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |why: &str| Error::VaultChanged { why: why.to_owned() };
        if let Some(why) = &state.lost {
            return Err(gone(why));
        }
        let names = self.held.vault.backend.list(FileKind::Lock)?;
        if names.iter().any(|(name, _)| *name == state.name) { Ok(()) } else { Err(gone("our lock was removed")) }
    }
}

impl Held {
    fn renew(&self, exclusive: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Asked before each wait: the end may come before this thread has begun to listen for it.
        while !state.ended {
            let (next, timeout) = self.end.wait_timeout(state, RENEWAL).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if state.ended {
                return;
            }
            if timeout.timed_out()
                && state.lost.is_none()
                && let Err(error) = self.renew_once(exclusive, &mut state)
            {
                tracing::warn!(%error, "a vault's lock was not renewed");
            }
        }
    }

    /// Writes a new file, then removes the old one; a lock that somebody took from us is not taken back.
    fn renew_once(&self, exclusive: bool, state: &mut State) -> Result<(), Error> {
        let names = self.vault.backend.list(FileKind::Lock)?;
        if !names.iter().any(|(name, _)| *name == state.name) {
            state.lost = Some("our lock was removed".into());
            return Ok(());
        }
        let (id, _) = self.vault.save(FileKind::Lock, &LockJson::ours(exclusive))?;
        let old = std::mem::replace(&mut state.name, id.to_string());
        give_up(&self.vault, old);
        Ok(())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        {
            let mut state = self.held.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ended = true;
            give_up(&self.held.vault, std::mem::take(&mut state.name));
        }
        self.held.end.notify_all();
        if let Some(renewal) = self.renewal.take() {
            let _ = renewal.join();
        }
    }
}

fn given_up() -> MutexGuard<'static, BTreeSet<String>> {
    GIVEN_UP.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a lock of ours; one that cannot be removed now is when it is next met.
fn give_up(vault: &Opened, name: String) {
    if let Err(error) = vault.backend.remove(FileKind::Lock, &name) {
        tracing::warn!(%error, "a vault's lock was not removed");
        given_up().insert(name);
    }
}

/// Every lock that can be read, with its name. One that vanishes meanwhile is no lock; one that cannot be read is
/// nobody's, as for restic.
fn all(vault: &Opened) -> Result<Vec<(String, LockJson)>, Error> {
    let mut locks = Vec::new();
    for (name, _) in vault.backend.list(FileKind::Lock)? {
        match vault.load::<LockJson>(FileKind::Lock, &name) {
            Ok(lock) => locks.push((name, lock)),
            Err(Error::Backend(BackendError::NotFound { .. })) => {}
            Err(error @ Error::Damaged { .. }) => tracing::warn!(%error, "an unreadable lock is ignored"),
            Err(error) => return Err(error),
        }
    }
    Ok(locks)
}

fn refuse_if_locked(vault: &Opened, exclusive: bool, own: Option<&str>) -> Result<(), Error> {
    for (name, lock) in all(vault)? {
        if Some(name.as_str()) == own || !(exclusive || lock.exclusive) {
            continue;
        }
        if lock.is_old() || lock.is_dead() || given_up().contains(&name) {
            tracing::warn!(lock = lock.describe(), "a stale lock is removed");
            vault.backend.remove(FileKind::Lock, &name)?;
            given_up().remove(&name);
            continue;
        }
        return Err(Error::Locked { by: lock.describe() });
    }
    Ok(())
}

/// Removes the locks that processes of this host have left behind, and gives their number.
pub(crate) fn remove_dead(vault: &Opened) -> Result<usize, Error> {
    let mut removed = 0;
    for (name, lock) in all(vault)? {
        if lock.is_dead() || given_up().remove(&name) || (lock.hostname == host() && lock.is_old()) {
            vault.backend.remove(FileKind::Lock, &name)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Gives the names of lock files that cannot be read, with the reason.
pub(crate) fn unreadable(vault: &Opened) -> Result<Vec<Error>, Error> {
    let mut errors = Vec::new();
    for (name, _) in vault.backend.list(FileKind::Lock)? {
        match vault.load::<LockJson>(FileKind::Lock, &name) {
            Ok(_) | Err(Error::Backend(BackendError::NotFound { .. })) => {}
            Err(error @ Error::Damaged { .. }) => errors.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(errors)
}

/// restic asks whether a lock's process lives by sending it SIGHUP, which would end us. It ignores the signal in
/// itself; so do we from the first lock on.
fn survive_restics_question() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let flag = Arc::new(std::sync::atomic::AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGHUP, flag) {
            tracing::warn!(%error, "SIGHUP cannot be caught; `restic unlock` may end this process");
        }
    });
}

/// This host's name.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// This process's user, by name if it has one.
pub(crate) fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    uzers::get_user_by_uid(uid).map_or_else(|| uid.to_string(), |user| user.name().to_string_lossy().into_owned())
}
