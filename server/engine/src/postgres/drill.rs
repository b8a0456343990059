//! The drill: the sealed archive, from the vault alone, restored into a throwaway server and compared with its ledger.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    process::Stdio,
    sync::atomic::AtomicU64,
    time::Instant,
};

use holdfast_model::{
    definition::Smoke,
    drill::{Check, ComponentDrill, Gap},
    manifest::{Facts, ManifestComponent},
};
use holdfast_vault::{Node, TreeId, Vault};

use super::{
    PgError,
    archive::{self, Archive, ArchiveError, Index, Sink},
    capture::{blocking, cancellable},
    cluster::{Cluster, Room},
    compare::{Found, compare},
    database::Database,
    ledger::{self, objects},
    target::{Session, Target, identifier},
};
use crate::{context::Context, drill::Accept, sandbox::SandboxLevel, tools::Tools};

/// The copy's database in the throwaway server.
const COPY: &str = "copy";
/// Jobs of `pg_restore`.
pub(super) const JOBS: &str = "-j2";
const SMOKE_SECONDS: u32 = 60;

/// What is said while a drill goes on.
struct Report<'a> {
    component: &'a ManifestComponent,
    accept: &'a Accept,
    ctx: &'a Context,
    begin: Instant,
    engine: Option<String>,
    checks: Vec<Check>,
    gaps: Vec<Gap>,
}

impl Report<'_> {
    fn check(&mut self, check: Check) {
        self.ctx.check(check.clone());
        self.checks.push(check);
    }

    fn passed(&mut self, name: &str, since: Instant, found: Option<String>, message: Option<String>) {
        self.check(Check {
            component: self.component.name.to_string(),
            name: name.into(),
            passed: true,
            expected: None,
            found,
            message,
            duration_ms: ms(since),
        });
    }

    fn failed(&mut self, name: &str, since: Instant, message: String) {
        self.check(Check {
            component: self.component.name.to_string(),
            name: name.into(),
            passed: false,
            expected: None,
            found: None,
            message: Some(message),
            duration_ms: ms(since),
        });
    }

    fn gap(&mut self, kind: &str, name: &str, reason: String) {
        let component = self.component.name.to_string();
        let accepted = self.accept.accepts(kind, name, &component);
        self.gaps.push(Gap { component, kind: kind.into(), name: name.into(), reason, accepted });
    }

    fn end(self) -> ComponentDrill {
        ComponentDrill {
            name: self.component.name.clone(),
            kind: self.component.kind,
            verdict: ComponentDrill::judge(&self.checks, &self.gaps),
            engine: self.engine,
            duration_ms: ms(self.begin),
            checks: self.checks,
            gaps: self.gaps,
        }
    }
}

fn ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Restores a component's sealed copy into a throwaway server and compares it. It is given no connection of the
/// environment, only bytes of the vault.
///
/// # Errors
/// Only when it could not be carried out: cancelled, no scratch space, a host that fails. A broken copy is a report.
#[allow(clippy::too_many_arguments, reason = "each is a different thing that the caller has at hand")]
pub async fn drill(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    smoke: &[Smoke],
    accept: &Accept,
    scratch: &Path,
    tools: &Tools,
    ctx: &Context,
) -> Result<ComponentDrill, PgError> {
    let report = Report { component, accept, ctx, begin: Instant::now(), engine: None, checks: vec![], gaps: vec![] };
    let report = cancellable(ctx, carry_out(report, vault, dir, smoke, scratch, tools)).await?;
    // What a cancelled command left undone reads like damage, and is none.
    if ctx.cancel.is_cancelled() { Err(PgError::Cancelled) } else { Ok(report) }
}

