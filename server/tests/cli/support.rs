//! A server of one's own on a free port, an application to capture, and the command line between them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// What a command printed, and its exit code.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
}

impl Ran {
    /// What a command that has ended leaves.
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code().expect("ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Itself, when the code is this.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// The one JSON value on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err))
    }
}

/// `holdfast` without anything that this process has inherited.
pub fn holdfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    for name in ["HOLDFAST_URL", "HOLDFAST_TOKEN", "HOLDFAST_DATA_DIR", "HOLDFAST_LISTEN", "HOLDFAST_DATABASE_URL"] {
        command.env_remove(name);
    }
    // Who is signed in at this terminal is nothing that a test may find.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command.stdin(Stdio::null());
    command
}

/// Runs `holdfast` with these arguments and no server.
pub fn run(arguments: &[&str]) -> Ran {
    Ran::of(holdfast().args(arguments).output().expect("holdfast starts"))
}

/// A running server with a data directory of its own; it ends with this value.
pub struct Server {
    child: Child,
    home: TempDir,
}

impl Server {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let log = fs::File::create(home.path().join("server.log")).unwrap();
        let child = holdfast()
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(home.path().join("data"))
            .env("HOLDFAST_SCRATCH_DIR", home.path().join("scratch"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut server = Self { child, home };
        let begun = Instant::now();
        while !server.data_dir().join("client.json").exists() || server.run(&["env", "list"]).code != 0 {
            let ended = server.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(60), "{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// A folder for the test.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// The server's process.
    pub fn process(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default()
    }

    /// A command that finds this server.
    pub fn command(&self) -> Command {
        let mut command = holdfast();
        command.env("HOLDFAST_DATA_DIR", self.data_dir());
        command
    }

    /// Runs `holdfast` with these arguments against this server.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command().args(arguments).output().expect("holdfast starts"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        // One that was stopped hears nothing before it goes on.
        for signal in [rustix::process::Signal::CONT, rustix::process::Signal::TERM] {
            let _ = rustix::process::kill_process(self.process(), signal);
        }
        let _ = self.child.wait();
    }
}

/// A shop: a folder of uploads and a SQLite database in WAL mode.
pub struct Shop {
    /// Where it lies.
    pub folder: PathBuf,
}

impl Shop {
    /// Makes it below `folder`, with `extra` at the end of its definition.
    pub fn make(folder: &Path, project: &str, environment: &str, extra: &str) -> Self {
        let folder = folder.join(format!("{project}-{environment}"));
        fs::create_dir_all(folder.join("uploads/deep")).unwrap();
        for number in 0..30_u32 {
            let text = format!("upload {number}\n").repeat(200);
            fs::write(folder.join(format!("uploads/deep/{number}.txt")), text).unwrap();
        }
        fs::write(folder.join("uploads/logo.svg"), "<svg/>\n").unwrap();
        let shop = Self { folder };
        shop.sql("pragma journal_mode = wal; create table orders (id integer primary key, what text);");
        shop.sql("with recursive n(i) as (select 1 union all select i + 1 from n where i < 500) insert into orders select i, 'order ' || i from n;");
        let definition = format!(
            "project: {project}\nenvironment: {environment}\napp: {{hostname: shop.example.org, port: 8000}}\ncomponents:\n  - {{name: uploads, kind: files, path: ./uploads}}\n  - {{name: search, kind: sqlite, path: ./search.db}}\n{extra}"
        );
        fs::write(shop.definition(), definition).unwrap();
        shop
    }

    /// Its `holdfast.yaml`.
    pub fn definition(&self) -> PathBuf {
        self.folder.join("holdfast.yaml")
    }

    /// Runs statements on its database.
    pub fn sql(&self, statements: &str) {
        rusqlite::Connection::open(self.folder.join("search.db")).unwrap().execute_batch(statements).unwrap();
    }

    /// How many orders there are.
    pub fn orders(&self) -> i64 {
        let connection = rusqlite::Connection::open(self.folder.join("search.db")).unwrap();
        connection.query_row("select count(*) from orders", [], |row| row.get(0)).unwrap()
    }

    /// Tells the server about it.
    #[track_caller]
    pub fn apply(&self, server: &Server) -> Ran {
        server.run(&["apply", "-f", self.definition().to_str().unwrap()]).expect(0)
    }
}
