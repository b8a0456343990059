//! The table made anew as it was, in the open transaction: the definitions as they are in the dump, the rows from staging.

use holdfast_model::table::TableReport;

use super::{
    super::{
        PgError,
        target::{Session, identifier, literal},
    },
    TablePlan, TableRestored,
    live::Live,
    merge::try_alone,
    staging::list,
};

/// Entries that come before the rows.
const BEFORE: [&str; 4] = ["SEQUENCE", "TABLE", "SEQUENCE OWNED BY", "DEFAULT"];
/// Entries without which the table is the table all the same: roles and publications may be missing.
const ALONE: [&str; 4] = ["ACL", "COMMENT", "SECURITY LABEL", "PUBLICATION TABLE"];

/// Drops what is there and makes what was.
pub(super) async fn rebuild(
    plan: &TablePlan,
    live: Option<&Live>,
    session: &mut Session,
) -> Result<TableRestored, PgError> {
    let here = plan.place();
    let mut restored = TableRestored { rebuilt: true, ..TableRestored::default() };
    session.run("set local check_function_bodies = off", "making the table").await?;
    let (mut referring, mut published) = (Vec::new(), Vec::new());
    if let Some(live) = live {
        session.run(format!("lock table {here} in access exclusive mode"), "locking the table").await?;
        restored.deleted =
            session.row(format!("select count(*)::text from only {here}"), "counting its rows").await?.number(0);
        let sql = format!(
            "select conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid),
                quote_literal(obj_description(oid, 'pg_constraint')) from pg_constraint
            where contype = 'f' and confrelid = {} and conrelid <> confrelid and conparentid = 0 order by conname",
            live.oid
        );
        for row in session.rows(sql, "looking at who refers to it").await? {
            let (table, name, definition) = (row.text(0), row.text(1), row.text(2));
            session.run(format!("alter table {table} drop constraint {name}"), "loosening foreign keys").await?;
            referring.push(format!("alter table {table} add constraint {name} {definition}"));
            referring.extend(row.maybe(3).map(|text| format!("comment on constraint {name} on {table} is {text}")));
        }
        published = publications(session, live, &here).await?;
        // Whatever else depends on it refuses this, by name.
        session.run(format!("drop table {here}"), "making way for the table").await?;
    }
    let schema = session.row(
        format!("select to_regnamespace({}) is null", literal(&identifier(&plan.report.schema))),
        "looking for its schema",
    );
    if schema.await?.is(0) {
        session.run(format!("create schema {}", identifier(&plan.report.schema)), "making its schema").await?;
    }
    for entry in plan.entries.iter().filter(|entry| BEFORE.contains(&entry.tag.as_str())) {
        let name = format!("{}.{}", identifier(&entry.schema), identifier(&entry.name));
        if entry.tag == "SEQUENCE" && !entry.sql.trim_start().starts_with("ALTER TABLE") {
            let there = format!("select to_regclass({}) is not null", literal(&name));
            if session.row(there, "looking for its sequence").await?.is(0) {
                continue;
            }
        }
        session.run(entry.sql.clone(), &format!("making {} {}", entry.tag.to_lowercase(), entry.name)).await?;
        if entry.tag == "TABLE" || entry.tag == "SEQUENCE" && entry.sql.trim_start().starts_with("CREATE") {
            let owner = format!("alter {} {name} owner to {}", entry.tag.to_lowercase(), identifier(&entry.owner));
            try_alone(session, &owner, &mut restored).await?;
            revoke_defaults(session, &name, &entry.tag.to_lowercase()).await?;
        }
    }
    let names: Vec<String> = plan.staging.columns.iter().map(|column| column.name.clone()).collect();
    let rows = &plan.staging.place;
    let insert = if names.is_empty() {
        format!("insert into {here} select from {rows}")
    } else {
        format!(
            "insert into {here} ({}) overriding system value select {} from {rows} s",
            list(&names, ""),
            list(&names, "s")
        )
    };
    session.run(insert, "putting rows back").await?;
    let behind = |tag: &str| !BEFORE.contains(&tag) && (live.is_none() || tag != "PUBLICATION TABLE");
    for entry in plan.entries.iter().filter(|entry| behind(&entry.tag)) {
        if ALONE.contains(&entry.tag.as_str()) {
            try_alone(session, &entry.sql, &mut restored).await?;
        } else {
            session.run(entry.sql.clone(), &format!("making {} {}", entry.tag.to_lowercase(), entry.name)).await?;
        }
    }
    for statement in referring {
        session.run(statement, "fastening foreign keys again").await?;
    }
    for statement in published {
        try_alone(session, &statement, &mut restored).await?;
    }
    // The dump's own statements may have set a search path for the session.
    session.run("select pg_catalog.set_config('search_path', '', true)", "looking at the rows").await?;
    let (schema, name) = (plan.report.schema.clone(), plan.report.name.clone());
    let mut after = TableReport { schema, name, ..TableReport::default() };
    let made = Live::read(session, &after.schema, &after.name).await?;
    let made = made.ok_or_else(|| PgError::Refused("the table was made and is not there".into()))?;
    plan.staging.compare(session, &made, &mut after).await?;
    let wrong = after.only_then + after.only_now + after.changed;
    if wrong > 0 {
        return Err(PgError::Refused(format!(
            "{wrong} rows were not as they were in the checkpoint after the table was made anew, so all was undone"
        )));
    }
    restored.inserted = after.now;
    session.run(format!("analyze {here}"), "looking at the rows").await?;
    Ok(restored)
}

/// Statements that make it a part of the publications again that it is a part of now.
async fn publications(session: &mut Session, live: &Live, here: &str) -> Result<Vec<String>, PgError> {
    let doing = "looking at its publications";
    let version = session.row("select current_setting('server_version_num')", doing).await?.number::<u32>(0);
    let only_some = match version {
        150_000.. => {
            "coalesce((select ' (' || string_agg(quote_ident(attname), ', ' order by k.at) || ')'
                from unnest(r.prattrs) with ordinality k(n, at) join pg_attribute on attrelid = r.prrelid and attnum = k.n), '')
            || coalesce(' where (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')"
        }
        _ => "''",
    };
    let sql = format!(
        "select quote_ident(pubname), {only_some} from pg_publication_rel r join pg_publication p on p.oid = r.prpubid
        where r.prrelid = {} order by 1",
        live.oid
    );
    let rows = session.rows(sql, doing).await?;
    let add = |name: String, only_some: String| format!("alter publication {name} add table only {here}{only_some}");
    Ok(rows.iter().map(|row| add(row.text(0), row.text(1))).collect())
}

/// What default privileges have given to others on something new, which was not there before.
async fn revoke_defaults(session: &mut Session, name: &str, sort: &str) -> Result<(), PgError> {
    let sql = format!(
        "select distinct case a.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(a.grantee)) end
        from pg_class c cross join lateral aclexplode(c.relacl) a
        where c.oid = to_regclass({}) and a.grantee <> c.relowner",
        literal(name)
    );
    for row in session.rows(sql, "looking at its privileges").await? {
        let revoke = format!("revoke all on {sort} {name} from {}", row.text(0));
        session.run(revoke, "taking default privileges back").await?;
    }
    Ok(())
}
