//! Capture: prepare, hold, stream. One snapshot under the ledger and the dump.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{PipeReader, Write},
    process::Stdio,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use holdfast_model::{
    definition::Component,
    event::Level,
    ledger::{Ledger, SequenceFacts, SequenceValue},
    manifest::{Facts, Skipped},
    name::Name,
    secret::Secret,
};
use holdfast_vault::{Chunking, Meter, Node, Writer};
use time::OffsetDateTime;

use super::{
    LOCK_SECONDS, PgError,
    archive::{self, Archive},
    database::Database,
    install::PgInstall,
    ledger::{self, Table, objects},
    target::{Session, Target},
};
use crate::{command::Running, context::Context, tools::Tools};

/// How often the list of tables may change under us before we give up.
const ATTEMPTS: usize = 10;
/// How long we stand in a table's queue behind somebody who waits for ourselves.
const QUEUED: Duration = Duration::from_millis(400);
/// Tables in one LOCK statement.
const LOCKED_AT_ONCE: usize = 200;

/// A database that we are connected to, and the tools for it.
pub struct Prepared {
    name: Name,
    target: Target,
    install: PgInstall,
    session: Session,
    server: String,
}

/// A database whose tables are locked and whose snapshot is open.
pub struct Held {
    name: Name,
    target: Target,
    install: PgInstall,
    session: Session,
    server: String,
    grip: Grip,
}

/// A `pg_dump` that has its snapshot and its locks, and waits for its output to be read.
struct Dump {
    running: Running,
    output: PipeReader,
}

/// What a capture gave.
#[derive(Debug)]
pub struct PgCapture {
    /// `dump.pgc`, `dump.idx.json`, `database.json` and, where it could be taken, `globals.sql`.
    pub nodes: Vec<Node>,
    /// Logical bytes of them.
    pub size: u64,
    /// Bytes that they added to the vault.
    pub stored: u64,
    /// Tables.
    pub items: u64,
    /// What a drill must find again.
    pub ledger: Ledger,
    /// What a drill or restore needs to know.
    pub facts: Facts,
    /// Always empty today: what cannot be read fails the capture.
    pub skipped: Vec<Skipped>,
    /// What is not in the dump.
    pub not_covered: Vec<String>,
}

/// Connects, and looks whether a snapshot can be held and dumped at all.
///
/// # Errors
/// Each with its mend: URL, server, password, database, tools, pooler.
pub async fn prepare(component: &Component, url: &Secret, tools: &Tools, ctx: &Context) -> Result<Prepared, PgError> {
    let target = Target::read(url)?;
    let work = async {
        let mut session = target.connect().await?;
        let (server, major) = version(&mut session).await?;
        let install = install_for(tools, major)?;
        refuse_pooler(&target, &mut session).await?;
        Ok(Prepared { name: component.name.clone(), target: target.clone(), install, session, server })
    };
    cancellable(ctx, work).await
}

/// `server_version`, and the major version in it.
pub(super) async fn version(session: &mut Session) -> Result<(String, u32), PgError> {
    let sql = "select current_setting('server_version'), current_setting('server_version_num')";
    let row = session.row(sql, "asking for the version").await?;
    Ok((row.text(0), row.number::<u32>(1) / 10_000))
}

/// The tools of exactly the server's major version: an older `pg_dump` refuses it, and hashes and archives of another
/// major version cannot be compared with it.
pub(super) fn install_for(tools: &Tools, major: u32) -> Result<PgInstall, PgError> {
    if let Some(install) = tools.postgres(major) {
        return Ok(install.clone());
    }
    match tools.installs().iter().map(|install| install.major).max() {
        Some(tool) if tool < major => Err(PgError::TooOld { major, tool }),
        Some(tool) => Err(PgError::NoTools { major, found: format!("there is {tool}") }),
        None => Err(PgError::NoTools { major, found: "there is none at all".into() }),
    }
}