async fn carry_out(
    mut report: Report<'_>,
    vault: &Vault,
    dir: &TreeId,
    smoke: &[Smoke],
    scratch: &Path,
    tools: &Tools,
) -> Result<ComponentDrill, PgError> {
    let (component, ctx) = (report.component, report.ctx);
    let name = component.name.to_string();
    let (Facts::Postgres { major, roles, .. }, Some(sealed)) = (&component.facts, &component.ledger) else {
        report.failed("manifest", Instant::now(), "the manifest has no ledger of this database".into());
        return Ok(report.end());
    };
    let level = tools.sandbox();
    if let SandboxLevel::None { why } = level {
        report.gap("component", &name, why.clone());
        return Ok(report.end());
    }
    let install = tools.installs().iter().filter(|i| i.major == *major && i.has_server).max_by_key(|i| i.version);
    let Some(install) = install else {
        let mend = format!(
            "no PostgreSQL {major} server is installed on this host; on Debian: apt install postgresql-{major}"
        );
        report.gap("component", &name, mend);
        return Ok(report.end());
    };
    report.engine = Some(format!("PostgreSQL {}", install.shown()));

    let since = Instant::now();
    let sealed_copy = match Sealed::open(vault, dir).await {
        Ok(copy) => copy,
        Err(error) => return broken(report, "archive", since, error),
    };
    let room = Room::make(scratch, level)?;
    // The archive, the tables with their indexes, and the server's own logs and catalogues.
    room.check_space(sealed_copy.dump.size.saturating_mul(3).saturating_add(256_000_000))?;
    let file = room.path().join("dump.pgc");
    let archive = match sealed_copy.write_to(&file).await {
        Ok(archive) => archive,
        Err(error) => return broken(report, "archive", since, error),
    };
    room.give(&file)?;
    let advice = (!install.patched).then(|| {
        format!("pg_restore {} is below the fix of CVE-2026-116314: update PostgreSQL {major}", install.shown())
    });
    let said = format!(
        "{} entries, {} with data, {} bytes",
        archive.entries.len(),
        archive.index.entries.len(),
        archive.index.length
    );
    report.passed("archive", since, Some(said), advice);

    let since = Instant::now();
    let cluster = Cluster::start(room, install, &sealed_copy.database.superuser, tools.templates(), ctx).await?;
    let skipped = match restore(&mut report, &cluster, &sealed_copy, &archive, roles, &file).await {
        Ok(skipped) => skipped,
        Err(PgError::Tool { message, how, .. }) => {
            report.failed("restore", since, format!("pg_restore failed ({how}): {message}"));
            cluster.stop().await;
            return Ok(report.end());
        }
        Err(error) => return Err(error),
    };
    report.passed("restore", since, report.engine.clone(), None);

    let since = Instant::now();
    let found = match read_back(&cluster.target(COPY)).await {
        Ok(found) => found,
        Err(error @ PgError::Query { .. }) => {
            report.failed("ledger", since, error.to_string());
            cluster.stop().await;
            return Ok(report.end());
        }
        Err(error) => return Err(error),
    };
    for mut check in compare(&name, sealed, &found, &|key| skipped.covers(key), true, true) {
        check.duration_ms = ms(since);
        report.check(check);
    }
    smoke_checks(&mut report, &cluster, &sealed_copy.database, smoke).await?;
    cluster.stop().await;
    Ok(report.end())
}

/// What is wrong with the copy is a finding; what is wrong with the host or the vault's connection is an error.
fn broken(mut report: Report<'_>, name: &str, since: Instant, error: PgError) -> Result<ComponentDrill, PgError> {
    use holdfast_vault::Error::{Damaged, NoSuchPath};
    match error {
        PgError::Archive(ArchiveError::Source(ref source))
            if holdfast_vault::Error::from_io(source)
                .is_some_and(|inner| !matches!(inner, Damaged { .. } | NoSuchPath { .. })) =>
        {
            Err(error)
        }
        PgError::Archive(_) | PgError::Refused(_) | PgError::Vault(Damaged { .. } | NoSuchPath { .. }) => {
            report.failed(name, since, error.to_string());
            Ok(report.end())
        }
        other => Err(other),
    }
}

/// The component's files in the vault.
pub(super) struct Sealed {
    vault: Vault,
    pub(super) dump: Node,
    pub(super) index: Index,
    pub(super) database: Database,
}

impl Sealed {
    /// Reads the small ones, and finds the archive.
    pub(super) async fn open(vault: &Vault, dir: &TreeId) -> Result<Self, PgError> {
        let (vault, dir) = (vault.clone(), *dir);
        blocking(move || {
            let index = small(&vault, &dir, "dump.idx.json")?;
            let database = small(&vault, &dir, "database.json")?;
            let dump = vault.find(&dir, Path::new("dump.pgc"))?;
            Ok(Self { dump, index, database, vault })
        })
        .await
    }

