//! The ledger of a PostgreSQL database. The source and the restored copy are read by this same code.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use holdfast_model::ledger::{SequenceValue, TableFacts};

use super::{
    PgError,
    target::{Session, literal},
};

pub(super) mod objects;

/// A table, or a partitioned parent, as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) oid: String,
    /// Quoted where it must be: the key in the ledger, and safe within SQL.
    pub(super) name: String,
    /// It changes with TRUNCATE and with every rewrite.
    pub(super) file: String,
    /// A partitioned parent has no rows of its own.
    pub(super) parent: bool,
    /// Its columns by name, as the members of a row: the order of an inheriting table's columns is not kept by a restore.
    columns: String,
    pages: i64,
}

/// Ordinary tables and partitioned parents of all schemas that are not PostgreSQL's own; those of extensions are the
/// extension's business. Unlogged tables are dumped and counted like all others; temporary ones belong to a session.
const TABLES: &str = "
    select c.oid::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relfilenode::text, c.relkind = 'p',
        (select string_agg('holdfast_row.' || quote_ident(a.attname), ',' order by a.attname collate \"C\")
            from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
        c.relpages::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
        and not exists (select 1 from pg_depend d
            where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')
    order by c.oid";

/// The tables that a dump will hold.
pub(super) async fn tables(session: &mut Session) -> Result<Vec<Table>, PgError> {
    let rows = session.rows(TABLES, "listing the tables").await?;
    let table = |row: &super::target::Texts| Table {
        oid: row.text(0),
        name: row.text(1),
        file: row.text(2),
        parent: row.is(3),
        columns: row.text(4),
        pages: row.number(5),
    };
    Ok(rows.iter().map(table).collect())
}

/// The tables that have rows of their own, the largest first, for several sessions to take from.
pub(super) fn queue(tables: &[Table]) -> Mutex<VecDeque<Table>> {
    let mut queue: Vec<Table> = tables.iter().filter(|table| !table.parent).cloned().collect();
    queue.sort_by_key(|table| std::cmp::Reverse(table.pages));
    Mutex::new(queue.into())
}

/// The first table that nobody could count.
pub(super) fn left(queue: &Mutex<VecDeque<Table>>) -> Option<String> {
    queue.lock().ok().and_then(|mut queue| queue.pop_front()).map(|table| table.name)
}

/// Counts and hashes tables until the queue is empty. A table for whose lock it would wait too long goes back into the
/// queue, and the session stops there.
pub(super) async fn work_off(
    session: &mut Session,
    queue: &Mutex<VecDeque<Table>>,
    done: &AtomicU64,
) -> Result<BTreeMap<String, TableFacts>, PgError> {
    let mut facts = BTreeMap::new();
    loop {
        let next = queue.lock().ok().and_then(|mut queue| queue.pop_front());
        let Some(table) = next else { return Ok(facts) };
        let sql = format!(
            "select count(*)::text, {}, {} from only {} as holdfast_row",
            sum(&format!("row({})::text", table.columns), 0),
            sum(&format!("row({})::text", table.columns), 1),
            table.name
        );
        let row = match session.row(sql, &format!("counting {}", table.name)).await {
            Err(PgError::Query { message, .. }) if message.contains("55P03") => {
                if let Ok(mut queue) = queue.lock() {
                    queue.push_back(table);
                }
                return Ok(facts);
            }
            other => other?,
        };
        facts.insert(table.name, found(&row)?);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// An order-free sum of 64-bit hashes, modulo 2^64. The collation only settles that bytes are hashed.
fn sum(text: &str, seed: u8) -> String {
    let sum = format!("coalesce(sum(hashtextextended(({text}) collate \"C\", {seed})::numeric), 0)");
    format!("mod(mod({sum}, 18446744073709551616) + 18446744073709551616, 18446744073709551616)::text")
}

fn found(row: &super::target::Texts) -> Result<TableFacts, PgError> {
    let number = |index: usize| {
        let text = row.text(index);
        text.parse::<u64>()
            .map_err(|_| PgError::Refused(format!("PostgreSQL gave `{text}` where a count was expected")))
    };
    Ok(TableFacts { rows: number(0)?, hash: format!("{:016x}{:016x}", number(1)?, number(2)?) })
}

/// Large objects: how many, and their contents by pieces of 1 MiB. Read through the large-object functions, because
/// `pg_largeobject` itself is for superusers.
pub(super) async fn large_objects(session: &mut Session) -> Result<Option<TableFacts>, PgError> {
    const READ: i64 = 0x4_0000;
    let piece = "l.oid::text || ':' || l.size::text || ':' || p.at::text || ':' || \
                 encode(sha256(case when p.at < l.size then lo_get(l.oid, p.at, 1048576) else '' end), 'hex')";
    let sql = format!(
        "select count(distinct l.oid)::text, {}, {} from (
            select o.oid, o.size, lo_close(o.fd) from (
                select f.oid, f.fd, lo_lseek64(f.fd, 0, 2) as size from (
                    select m.oid, lo_open(m.oid, {READ}) as fd from pg_largeobject_metadata m offset 0) f offset 0) o offset 0) l
        cross join lateral generate_series(0, greatest(l.size - 1, 0), 1048576) as p(at)",
        sum(piece, 0),
        sum(piece, 1)
    );
    let any = session.row("select exists (select 1 from pg_largeobject_metadata)", "looking for large objects").await?;
    if !any.is(0) {
        return Ok(None);
    }
    found(&session.row(sql, "counting the large objects").await?).map(Some)
}

/// Where each sequence stands.
pub(super) async fn sequences(session: &mut Session) -> Result<BTreeMap<String, SequenceValue>, PgError> {
    let names = session
        .rows(
            "select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind = 'S' and c.relpersistence <> 't'
                and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and not exists (select 1 from pg_depend d
                    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
            order by 1",
            "listing the sequences",
        )
        .await?;
    let names: Vec<String> = names.iter().map(|row| row.text(0)).collect();
    let mut values = BTreeMap::new();
    for some in names.chunks(100) {
        let each = |name: &String| format!("select {}, last_value::text, is_called from {name}", literal(name));
        let sql = some.iter().map(each).collect::<Vec<_>>().join(" union all ");
        for row in session.rows(sql, "reading the sequences").await? {
            values.insert(row.text(0), SequenceValue { last: row.number(1), called: row.is(2) });
        }
    }
    Ok(values)
}
