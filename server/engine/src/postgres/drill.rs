//! The drill: the sealed archive, from the vault alone, restored into a throwaway server and compared with its ledger.

mod report;

use std::{collections::BTreeSet, path::Path, time::Instant};

use holdfast_model::{
    definition::Smoke,
    drill::ComponentDrill,
    manifest::{Facts, ManifestComponent},
};
use holdfast_vault::{TreeId, Vault};

use super::{
    PgError,
    archive::{Archive, ArchiveError},
    capture::cancellable,
    cluster::{Cluster, Room},
    compare::compare,
    copy::{JOBS, Sealed, read_back, run_restore},
    database::Database,
    target::{Session, identifier},
};
use crate::{
    accept::Accept,
    context::{Context, elapsed},
    sandbox::SandboxLevel,
    tools::Tools,
};
use report::Report;

/// The copy's database in the throwaway server.
const COPY: &str = "copy";
const SMOKE_SECONDS: u32 = 60;

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
    let report = Report::begin(component, accept, ctx);
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
        check.duration_ms = elapsed(since);
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