    /// Writes the archive into a file that `pg_restore` can seek in, reading it on the way: it must be whole, and its
    /// table of contents must agree with `dump.idx.json`.
    pub(super) async fn write_to(&self, path: &Path) -> Result<Archive, PgError> {
        let (vault, node, index, path) = (self.vault.clone(), self.dump.clone(), self.index.clone(), path.to_owned());
        blocking(move || {
            use std::os::unix::fs::OpenOptionsExt;
            let failed = |error| PgError::io(&path, error);
            let mut options = File::options();
            let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
            let mut sink = Plain(file);
            let archive = archive::copy(vault.read(&node)?, &mut sink)?;
            if archive.index != index {
                return Err(PgError::Refused("the archive and its dump.idx.json do not agree".into()));
            }
            for (at, bytes) in archive.positions() {
                sink.0.seek(SeekFrom::Start(at)).map_err(failed)?;
                sink.0.write_all(&bytes).map_err(failed)?;
            }
            Ok(archive)
        })
        .await
    }
}

fn small<T: serde::de::DeserializeOwned>(vault: &Vault, dir: &TreeId, name: &str) -> Result<T, PgError> {
    let node = vault.find(dir, Path::new(name))?;
    let mut bytes = Vec::new();
    vault.read(&node)?.read_to_end(&mut bytes).map_err(|error| PgError::from(ArchiveError::Source(error)))?;
    serde_json::from_slice(&bytes).map_err(|error| PgError::Refused(format!("{name} cannot be read: {error}")))
}

