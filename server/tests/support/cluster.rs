//! A throwaway PostgreSQL server for tests: a temporary folder, a Unix socket, gone with the last test that uses it.

use std::{
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak, mpsc},
    time::{Duration, Instant},
};

/// The server that the tests of this process share.
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// The user that the server runs as when the tests run as root, which PostgreSQL refuses.
const NOBODY: u32 = 65534;

/// A running server.
pub struct Cluster {
    folder: tempfile::TempDir,
    server: Child,
    /// Its thread has started the server and lives as long as it: the server dies with it.
    _alive: mpsc::Sender<()>,
}

impl Cluster {
    /// The shared server, started by whoever comes first.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let cluster = Arc::new(Self::start());
        *shared = Arc::downgrade(&cluster);
        cluster
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://holdfast@localhost/{database}?host={}", self.folder.path().display())
    }

    fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("hf-pg-").tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        if root() {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = as_nobody(&program("initdb"), folder.path())
            .args(["--auth=trust", "--username=holdfast", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut command = as_nobody(&program("postgres"), folder.path());
        command
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=300"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A child is told of the end of the thread that started it, so that thread stays.
        let (alive, wait) = mpsc::channel::<()>();
        let (started, server) = mpsc::channel();
        std::thread::spawn(move || {
            started.send(command.spawn().unwrap()).unwrap();
            let _ = wait.recv();
        });
        let cluster = Self { folder, server: server.recv().unwrap(), _alive: alive };
        cluster.wait();
        cluster
    }

    fn wait(&self) {
        let (ready, end) = (program("pg_isready"), Instant::now() + Duration::from_secs(30));
        while Instant::now() < end {
            let asked = Command::new(&ready).args(["-q", "-h"]).arg(self.folder.path()).status().unwrap();
            if asked.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the PostgreSQL server did not start");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_nobody(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg("--").arg(program).current_dir(folder).env("LC_ALL", "C.UTF-8");
    command
}

/// Debian keeps the server's programs out of `PATH`.
fn program(name: &str) -> PathBuf {
    let mut majors: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin").join(name)).collect())
        .unwrap_or_default();
    majors.retain(|path| path.exists());
    majors.sort();
    majors.pop().unwrap_or_else(|| PathBuf::from(name))
}