/// A pooler in transaction mode lends a server session for one transaction at a time: what one client sets, another
/// finds, and while another holds a transaction, the first is given a different session.
pub(super) async fn refuse_pooler(target: &Target, session: &mut Session) -> Result<(), PgError> {
    let doing = "looking for a connection pooler";
    let mark = format!("{:p}-{}", session, OffsetDateTime::now_utc().unix_timestamp_nanos());
    let ask = "select pg_backend_pid()::text, current_setting('holdfast.mark', true)";
    let set = format!("select pg_backend_pid()::text, set_config('holdfast.mark', '{mark}', false)");
    let first = session.row(set, doing).await?.text(0);
    let mut second = match target.connect().await {
        Ok(second) => second,
        // One connection is all that we are given: that is no sign of a pooler.
        Err(PgError::Full { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    second.run("begin", doing).await?;
    let other = second.row(ask, doing).await?;
    let again = session.row(ask, doing).await?;
    let pooled = other.text(1) == mark || other.text(0) == first || again.text(0) != first || again.text(1) != mark;
    second.run("rollback", doing).await?;
    second.close().await;
    if pooled { Err(PgError::Pooled { place: target.place() }) } else { Ok(()) }
}

pub(super) async fn cancellable<T>(
    ctx: &Context,
    work: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    tokio::select! {
        result = work => result,
        () = ctx.cancelled() => Err(PgError::Cancelled),
    }
}

impl Prepared {
    /// Locks every table and opens the snapshot.
    ///
    /// Why this order makes an emptied table impossible. A TRUNCATE or a rewriting ALTER gives a table a new file, and
    /// whoever reads it with a snapshot from before finds it empty. So the locks come first: ACCESS SHARE waits for
    /// such a statement's ACCESS EXCLUSIVE, which is given back only after its transaction has become visible. LOCK
    /// takes no snapshot; the first SELECT does, and that comes after the last lock. So the snapshot sees every
    /// rewrite that ever got its lock before us, and none can get one after us until the dump is done: file and snapshot
    /// belong together for each table that we locked. What is left are tables that we did not know of: made, renamed or
    /// moved between the list and the snapshot. The snapshot is asked for the list again, and if anything differs
    /// (name, number, kind, columns, or the file, though that alone would do no harm) all begins anew.
    ///
    /// A statement that waits for our lock stands before everybody who asks after it: `pg_dump` and the second session
    /// would wait for it, it for us, and we for them. So both get their locks here too, while a new attempt is cheap.
    ///
    /// # Errors
    /// A table that stays locked, named with who holds it; a missing right; tables that never come to rest.
    pub async fn hold(self, ctx: &Context) -> Result<Held, PgError> {
        let Self { name, target, install, mut session, server } = self;
        let work = async {
            let mut changed = String::new();
            for _ in 0..ATTEMPTS {
                match attempt(&mut session, &target, &install).await? {
                    Attempt::Held(grip) => {
                        return Ok(Held {
                            name: name.clone(),
                            target: target.clone(),
                            install: install.clone(),
                            session,
                            server: server.clone(),
                            grip: *grip,
                        });
                    }
                    Attempt::Changed(what) => {
                        session.run("rollback", "starting over").await?;
                        changed = what;
                    }
                }
            }
            Err(PgError::Restless { what: changed })
        };
        cancellable(ctx, work).await
    }
}

enum Attempt {
    Held(Box<Grip>),
    Changed(String),
}

/// What one moment of the database is held by.
struct Grip {
    instant: OffsetDateTime,
    tables: Vec<Table>,
    /// Where the sequences stood before `pg_dump` could look at them.
    sequences: BTreeMap<String, SequenceValue>,
    helper: Option<Session>,
    dump: Dump,
}

async fn attempt(session: &mut Session, target: &Target, install: &PgInstall) -> Result<Attempt, PgError> {
    let before = ledger::tables(session).await?;
    session.run(format!("set lock_timeout = '{LOCK_SECONDS}s'"), "beginning the transaction").await?;
    session.run("begin isolation level repeatable read read only", "beginning the transaction").await?;
    if let Err(error) = lock(session, &before).await {
        let code = error.as_database_error().and_then(|e| e.code()).unwrap_or_default().into_owned();
        return match code.as_str() {
            // Dropped, renamed or become something else since it was listed.
            "42P01" | "3F000" | "42809" => Ok(Attempt::Changed(error.to_string())),
            "55P03" => Err(locked(session, &before).await),
            _ => Err(PgError::query(&error, &session.place, "locking the tables")),
        };
    }
    let snapshot = session.row("select pg_export_snapshot()", "exporting the snapshot").await?.text(0);
    let tables = ledger::tables(session).await?;
    let differs = || {
        let gone = before.iter().find(|table| !tables.contains(table));
        gone.or_else(|| tables.iter().find(|table| !before.contains(table))).map(|table| table.name.clone())
    };
    if let Some(name) = differs() {
        return Ok(Attempt::Changed(name));
    }
    let instant = OffsetDateTime::now_utc();
    let queued = || Ok(Attempt::Changed("somebody waits for a table's exclusive lock".into()));
    let mut helper = second_session(target, &snapshot).await?;
    if let Some(second) = &mut helper
        && let Err(error) = lock(second, &tables).await
    {
        return match error.as_database_error().and_then(|e| e.code()).as_deref() {
            Some("55P03") => queued(),
            _ => Err(PgError::query(&error, &session.place, "locking the tables")),
        };
    }
    let sequences = ledger::sequences(session).await?;
    let mut dump = start_dump(target, install, &snapshot).await?;
    if has_its_locks(session, &mut dump.running, &snapshot, &tables).await? {
        Ok(Attempt::Held(Box::new(Grip { instant, tables, sequences, helper, dump })))
    } else {
        queued()
    }
}

async fn lock(session: &mut Session, tables: &[Table]) -> Result<(), sqlx::Error> {
    for some in tables.chunks(LOCKED_AT_ONCE) {
        let names = some.iter().map(|table| format!("only {}", table.name)).collect::<Vec<_>>().join(", ");
        session.try_run(format!("lock table {names} in access share mode")).await?;
    }
    Ok(())
}

/// Waits until `pg_dump` holds all our tables; false once it has stood in a queue for [`QUEUED`].
async fn has_its_locks(
    session: &mut Session,
    running: &mut Running,
    snapshot: &str,
    tables: &[Table],
) -> Result<bool, PgError> {
    let (doing, begin, mut waiting) = ("waiting for pg_dump's locks", Instant::now(), None);
    let oids = tables.iter().map(|table| table.oid.as_str()).chain(["0"]).collect::<Vec<_>>().join(",");
    let sql = format!(
        "select (select count(distinct l.relation) from pg_locks l where l.pid = a.pid and l.granted and l.relation in ({oids}))::text,
            exists (select 1 from pg_locks l where l.pid = a.pid and not l.granted)
        from pg_stat_activity a where a.application_name = '{}'",
        dump_name(snapshot)
    );
    // It says itself what is wrong where it ends; and where it locks less than we think, there is nothing to wait for.
    while !running.ended() && begin.elapsed() < Duration::from_secs(LOCK_SECONDS) {
        session.run("select pg_stat_clear_snapshot()", doing).await?;
        if let Some(row) = session.rows(sql.as_str(), doing).await?.first() {
            if row.number::<usize>(0) == tables.len() {
                return Ok(true);
            }
            match (row.is(1), waiting) {
                (true, None) => waiting = Some(Instant::now()),
                (true, Some(since)) if since.elapsed() > QUEUED => return Ok(false),
                (true, Some(_)) => {}
                (false, _) => waiting = None,
            }
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
    Ok(true)
}

/// The name of a `pg_dump`'s session on the server.
fn dump_name(snapshot: &str) -> String {
    format!("holdfast pg_dump {snapshot}")
}

/// Names the table that could not be locked: the timeout's own message does not.
async fn locked(session: &mut Session, tables: &[Table]) -> PgError {
    let oids = tables.iter().map(|table| table.oid.as_str()).collect::<Vec<_>>().join(",");
    let sql = format!(
        "rollback; select l.relation::text, l.pid::text, coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), '?')
        from pg_locks l left join pg_stat_activity a on a.pid = l.pid
        where l.relation in ({oids}) and l.mode = 'AccessExclusiveLock' and l.pid <> pg_backend_pid()
        order by l.granted desc limit 1"
    );
    let row = session.rows(sql, "asking who holds the lock").await.ok().and_then(|rows| rows.into_iter().next());
    let (table, by) = match row {
        Some(row) => {
            let name = tables.iter().find(|table| table.oid == row.text(0)).map(|table| table.name.clone());
            (name, format!("process {} (user {}, application {})", row.text(1), row.text(2), row.text(3)))
        }
        None => (None, "a session that has ended meanwhile".into()),
    };
    PgError::Locked { table: table.unwrap_or_else(|| "(not known)".into()), by, seconds: LOCK_SECONDS }
}

impl Held {
    /// The instant that the content belongs to.
    #[must_use]
    pub const fn instant(&self) -> OffsetDateTime {
        self.grip.instant
    }

    /// How many tables will be counted.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.grip.tables.iter().filter(|table| !table.parent).count()
    }

    /// Streams the dump into the vault while the ledger is computed under the same snapshot.
    ///
    /// # Errors
    /// Whatever went wrong first; nothing of it is referenced then.
    pub async fn stream(
        self,
        writer: Arc<Writer>,
        meter: Meter,
        tables_done: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<PgCapture, PgError> {
        cancellable(ctx, self.stream_all(writer, meter, tables_done, ctx)).await
    }

    async fn stream_all(
        mut self,
        writer: Arc<Writer>,
        meter: Meter,
        tables_done: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<PgCapture, PgError> {
        let Grip { instant: now, tables, sequences: before, mut helper, dump } = self.grip;
        let database = Database::read(&mut self.session).await?;
        let extensions = extensions(&mut self.session).await?;
        let mut roles: BTreeSet<String> = roles(&mut self.session).await?;
        let mut not_covered = objects::left_out(&mut self.session).await?;

        let queue = ledger::queue(&tables);
        let dump = read_dump(dump, self.target.place(), writer.clone(), meter.clone());
        let counting = async {
            let helping = async {
                match &mut helper {
                    Some(session) => ledger::work_off(session, &queue, &tables_done).await,
                    None => Ok(BTreeMap::new()),
                }
            };
            let own = async {
                let objects = objects::objects(&mut self.session).await?;
                let large_objects = ledger::large_objects(&mut self.session).await?;
                let tables = ledger::work_off(&mut self.session, &queue, &tables_done).await?;
                Ok((objects, large_objects, tables))
            };
            tokio::try_join!(own, helping)
        };
        let ((archive, dumped), ((objects, large_objects, mut tables), more)) = tokio::try_join!(dump, counting)?;
        tables.extend(more);
        // What the second session had to leave because somebody stood before it; the first has its locks already.
        tables.extend(ledger::work_off(&mut self.session, &queue, &tables_done).await?);
        if let Some(table) = ledger::left(&queue) {
            let (by, seconds) = ("a statement on one of its indexes".into(), LOCK_SECONDS);
            return Err(PgError::Locked { table, by, seconds });
        }
        if let Some(helper) = helper {
            helper.close().await;
        }
        let after = ledger::sequences(&mut self.session).await?;
        let sequences = before
            .into_iter()
            .filter_map(|(name, before)| after.get(&name).map(|after| (name, SequenceFacts { before, after: *after })));
        let ledger = Ledger { tables, sequences: sequences.collect(), large_objects, objects };
        self.session.run("commit", "ending the transaction").await?;

        if !archive.index.known {
            not_covered.push(format!(
                "the places of single tables within the dump: its archive version {} is not known to this version of Holdfast",
                archive.index.archive
            ));
        }
        let tables = ledger.tables.len() as u64;
        plausible(&archive, &ledger)?;
        let (globals, said) =
            globals(&self.install, &self.target, database.superuser == self.target.user(), ctx).await?;
        roles.extend(archive.owners().map(str::to_owned));
        roles.extend(database.roles().map(str::to_owned));
        if let Some(why) = said.1 {
            ctx.log(Level::Warning, Some(self.name.as_str()), why);
        }

        let mut files = vec![("dump.idx.json", json(&archive.index)?), ("database.json", json(&database)?)];
        files.extend(globals.map(|bytes| ("globals.sql", bytes)));
        let mut nodes = vec![Node::file("dump.pgc", dumped.content, dumped.bytes, now)];
        let (mut size, mut stored) = (dumped.bytes, dumped.stored);
        for (name, bytes) in files {
            let (writer, meter) = (writer.clone(), meter.clone());
            let streamed = blocking(move || {
                let mut stream = writer.stream(Chunking::Files, &meter);
                stream.write_all(&bytes).map_err(|error| PgError::from(archive::ArchiveError::Sink(error)))?;
                Ok(stream.finish()?)
            })
            .await?;
            (size, stored) = (size + streamed.bytes, stored + streamed.stored);
            nodes.push(Node::file(name, streamed.content, streamed.bytes, now));
        }
        self.session.close().await;
        let facts = Facts::Postgres {
            database: database.name,
            major: self.install.major,
            server: self.server,
            dump: self.install.shown(),
            owner: database.owner,
            roles: roles.into_iter().collect(),
            extensions,
            encoding: database.encoding,
            collate: database.collate,
            ctype: database.ctype,
            globals: said.0,
        };
        Ok(PgCapture { nodes, size, stored, items: tables, ledger, facts, skipped: Vec::new(), not_covered })
    }
}

/// A second session under the same snapshot; the ledger does without it where the server has no place for it.
async fn second_session(target: &Target, snapshot: &str) -> Result<Option<Session>, PgError> {
    let mut session = match target.connect().await {
        Ok(session) => session,
        Err(PgError::Full { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    session.run(format!("set lock_timeout = {}", QUEUED.as_millis()), "joining the snapshot").await?;
    let begin = format!("begin isolation level repeatable read read only; set transaction snapshot '{snapshot}'");
    session.run(begin, "joining the snapshot").await?;
    Ok(Some(session))
}

async fn start_dump(target: &Target, install: &PgInstall, snapshot: &str) -> Result<Dump, PgError> {
    let program = target
        .equip(install.program("pg_dump"))
        .env("PGAPPNAME", dump_name(snapshot))
        .args(["-Fc", "-Z0", "--no-password"])
        .args([format!("--snapshot={snapshot}"), format!("--lock-wait-timeout={LOCK_SECONDS}s")]);
    let (output, input) = std::io::pipe().map_err(|error| PgError::io("a pipe", error))?;
    Ok(Dump { running: program.spawn(Stdio::from(input)).await?, output })
}

/// Reads `pg_dump` into the vault. It counts only when its exit status is 0 *and* the archive was read to its end.
async fn read_dump(
    dump: Dump,
    place: String,
    writer: Arc<Writer>,
    meter: Meter,
) -> Result<(Archive, holdfast_vault::Streamed), PgError> {
    let Dump { mut running, output } = dump;
    let copied = blocking(move || {
        let mut stream = writer.stream(Chunking::Dump, &meter);
        let archive = archive::copy(output, &mut stream);
        Ok((archive, stream))
    })
    .await;
    let (archive, stream) = copied?;
    if let Err(archive::ArchiveError::Sink(_)) = &archive {
        drop(running);
        return Err(archive.err().map_or(PgError::Cancelled, PgError::from));
    }
    let ended = running.wait().await;
    if !ended.ok {
        return Err(PgError::tool("pg_dump", &ended.how, &ended.stderr, &place));
    }
    let archive = archive?;
    let streamed = blocking(move || Ok(stream.finish()?)).await?;
    Ok((archive, streamed))
}

/// The third sign of a good dump: each table that the ledger counted rows in has data of at least a byte a row.
fn plausible(archive: &Archive, ledger: &Ledger) -> Result<(), PgError> {
    if !archive.index.known {
        return Ok(());
    }
    let rows: u64 = ledger.rows();
    let bytes: u64 = archive.index.entries.iter().map(|entry| entry.length).sum();
    if bytes < rows {
        return Err(PgError::Refused(format!(
            "the dump holds {bytes} bytes of data for {rows} rows: it cannot be whole; run it again"
        )));
    }
    Ok(())
}

/// Roles and tablespaces, for people. Never fails a checkpoint: what was done is said.
async fn globals(
    install: &PgInstall,
    target: &Target,
    superuser: bool,
    ctx: &Context,
) -> Result<(Option<Vec<u8>>, (String, Option<String>)), PgError> {
    let base = target.equip(install.program("pg_dumpall")).args(["--globals-only", "--no-password"]);
    let base = base.arg("-l").arg(target.database());
    let tries = if superuser {
        vec![(base.clone(), "whole"), (base.arg("--no-role-passwords"), "without the roles' passwords")]
    } else {
        vec![(base.arg("--no-role-passwords"), "without the roles' passwords: the role is no superuser")]
    };
    let mut why = String::new();
    for (program, how) in tries {
        match program.output(&ctx.cancel).await {
            Ok(output) if output.ended.ok && output.stdout.windows(24).any(|w| w == b"database cluster dump co") => {
                return Ok((Some(output.stdout), (how.to_owned(), None)));
            }
            Ok(output) => why = output.ended.stderr,
            Err(crate::command::CommandError::Cancelled) => return Err(PgError::Cancelled),
            Err(error) => why = error.to_string(),
        }
    }
    let said = format!("not taken: {}", why.lines().last().unwrap_or("pg_dumpall said nothing"));
    Ok((None, (said.clone(), Some(format!("globals.sql was {said}")))))
}

async fn extensions(session: &mut Session) -> Result<BTreeMap<String, String>, PgError> {
    let rows = session.rows("select extname, extversion from pg_extension", "listing the extensions").await?;
    Ok(rows.iter().map(|row| (row.text(0), row.text(1))).collect())
}

/// Every role that something in this database depends on: owners, grantees and grantors, policies, default grants.
async fn roles(session: &mut Session) -> Result<BTreeSet<String>, PgError> {
    let sql = "select distinct r.rolname from pg_shdepend d join pg_roles r on r.oid = d.refobjid
        where d.refclassid = 'pg_authid'::regclass
            and d.dbid = (select oid from pg_database where datname = current_database())";
    Ok(session.rows(sql, "listing the roles").await?.iter().map(|row| row.text(0)).collect())
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, PgError> {
    serde_json::to_vec_pretty(value).map_err(|error| PgError::Refused(error.to_string()))
}

/// Runs what blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PgError> + Send + 'static,
) -> Result<T, PgError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PgError::Refused(format!("a thread of ours ended badly: {error}"))),
    }
}
