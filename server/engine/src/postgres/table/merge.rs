//! Rows into the table that is there, in the open transaction.

use holdfast_model::table::{TableMode, TableReport};

use super::{
    super::{
        PgError,
        target::{Session, identifier, literal},
    },
    TablePlan, TableRestored,
    live::{self, Live},
    staging::{list, texts},
};

/// Entries that come back with a column that was gone.
const WITH_A_COLUMN: [&str; 5] = ["DEFAULT", "CONSTRAINT", "FK CONSTRAINT", "INDEX", "COMMENT"];

/// Merges, and looks at the outcome.
pub(super) async fn merge(
    plan: &TablePlan,
    live: &Live,
    mode: TableMode,
    session: &mut Session,
) -> Result<TableRestored, PgError> {
    let (here, staging) = (plan.place(), &plan.staging);
    session
        .run(
            format!("lock table {here} in share row exclusive mode; set constraints all deferred"),
            "locking the table",
        )
        .await?;
    let mut restored = TableRestored::default();
    // Between the plan and the lock it may have been altered.
    let now = Live::read(session, &plan.report.schema, &plan.report.name).await?;
    let names = |live: &Live| live.columns.iter().map(|c| (c.name.clone(), c.sort.clone())).collect::<Vec<_>>();
    if !now.as_ref().is_some_and(|now| now.oid == live.oid && names(now) == names(live)) {
        return Err(PgError::Refused("the table was altered since it was looked at; plan it again".into()));
    }
    let triggers = quiet(session, live, &here).await?;
    let (live, back) = columns_back(plan, live, mode, session, &here, &mut restored).await?;
    let live = &live;
    let (key, common) = (staging.shared_key(live), staging.common(live));
    let (rows, same) = (&staging.place, staging.same_key(live, &staging.shared_key(live)));

    if key.is_empty() {
        // Only `replace` comes here, and nobody refers to the table.
        restored.deleted = count(session, &format!("delete from only {here}"), "removing its rows").await?;
    } else {
        if mode == TableMode::Replace {
            let sql = format!("delete from only {here} l where not exists (select 1 from {rows} s where {same})");
            restored.deleted = count(session, &sql, "removing rows that came since").await?;
        }
        // In the mode `insert` only what was gone with its column comes back to rows that are there.
        let set = |column: &live::Column| {
            !key.contains(&column.name)
                && !column.always
                && common.contains(&column.name)
                && (mode != TableMode::Insert || back.contains(&column.name))
        };
        let set: Vec<String> =
            live.columns.iter().filter(|column| set(column)).map(|column| column.name.clone()).collect();
        if !set.is_empty() {
            let each: Vec<String> =
                set.iter().map(|name| identifier(name)).map(|name| format!("{name} = s.{name}")).collect();
            let sql = format!(
                "update only {here} l set {} from {rows} s where {same} and {} is distinct from {}",
                each.join(", "),
                texts(&set, "s"),
                texts(&set, "l")
            );
            restored.updated = count(session, &sql, "putting values back").await?;
        }
    }
    let which = if key.is_empty() {
        String::new()
    } else {
        format!("where not exists (select 1 from only {here} l where {same})")
    };
    let sql = if common.is_empty() {
        format!("insert into {here} select from {rows}")
    } else {
        let (into, from) = (list(&common, ""), list(&common, "s"));
        format!("insert into {here} ({into}) overriding system value select {from} from {rows} s {which}")
    };
    restored.inserted = count(session, &sql, "putting rows back").await?;
    sequences(session, live, &here).await?;
    not_null(plan, &back, session, &here, &mut restored).await?;
    loud(session, &here, &triggers).await?;
    session.run("set constraints all immediate", "looking at the foreign keys").await?;
    confirm(plan, live, mode, session).await?;
    Ok(restored)
}

/// The outcome is what was asked for, or nothing is committed.
async fn confirm(plan: &TablePlan, live: &Live, mode: TableMode, session: &mut Session) -> Result<(), PgError> {
    let mut after =
        TableReport { schema: plan.report.schema.clone(), name: plan.report.name.clone(), ..TableReport::default() };
    plan.staging.compare(session, live, &mut after).await?;
    let wrong = match mode {
        TableMode::Replace => after.only_then + after.only_now + after.changed,
        TableMode::Overwrite => after.only_then + after.changed,
        TableMode::Insert => after.only_then,
    };
    if wrong == 0 {
        return Ok(());
    }
    Err(PgError::Refused(format!(
        "{wrong} rows were not as they were in the checkpoint after they had been put back, so all was undone: something \
         in the database changes what is written to the table"
    )))
}

