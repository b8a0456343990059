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
use holdfast_vault::{Cancel, LocalBackend, Meter, Node, Password, TreeId, Vault, VaultOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

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
        let sealing = nodes.clone();
        let dir = tokio::task::spawn_blocking(move || {
            let tree = writer.put_tree(sealing).unwrap();
            let root = writer.put_tree(vec![Node::dir("postgres", tree, instant)]).unwrap();
            let writer = Arc::into_inner(writer).expect("the capture has let go of the writer");
            let draft = holdfast_vault::SnapshotDraft {
                tree: root,
                time: instant,
                paths: vec!["/".into()],
                tags: vec![],
                parent: None,
                hostname: "test".into(),
                username: "test".into(),
                program_version: "test".into(),
            };
            writer.seal(draft).unwrap();
            tree
        })
        .await
        .unwrap();
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

/// Everything that a schema may hold and that a careless copy loses. Run as the application's own role.
pub const AWKWARD: &str = r#"
create schema app;
create schema "Odd. schema, ""quoted""";
create type app.mood as enum ('sad', 'ok', 'happy');
create type app.address as (street text, zip varchar(10));
create domain app.email as text check (value ~ '@') not null;
create type app.float_range as range (subtype = float8, subtype_diff = float8mi);
create function app.touch() returns trigger language plpgsql as $f$ begin new.touched = now(); return new; end $f$;
create function app.total(id bigint) returns numeric language sql stable as 'select 1.5 * id';
create procedure app.nothing() language sql as 'select 1';
create aggregate app.sum2(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0');
create table app.customer (
    id bigint generated always as identity primary key,
    mail app.email unique,
    mood app.mood default 'ok',
    place app.address,
    lower_mail text generated always as (lower(mail)) stored,
    status varchar(10) check (status in ('new', 'old', 'gone')),
    touched timestamptz
);
create table app.orders (
    id serial primary key,
    customer bigint not null references app.customer on delete cascade,
    placed timestamptz not null default now(),
    amount numeric(12, 2) not null check (amount >= 0),
    tags text[] not null default '{}',
    extra jsonb,
    old_json json,
    photo bytea,
    span tstzrange,
    ratio float8,
    exclude using gist (span with &&) where (span is not null)
);
create index orders_open on app.orders (customer, placed desc) where amount > 0 and amount::text <> 'x';
create index orders_tags on app.orders using gin (tags);
create trigger touch before insert or update on app.customer for each row execute function app.touch();
create view app.rich as select c.id, c.mail, sum(o.amount) as total from app.customer c join app.orders o on o.customer = c.id
    where c.status in ('new', 'old') group by 1, 2 having sum(o.amount) > 10;
create materialized view app.daily as select date_trunc('day', placed at time zone 'UTC') as day, count(*) from app.orders group by 1;
create unique index on app.daily (day);
create rule keep as on delete to app.rich do instead nothing;
create table app.log (at timestamptz not null, line text) partition by range (at);
create table app.log_2025 partition of app.log for values from ('2025-01-01') to ('2026-01-01');
create table app.log_rest partition of app.log default;
create index on app.log (at);
create table app.base (a int, b text);
create table app.derived (c int) inherits (app.base);
alter table app.base add column d int default 7;
create unlogged table app.cache (k text primary key, v text);
create table app.empty ();
create table app.secret (id int primary key, who name default current_user, holdfast_row text);
alter table app.secret enable row level security;
create policy mine on app.secret using (who = current_user);
create statistics app.orders_stat on customer, amount from app.orders;
create sequence app.down increment -1 minvalue -100 start -5;
create table "Odd. schema, ""quoted"""."Tä ble.with ""all"", of
it" ("a column" int, "Select" text, "t" int, "ü" text);
grant select on app.orders to public;
comment on table app.orders is 'it''s what people bought';
comment on column app.orders.amount is 'in euro';
alter default privileges in schema app grant select on tables to public;

insert into app.customer (mail, mood, place, status)
    select 'c' || i || '@example.org', (array['sad', 'ok', 'happy'])[1 + i % 3]::app.mood, row('Street "' || i || '", 1', i::text)::app.address,
        (array['new', 'old', 'gone'])[1 + i % 3] from generate_series(1, 300) i;
insert into app.orders (customer, amount, tags, extra, old_json, photo, ratio)
    select 1 + i % 300, i / 7.0, array['t' || i % 5, 'ünï"c,ode'], jsonb_build_object('n', i, 'x', null), '{"a" : 1.0, "a":1.00}',
        decode(repeat('00ff5c27', i % 9), 'hex'), case i % 4 when 0 then 'NaN' when 1 then '-0' when 2 then 1.0 / 3 else '-infinity' end::float8
    from generate_series(1, 3000) i;
insert into app.orders (customer, amount, span) values (1, 1, '[2025-01-01,2025-02-01)');
insert into app.log select '2025-06-01'::timestamptz + i * interval '1 day', e'line\t' || i || e'\n\\.' from generate_series(1, 400) i;
insert into app.base values (1, 'x'); insert into app.derived values (2, 'y', 3, 4);
insert into app.cache values ('k', 'v'); insert into app.secret values (1, 'somebody else'), (2, current_user);
insert into app.empty default values; insert into app.empty default values;
insert into "Odd. schema, ""quoted"""."Tä ble.with ""all"", of
it" values (1, 'é', 2, e'\\x'), (null, null, null, null);
refresh materialized view app.daily;
select nextval('app.down'), nextval('app.down');
select lo_from_bytea(0, decode(repeat('0123456789abcdef', 20000), 'hex')), lo_from_bytea(0, '');
"#;

/// A session of the application's own role.
pub async fn app_session(server: &Server, database: &str) -> PgConnection {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(server.port).username("app");
    options.password(PASSWORD).database(database).disable_statement_logging().connect().await.unwrap()
}

/// The shop of the tests, by the application's own role.
pub async fn awkward(server: &Server) {
    run(&mut app_session(server, "shop").await, AWKWARD).await;
}
