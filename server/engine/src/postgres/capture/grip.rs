//! The hold on one moment of a database: locks, one snapshot, and everybody who works under it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use holdfast_model::ledger::SequenceValue;
use time::OffsetDateTime;

use super::dump::{Dump, dump_name, start_dump};
use crate::{
    command::Running,
    postgres::{
        LOCK_SECONDS, PgError,
        install::PgInstall,
        ledger::{self, Table},
        target::{Session, Target},
    },
};

/// How often the list of tables may change under us before we give up.
pub(super) const ATTEMPTS: usize = 10;

/// How long we stand in a table's queue behind somebody who waits for ourselves.
pub(super) const QUEUED: Duration = Duration::from_millis(400);

/// Tables in one LOCK statement.
pub(super) const LOCKED_AT_ONCE: usize = 200;

pub(super) enum Attempt {
    Held(Box<Grip>),
    Changed(String),
}

/// What one moment of the database is held by.
pub(super) struct Grip {
    pub(super) instant: OffsetDateTime,
    pub(super) tables: Vec<Table>,
    /// Where the sequences stood before `pg_dump` could look at them.
    pub(super) sequences: BTreeMap<String, SequenceValue>,
    pub(super) helper: Option<Session>,
    pub(super) dump: Dump,
}

pub(super) async fn attempt(session: &mut Session, target: &Target, install: &PgInstall) -> Result<Attempt, PgError> {
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

/// A second session under the same snapshot; the ledger does without it where the server has no place for it.
pub(super) async fn second_session(target: &Target, snapshot: &str) -> Result<Option<Session>, PgError> {
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

pub(super) async fn lock(session: &mut Session, tables: &[Table]) -> Result<(), sqlx::Error> {
    for some in tables.chunks(LOCKED_AT_ONCE) {
        let names = some.iter().map(|table| format!("only {}", table.name)).collect::<Vec<_>>().join(", ");
        session.try_run(format!("lock table {names} in access share mode")).await?;
    }
    Ok(())
}

/// Waits until `pg_dump` holds all our tables; false once it has stood in a queue for [`QUEUED`].
pub(super) async fn has_its_locks(
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

/// Names the table that could not be locked: the timeout's own message does not.
pub(super) async fn locked(session: &mut Session, tables: &[Table]) -> PgError {
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