/// A file, where a chunk's boundary means nothing.
struct Plain(File);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Plain {
    fn cut(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What could not be restored because an extension is not installed here.
#[derive(Default)]
struct LeftOut {
    /// Names as the archive has them, in words.
    names: Vec<(String, Vec<String>)>,
}

impl LeftOut {
    /// Whether a ledger's key names one of them.
    fn covers(&self, key: &str) -> bool {
        let plain = key.replace('"', "");
        self.names
            .iter()
            .any(|(schema, words)| plain.contains(schema.as_str()) && words.iter().all(|w| plain.contains(w.as_str())))
    }
}

/// Roles, database, archive.
async fn restore(
    report: &mut Report<'_>,
    cluster: &Cluster,
    sealed: &Sealed,
    archive: &Archive,
    roles: &[String],
    file: &Path,
) -> Result<LeftOut, PgError> {
    let mut session = cluster.session("postgres").await?;
    let there = session.rows("select rolname from pg_roles", "listing the roles").await?;
    let there: BTreeSet<String> = there.iter().map(|row| row.text(0)).collect();
    let wanted: BTreeSet<&str> =
        roles.iter().map(String::as_str).chain(archive.owners()).chain(sealed.database.roles()).collect();
    for role in wanted.into_iter().filter(|role| !there.contains(*role)) {
        session.run(format!("create role {} nologin", identifier(role)), "creating the roles").await?;
    }
    if let Err(error) = session.try_run(sealed.database.create(COPY, Some(&sealed.database.owner))).await {
        // A locale that this host has not; anything else fails again in the same way.
        session.run(sealed.database.create_plain(COPY), "creating the copy's database").await?;
        let name = format!("locale {}", sealed.database.collate);
        report.gap(
            "object",
            &name,
            format!("this host cannot make a database of that locale ({error}); the copy has locale C"),
        );
    }
    let available = session.rows("select name from pg_available_extensions", "listing the extensions").await?;
    let available: BTreeSet<String> = available.iter().map(|row| row.text(0)).collect();
    session.close().await;
    let missing: Vec<&str> = archive
        .entries
        .iter()
        .filter(|entry| entry.tag == "EXTENSION" && !available.contains(&entry.name))
        .map(|entry| entry.name.as_str())
        .collect();
    let (list, left_out) = without(report, archive, &missing);
    let mut program = cluster.target(COPY).equip(cluster.program("pg_restore")).args([
        "--exit-on-error",
        "--no-tablespaces",
        "--no-subscriptions",
        "--no-password",
        JOBS,
        "-d",
        COPY,
    ]);
    if let Some(list) = list {
        let path = cluster.room().path().join("list");
        std::fs::write(&path, list).map_err(|error| PgError::io(&path, error))?;
        cluster.room().give(&path)?;
        program = program.arg("-L").arg(path);
    }
    run_restore(program.arg(file)).await?;
    Ok(left_out)
}

/// Runs a `pg_restore` to its end.
pub(super) async fn run_restore(program: crate::command::Program) -> Result<(), PgError> {
    let mut running = program.spawn(Stdio::null()).await?;
    let ended = running.wait().await;
    if ended.ok {
        return Ok(());
    }
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| !line.trim().is_empty()).take(12).collect();
    Err(PgError::Tool { tool: "pg_restore".into(), how: ended.how, message: lines.join("\n") })
}

/// The list of entries that can be restored without those extensions, and what is left out with them.
fn without(report: &mut Report<'_>, archive: &Archive, missing: &[&str]) -> (Option<String>, LeftOut) {
    if missing.is_empty() {
        return (None, LeftOut::default());
    }
    let mut left_out = LeftOut::default();
    for extension in missing {
        let gone = archive.closure(|entry| entry.tag == "EXTENSION" && entry.name == *extension);
        let tables = archive.entries.iter().filter(|entry| gone.contains(&entry.id) && entry.tag == "TABLE").count();
        let reason = format!(
            "the extension is not installed on this host, so {} entries of the archive ({tables} tables) could not be restored",
            gone.len()
        );
        report.gap("extension", extension, reason);
    }
    let gone = archive.closure(|entry| entry.tag == "EXTENSION" && missing.contains(&entry.name.as_str()));
    for entry in archive.entries.iter().filter(|entry| gone.contains(&entry.id) && entry.tag != "EXTENSION") {
        let words = entry.name.split_whitespace().map(|word| word.replace('"', "")).collect();
        left_out.names.push((entry.schema.clone(), words));
    }
    let kept = archive.entries.iter().filter(|entry| !gone.contains(&entry.id));
    (Some(kept.map(|entry| format!("{};\n", entry.id)).collect()), left_out)
}

/// The ledger of a restored database, by the code that made the sealed one.
pub(super) async fn read_back(target: &Target) -> Result<Found, PgError> {
    let (mut one, mut two) = (target.connect().await?, target.connect().await?);
    let tables = ledger::tables(&mut one).await?;
    let (queue, done) = (ledger::queue(&tables), AtomicU64::new(0));
    let own = async {
        let sequences = ledger::sequences(&mut one).await?;
        let objects = objects::objects(&mut one).await?;
        // Large objects are read through descriptors, which live in a transaction.
        one.run("begin read only", "reading the copy").await?;
        let large_objects = ledger::large_objects(&mut one).await?;
        let tables = ledger::work_off(&mut one, &queue, &done).await?;
        Ok::<_, PgError>((sequences, objects, large_objects, tables))
    };
    let ((sequences, objects, large_objects, mut tables), more) =
        tokio::try_join!(own, ledger::work_off(&mut two, &queue, &done))?;
    tables.extend(more);
    one.close().await;
    two.close().await;
    Ok(Found { tables, sequences, large_objects, objects })
}

/// The environment's own questions, under the database's own settings, in a transaction that cannot write.
async fn smoke_checks(
    report: &mut Report<'_>,
    cluster: &Cluster,
    database: &Database,
    smoke: &[Smoke],
) -> Result<(), PgError> {
    let mine: Vec<&Smoke> = smoke.iter().filter(|smoke| smoke.component == report.component.name).collect();
    if mine.is_empty() {
        return Ok(());
    }
    let mut session = cluster.session("postgres").await?;
    let risky = ["session_preload_libraries", "local_preload_libraries", "role", "session_authorization"];
    let plain = Database {
        settings: database.settings.iter().filter(|s| !risky.contains(&s.name.as_str())).cloned().collect(),
        comment: None,
        connection_limit: -1,
        ..database.clone()
    };
    for statement in plain.settings_for(COPY) {
        // A setting of an extension that is not loaded here cannot be set, and decides nothing here.
        let _ = session.try_run(statement).await;
    }
    session.close().await;
    for smoke in mine {
        let since = Instant::now();
        let mut session = cluster.session(COPY).await?;
        let name = format!("smoke {}", smoke.sql);
        match ask(&mut session, &smoke.sql, SMOKE_SECONDS).await {
            Ok(true) => report.passed(&name, since, Some("true".into()), None),
            Ok(false) => report.failed(&name, since, "the query did not give true".into()),
            Err(error) => report.failed(&name, since, error.to_string()),
        }
        session.close().await;
    }
    Ok(())
}

/// Whether a query gives a row whose first column is not false, zero or null. It cannot write, and not last for ever.
pub(super) async fn ask(session: &mut Session, sql: &str, seconds: u32) -> Result<bool, PgError> {
    let doing = "asking";
    session.run(format!("reset all; set statement_timeout = '{seconds}s'"), doing).await?;
    session.run("begin read only", doing).await?;
    let rows = session.rows(sql, doing).await?;
    let answer = rows.first().and_then(|row| row.maybe(0));
    session.run("rollback", doing).await?;
    Ok(answer.is_some_and(|text| {
        !matches!(text.as_str(), "f" | "false") && !text.parse::<f64>().is_ok_and(|number| number == 0.0)
    }))
}
