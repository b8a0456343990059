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
    /// The thread behind the sender has started the server and lives as long as it: the server dies with it.
    server: Option<(Child, mpsc::Sender<()>)>,
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

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A new database; its name.
    pub fn database(&self) -> String {
        let name = format!("t{:x}", getrandom::u64().unwrap());
        self.sql("postgres", &format!("create database {name}"));
        name
    }

    /// Runs statements in one of its databases; what they give, a line for each row.
    #[track_caller]
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let mut psql = Command::new(program("psql"));
        psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "holdfast", "-d", database, "-h"]).arg(self.folder.path());
        let ran = psql.args(["-c", statements]).stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{statements}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim_end().to_owned()
    }

    /// A server of one's own.
    pub fn start() -> Self {
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
        let mut cluster = Self { folder, server: None };
        cluster.launch();
        cluster
    }

    /// Starts the server on its data directory, after the one before has ended.
    pub fn launch(&mut self) {
        if let Some((mut before, _)) = self.server.take() {
            before.wait().unwrap();
        }
        let folder = self.folder.path();
        let mut command = as_nobody(&program("postgres"), folder);
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(folder)
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
        self.server = Some((server.recv().unwrap(), alive));
        self.wait();
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
        if let Some((server, _)) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
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
