//! Real PostgreSQL servers, a real vault, and the awkward database that the tests capture.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    fs,
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::{Duration, Instant},
};

use holdfast_engine::{
    Accept, Context, Events, ToolSettings, Tools,
    diff::End,
    postgres::{self, PgError},
};
use holdfast_model::{
    definition::{Component, Definition, Smoke},
    drill::ComponentDrill,
    event::EventBody,
    manifest::ManifestComponent,
    secret::Secret,
    state::Proof,
};
use holdfast_vault::{Cancel, Chunking, LocalBackend, Meter, Node, Password, TreeId, Vault, VaultOptions, Writer};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

#[path = "sealing.rs"]
pub mod sealing;

pub const PASSWORD: &str = "s3cr3t p@ss/word";

/// A server of its own, as an ordinary user; ended and removed when dropped.
pub struct Server {
    dir: TempDir,
    child: Child,
    pub port: u16,
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `nobody`'s number on every system that we know.
const NOBODY: u32 = 65534;

pub fn bin() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("a PostgreSQL server is installed")
}

fn as_ordinary_user(program: PathBuf) -> Command {
    let mut command = Command::new("setpriv");
    if root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg("--").arg(program).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("holdfast-test-").tempdir_in("/tmp").unwrap();
        if root() {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let data = dir.path().join("data");
        let made = as_ordinary_user(bin().join("initdb"))
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"])
            .arg(&data)
            .current_dir(dir.path())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        fs::write(
            data.join("pg_hba.conf"),
            "local all postgres trust\nlocal all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n",
        )
        .unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = as_ordinary_user(bin().join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-c", "max_prepared_transactions=5"])
            .args(["-c", "wal_level=logical", "-c"])
            .arg(format!("unix_socket_directories={}", dir.path().display()))
            .args(["-c", &format!("port={port}")])
            .current_dir(dir.path())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { dir, child, port }
    }

    pub async fn ready() -> Self {
        let server = Self::start();
        let begin = Instant::now();
        while server.connect("postgres").await.is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the server did not start");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        let role = format!("create role app login createdb password '{PASSWORD}'");
        server.sql("postgres", &role).await;
        server.sql("postgres", "create database shop owner app").await;
        server
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        let _ = self.child.wait();
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::new_without_pgpass()
            .socket(self.dir.path())
            .port(self.port)
            .username("postgres")
            .database(database)
            .disable_statement_logging()
            .connect()
            .await
    }

    /// A session of the superuser.
    pub async fn session(&self, database: &str) -> PgConnection {
        self.connect(database).await.unwrap()
    }

    /// Runs statements as the superuser.
    pub async fn sql(&self, database: &str, sql: &str) {
        let mut session = self.session(database).await;
        run(&mut session, sql).await;
    }

    /// The first column of the first row, as the superuser.
    pub async fn ask(&self, database: &str, sql: &str) -> String {
        let mut session = self.session(database).await;
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut session).await.unwrap();
        use sqlx::Row;
        rows[0].try_get_raw(0).unwrap().as_str().unwrap_or("").to_owned()
    }

    pub fn url(&self, user: &str, password: &str, database: &str) -> Secret {
        let encoded: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        Secret::new(format!("postgres://{user}:{encoded}@127.0.0.1:{}/{database}", self.port))
    }

    pub fn app(&self, database: &str) -> Secret {
        self.url("app", PASSWORD, database)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A PgBouncer before a server.
pub struct Pooler {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Pooler {
    pub async fn start(server: &Server, mode: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("holdfast-test-").tempdir_in("/tmp").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let users = dir.path().join("users");
        fs::write(&users, format!("\"app\" \"{PASSWORD}\"\n")).unwrap();
        let settings = dir.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\n\
             auth_type=scram-sha-256\nauth_file={}\npool_mode={mode}\n",
            server.port,
            users.display()
        );
        fs::write(&settings, text).unwrap();
        if root() {
            for path in [dir.path(), &users, &settings] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let child = as_ordinary_user("/usr/sbin/pgbouncer".into()).arg(&settings).spawn().unwrap();
        let begin = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "PgBouncer does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { child, port, _dir: dir }
    }

    pub fn app(&self, database: &str) -> Secret {
        let encoded: String = url::form_urlencoded::byte_serialize(PASSWORD.as_bytes()).collect();
        let encoded = encoded.replace('+', "%20");
        Secret::new(format!("postgres://app:{encoded}@127.0.0.1:{}/{database}", self.port))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub async fn run(session: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(session).await {
        panic!("{error} in: {sql}");
    }
}

/// Keeps every event.
#[derive(Default)]
pub struct Ears(pub Mutex<Vec<EventBody>>);

impl Events for Ears {
    fn emit(&self, body: EventBody) {
        self.0.lock().unwrap().push(body);
    }
}

/// A vault, a scratch folder, and the host's tools.
pub struct Bench {
    pub dir: TempDir,
    pub vault: Vault,
    pub tools: Tools,
    pub ctx: Context,
}

/// A component sealed in the vault.
#[derive(Clone)]
pub struct Checkpoint {
    pub dir: TreeId,
    pub component: ManifestComponent,
    pub nodes: Vec<Node>,
}

impl Bench {
    pub async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("holdfast-test-").tempdir().unwrap();
        // As closed as a data directory is.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let backend = Arc::new(LocalBackend::create(dir.path().join("vault")).unwrap());
        let vault = tokio::task::spawn_blocking(move || {
            Vault::init(backend, &Password::new("test".into()), VaultOptions::default()).unwrap()
        })
        .await
        .unwrap();
        let tools = Tools::find(&ToolSettings::default()).await;
        let ctx = Context { cancel: Cancel::new(), events: Arc::new(Ears::default()) };
        Self { dir, vault, tools, ctx }
    }

    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    /// A scratch folder that a throwaway server's own user can reach: nothing is put elsewhere.
    pub fn open_scratch(&self) -> PathBuf {
        fs::set_permissions(self.dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        self.scratch()
    }

    pub async fn prepare(&self, url: &Secret) -> Result<postgres::Prepared, PgError> {
        postgres::prepare(&component(), url, &self.tools, &self.ctx).await
    }

    pub async fn hold(&self, url: &Secret) -> Result<postgres::Held, PgError> {
        self.prepare(url).await?.hold(&self.ctx).await
    }

    /// Takes and seals.
    pub async fn checkpoint(&self, url: &Secret) -> Result<Checkpoint, PgError> {
        let held = self.hold(url).await?;
        self.stream(held).await
    }

    pub async fn stream(&self, held: postgres::Held) -> Result<Checkpoint, PgError> {
        let instant = held.instant();
        let vault = self.vault.clone();
        let writer = Arc::new(tokio::task::spawn_blocking(move || vault.writer(Cancel::new()).unwrap()).await.unwrap());
        let meter = Meter::new();
        let captured = held.stream(writer.clone(), meter, Arc::new(AtomicU64::new(0)), &self.ctx).await?;
        let nodes = captured.nodes.clone();
        let writer = Arc::into_inner(writer).expect("the capture has let go of the writer");
        let dir = tokio::task::spawn_blocking(move || sealed(writer, captured.nodes, instant)).await.unwrap();
        let component = ManifestComponent {
            name: "postgres".parse().unwrap(),
            kind: holdfast_model::state::Kind::Postgres,
            host: "local".into(),
            place: "databases/postgres".into(),
            instant,
            size: captured.size,
            stored: captured.stored,
            items: captured.items,
            ledger: Some(captured.ledger),
            facts: captured.facts,
            skipped: captured.skipped,
            not_covered: captured.not_covered,
        };
        Ok(Checkpoint { dir, component, nodes })
    }

    /// A sealed component as a checkpoint of its own.
    pub async fn end(&self, of: &Checkpoint) -> End {
        let (vault, dir, component) = (self.vault.clone(), of.dir, of.component.clone());
        tokio::task::spawn_blocking(move || {
            let instant = component.instant;
            let writer = vault.writer(Cancel::new()).unwrap();
            let manifest = sealing::manifest(instant, vec![component]);
            let (manifest, root, _) = sealing::seal(writer, manifest, |writer, _| {
                let inner = writer.put_tree(vec![Node::dir("postgres", dir, instant)]).unwrap();
                vec![Node::dir("databases", inner, instant)]
            });
            End { vault, root, manifest }
        })
        .await
        .unwrap()
    }

    /// Its folder with another file in the place of the one of that name.
    pub async fn replaced(&self, of: &Checkpoint, make: impl FnOnce(&Writer) -> Node + Send + 'static) -> TreeId {
        let (vault, mut nodes, instant) = (self.vault.clone(), of.nodes.clone(), of.component.instant);
        tokio::task::spawn_blocking(move || {
            let writer = vault.writer(Cancel::new()).unwrap();
            let node = make(&writer);
            nodes.retain(|other| other.name != node.name);
            nodes.push(node);
            sealed(writer, nodes, instant)
        })
        .await
        .unwrap()
    }

    pub async fn drill(&self, checkpoint: &Checkpoint, smoke: &[&str]) -> ComponentDrill {
        self.drill_accepting(checkpoint, smoke, &[]).await
    }

    pub async fn drill_accepting(&self, checkpoint: &Checkpoint, smoke: &[&str], accept: &[&str]) -> ComponentDrill {
        let smoke: Vec<Smoke> =
            smoke.iter().map(|sql| Smoke { component: "postgres".parse().unwrap(), sql: (*sql).into() }).collect();
        let accept = Accept::new(&accept.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).unwrap();
        let (dir, component) = (&checkpoint.dir, &checkpoint.component);
        let scratch = self.scratch();
        postgres::drill(&self.vault, dir, component, &smoke, &accept, &scratch, &self.tools, &self.ctx).await.unwrap()
    }

    /// Reads a file of a checkpoint.
    pub async fn read(&self, checkpoint: &Checkpoint, name: &str) -> Vec<u8> {
        let (vault, dir, name) = (self.vault.clone(), checkpoint.dir, name.to_owned());
        tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let node = vault.find(&dir, Path::new(&name)).unwrap();
            std::io::Read::read_to_end(&mut vault.read(&node).unwrap(), &mut bytes).unwrap();
            bytes
        })
        .await
        .unwrap()
    }
}

/// Seals these files as a database's folder.
fn sealed(writer: Writer, nodes: Vec<Node>, instant: time::OffsetDateTime) -> TreeId {
    let dir = writer.put_tree(nodes).unwrap();
    sealing::seal(writer, sealing::manifest(instant, Vec::new()), |_, _| vec![Node::dir("postgres", dir, instant)]);
    dir
}

/// A file of a dump's kind with this content.
pub fn file(writer: &Writer, name: &str, bytes: &[u8]) -> Node {
    let mut stream = writer.stream(Chunking::Dump, &Meter::new());
    std::io::Write::write_all(&mut stream, bytes).unwrap();
    let streamed = stream.finish().unwrap();
    Node::file(name, streamed.content, streamed.bytes, time::OffsetDateTime::now_utc())
}

pub fn component() -> Component {
    let text = r#"{"project":"p","environment":"e","components":[{"name":"postgres","kind":"postgres","url":"postgres://x/y"}]}"#;
    let definition: Definition = serde_json::from_str(text).unwrap();
    definition.components.into_iter().next().unwrap()
}

/// Whether a file of that name lies anywhere below `dir`; what vanishes meanwhile is not there.
pub fn has_below(dir: &Path, name: &str) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry
                .is_ok_and(|entry| entry.file_name() == name || entry.path().is_dir() && has_below(&entry.path(), name))
        })
    })
}

/// Panics with every failed check and open gap unless the drill proved its copy.
pub fn assert_proven(drill: &ComponentDrill) {
    let failed: Vec<_> = drill.checks.iter().filter(|check| !check.passed).collect();
    assert_eq!(drill.verdict, Proof::Proven, "failed: {failed:#?}, gaps: {:#?}", drill.gaps);
    assert!(!drill.checks.is_empty());
}

/// Panics unless a check of that name failed, and the verdict with it.
pub fn assert_failed(drill: &ComponentDrill, name: &str) {
    let failed: Vec<&str> = drill.checks.iter().filter(|check| !check.passed).map(|c| c.name.as_str()).collect();
    assert_eq!(drill.verdict, Proof::Failed, "nothing failed, where `{name}` should have");
    assert!(failed.contains(&name), "`{name}` did not fail; these did: {failed:?}");
}

/// A session of the application's own role.
pub async fn app_session(server: &Server, database: &str) -> PgConnection {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(server.port).username("app");
    options.password(PASSWORD).database(database).disable_statement_logging().connect().await.unwrap()
}

/// The shop of the tests, by the application's own role.
pub async fn awkward(server: &Server) {
    run(&mut app_session(server, "shop").await, include_str!("awkward.sql")).await;
}
