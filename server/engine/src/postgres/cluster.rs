//! A throwaway server: a Unix socket, no network, no fsync, behind the best fence that the host has.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;

use super::{
    PgError,
    install::PgInstall,
    target::{Session, Target},
};
use crate::{
    command::{Program, Running},
    context::Context,
    sandbox::SandboxLevel,
};

mod sweep;
mod template;

pub use sweep::sweep;
pub(crate) use template::Templates;
use template::Turn;

/// Names of the folders that hold throwaway servers begin with it, so that they can be swept.
const PREFIX: &str = "holdfast-pg-";
/// The note in such a folder that says which process it belongs to.
const OWNER: &str = "owner";
/// The longest path of a Unix socket is 107 bytes; `/.s.PGSQL.5432` comes behind the folder's.
const LONGEST_SOCKET_DIR: usize = 107 - 14;
const START: Duration = Duration::from_secs(60);

/// A folder that the throwaway server's user can reach, removed when dropped.
pub(super) struct Room {
    dir: TempDir,
    sockets: Option<TempDir>,
    level: SandboxLevel,
}

impl Room {
    /// Makes one under `scratch`. The user of a fenced server cannot reach a folder below one that is closed to others,
    /// as a data directory is; then `/var/tmp` takes its place.
    pub(super) fn make(scratch: &Path, level: &SandboxLevel) -> Result<Self, PgError> {
        fs::create_dir_all(scratch).map_err(|error| PgError::io(scratch, error))?;
        let fenced = level.user().is_some();
        let base = if fenced && !open_to_others(scratch) { PathBuf::from("/var/tmp") } else { scratch.to_owned() };
        let make = |base: &Path| {
            let mode = fs::Permissions::from_mode(if fenced { 0o711 } else { 0o700 });
            tempfile::Builder::new().prefix(PREFIX).permissions(mode).tempdir_in(base).map_err(|e| PgError::io(base, e))
        };
        let dir = make(&base)?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(if fenced { 0o711 } else { 0o700 }))
            .map_err(|error| PgError::io(dir.path(), error))?;
        note_owner(dir.path())?;
        let mut room = Self { dir, sockets: None, level: level.clone() };
        room.give_dir("data")?;
        if room.dir.path().as_os_str().len() + 2 > LONGEST_SOCKET_DIR {
            let short = make(&std::env::temp_dir())?;
            let inside = short.path().join("s");
            room.make_dir(&inside)?;
            room.sockets = Some(short);
        } else {
            room.give_dir("s")?;
        }
        Ok(room)
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Begins its `data` again.
    fn empty_data(&self) -> Result<(), PgError> {
        fs::remove_dir_all(self.data()).map_err(|error| PgError::io(self.path(), error))?;
        self.give_dir("data")
    }

    fn sockets(&self) -> PathBuf {
        self.sockets.as_ref().unwrap_or(&self.dir).path().join("s")
    }

    fn give_dir(&self, name: &str) -> Result<(), PgError> {
        self.make_dir(&self.dir.path().join(name))
    }

    fn make_dir(&self, path: &Path) -> Result<(), PgError> {
        fs::create_dir(path).map_err(|error| PgError::io(path, error))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(|error| PgError::io(path, error))?;
        self.give(path)
    }

    /// Hands a file to the server's user.
    pub(super) fn give(&self, path: &Path) -> Result<(), PgError> {
        match self.level.user() {
            Some(user) => chown(path, Some(user.uid), Some(user.gid)).map_err(|error| PgError::io(path, error)),
            None => Ok(()),
        }
    }

    /// Says so when fewer than `needed` bytes are free.
    pub(super) fn check_space(&self, needed: u64) -> Result<(), PgError> {
        check_space(self.path(), needed)
    }
}

fn note_owner(dir: &Path) -> Result<(), PgError> {
    let note = dir.join(OWNER);
    fs::write(&note, std::process::id().to_string()).map_err(|error| PgError::io(&note, error))
}

/// Says so when fewer than `needed` bytes are free at `path`.
pub(super) fn check_space(path: &Path, needed: u64) -> Result<(), PgError> {
    const MB: u64 = 1_000_000;
    let stat = rustix::fs::statvfs(path).map_err(|error| PgError::io(path, error))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= needed {
        return Ok(());
    }
    Err(PgError::NoSpace { place: path.display().to_string(), needed: needed.div_ceil(MB), free: free / MB })
}

fn open_to_others(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|meta| meta.mode() & 0o001 != 0))
}

/// A running throwaway server. Dropping it ends it and removes all that it had.
pub(super) struct Cluster {
    running: Running,
    room: Room,
    install: PgInstall,
    superuser: String,
    _turn: Turn,
}

impl Cluster {
    /// Makes and starts one. `superuser` is named like the source's, for what nobody else owns belongs to it.
    pub(super) async fn start(
        room: Room,
        install: &PgInstall,
        superuser: &str,
        templates: &Templates,
        ctx: &Context,
    ) -> Result<Self, PgError> {
        let turn = templates.fill(&room, install, superuser, &ctx.cancel).await?;
        let data = room.data();
        let mut program = install.program("postgres").arg("-D").arg(&data);
        let sockets = format!("unix_socket_directories={}", quoted(&room.sockets()));
        for setting in SETTINGS.iter().copied().chain([sockets.as_str()]) {
            program = program.arg("-c").arg(setting);
        }
        // QUIT lets the server end its own children first, which stand in sessions of their own.
        let program = program.dir(room.path()).fenced(&room.level).farewell("QUIT");
        let running = program.spawn(Stdio::null()).await?;
        let mut cluster = Self { running, room, install: install.clone(), superuser: superuser.into(), _turn: turn };
        let begin = Instant::now();
        loop {
            match cluster.target("postgres").connect().await {
                Ok(session) => {
                    session.close().await;
                    return Ok(cluster);
                }
                Err(error) => {
                    if cluster.running.ended() || begin.elapsed() > START {
                        let ended = cluster.end().await;
                        let said = ended.unwrap_or_else(|| error.to_string());
                        return Err(PgError::tool(
                            "the throwaway server",
                            "did not start",
                            &said,
                            "the throwaway server",
                        ));
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// A database in it, as its superuser.
    pub(super) fn target(&self, database: &str) -> Target {
        Target::socket(&self.room.sockets(), &self.superuser, database)
    }

    /// A session in one of its databases.
    pub(super) async fn session(&self, database: &str) -> Result<Session, PgError> {
        self.target(database).connect().await
    }

    /// One of its programs, behind the same fence.
    pub(super) fn program(&self, name: &str) -> Program {
        self.install.program(name).dir(self.room.path()).fenced(&self.room.level)
    }

    pub(super) const fn room(&self) -> &Room {
        &self.room
    }

    /// Ends it in good order.
    pub(super) async fn stop(mut self) {
        let _ = self.end().await;
    }

    async fn end(&mut self) -> Option<String> {
        self.running.signal(Signal::QUIT);
        tokio::time::timeout(Duration::from_secs(10), self.running.wait()).await.ok().map(|ended| ended.stderr)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The room goes next, and the server's children must not write into it any more.
        let begin = Instant::now();
        self.running.signal(Signal::QUIT);
        while !self.running.ended() && begin.elapsed() < Duration::from_secs(6) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

const SETTINGS: [&str; 17] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "port=5432",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
    "autovacuum=off",
    "shared_buffers=128MB",
    "maintenance_work_mem=128MB",
    "max_connections=20",
    "max_locks_per_transaction=1024",
    "shared_preload_libraries=",
    "log_min_messages=fatal",
];

/// A folder within a setting that takes a list of them.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}