/// Columns that are gone come back, with their default as yet.
async fn columns_back(
    plan: &TablePlan,
    live: &Live,
    mode: TableMode,
    session: &mut Session,
    here: &str,
    restored: &mut TableRestored,
) -> Result<(Live, Vec<String>), PgError> {
    let gone: Vec<_> = plan.staging.columns.iter().filter(|column| !live.has(&column.name)).collect();
    if gone.is_empty() || mode == TableMode::Replace {
        return Ok((live.clone(), Vec::new()));
    }
    for column in &gone {
        let collation = column.collation.as_ref().map(|of| format!(" collate {of}")).unwrap_or_default();
        let name = identifier(&column.name);
        let add = format!("alter table only {here} add column {name} {}{collation}", column.sort);
        // Rows that came since get the default, as with any new column. What it calls may be gone.
        let with_default = column.default.as_ref().map(|default| format!("{add} default {default}"));
        let added = match with_default {
            Some(add) => try_alone(session, &add, restored).await?,
            None => false,
        };
        if !added {
            session.run(add, &format!("putting column {} back", column.name)).await?;
        }
    }
    let now = Live::read(session, &plan.report.schema, &plan.report.name).await?;
    let now = now.ok_or_else(|| PgError::Refused("the table is gone; plan it again".into()))?;
    Ok((now, gone.into_iter().map(|column| column.name.clone()).collect()))
}

/// What hung on a column that is back: each alone, and what does not fit the newer rows is told.
async fn not_null(
    plan: &TablePlan,
    back: &[String],
    session: &mut Session,
    here: &str,
    restored: &mut TableRestored,
) -> Result<(), PgError> {
    let columns = plan.staging.columns.iter().filter(|column| back.contains(&column.name) && column.not_null);
    let mut statements: Vec<String> = columns
        .map(|column| format!("alter table only {here} alter column {} set not null", identifier(&column.name)))
        .collect();
    if !back.is_empty() {
        let hung = plan.missing.iter().filter(|entry| WITH_A_COLUMN.contains(&entry.tag.as_str()));
        statements.extend(hung.map(|entry| entry.sql.clone()));
    }
    for statement in statements {
        try_alone(session, &statement, restored).await?;
    }
    Ok(())
}

/// Runs a statement that may fail without the rest; whether it did what it says.
pub(super) async fn try_alone(
    session: &mut Session,
    statement: &str,
    restored: &mut TableRestored,
) -> Result<bool, PgError> {
    let doing = "putting back what belongs to the table";
    session.run("savepoint alone", doing).await?;
    let done = session.try_run(statement).await;
    if let Err(error) = &done {
        session.run("rollback to savepoint alone", doing).await?;
        let said = error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
        restored.warnings.push(format!("not put back ({said}): {}", statement.trim()));
    }
    session.run("release savepoint alone", doing).await?;
    Ok(done.is_ok())
}

/// The table's own triggers do not run while rows are put back; foreign keys do.
async fn quiet(session: &mut Session, live: &Live, here: &str) -> Result<Vec<(String, String)>, PgError> {
    let sql = format!(
        "select quote_ident(tgname), tgenabled::text from pg_trigger
        where tgrelid = {} and not tgisinternal and tgenabled <> 'D' order by tgname",
        live.oid
    );
    let rows = session.rows(sql, "looking at its triggers").await?;
    let triggers: Vec<(String, String)> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    for (trigger, _) in &triggers {
        session.run(format!("alter table {here} disable trigger {trigger}"), "stopping its triggers").await?;
    }
    Ok(triggers)
}

async fn loud(session: &mut Session, here: &str, triggers: &[(String, String)]) -> Result<(), PgError> {
    // A table with events of deferred constraints cannot be altered: they are looked at first.
    session.run("set constraints all immediate", "looking at the foreign keys").await?;
    for (trigger, enabled) in triggers {
        let how = match enabled.as_str() {
            "A" => "always ",
            "R" => "replica ",
            _ => "",
        };
        session.run(format!("alter table {here} enable {how}trigger {trigger}"), "starting its triggers").await?;
    }
    Ok(())
}

/// Sequences of its columns never give a number again that a row has.
async fn sequences(session: &mut Session, live: &Live, here: &str) -> Result<(), PgError> {
    for column in &live.columns {
        let (name, text) = (identifier(&column.name), literal(&column.name));
        let of = session
            .row(format!("select pg_get_serial_sequence({}, {text})", literal(here)), "looking for its sequences")
            .await?;
        if let Some(sequence) = of.maybe(0) {
            let sql = format!(
                "select setval({}, m.top) from (select max({name})::bigint as top from only {here}) m, {sequence} q
                where m.top > q.last_value and (select seqincrement > 0 from pg_sequence where seqrelid = {}::regclass)",
                literal(&sequence),
                literal(&sequence)
            );
            session.rows(sql, "moving its sequence on").await?;
        }
    }
    Ok(())
}

/// Rows that a statement wrote.
async fn count(session: &mut Session, sql: &str, doing: &str) -> Result<u64, PgError> {
    let row = session.row(format!("with done as ({sql} returning 1) select count(*)::text from done"), doing).await?;
    Ok(row.number(0))
}
