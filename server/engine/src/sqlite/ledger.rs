//! The ledger of a SQLite database: rows and an order-free hash per table, everything else by definition.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::ledger::{Ledger, TableFacts};
use holdfast_vault::Cancel;
use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest, Sha256};

use super::explain;
use crate::failure::Failure;

/// Rows between two looks at the switch that cancels.
const ROWS: u64 = 4096;

struct Table {
    name: String,
    kind: String,
    without_rowid: bool,
}

/// Reads everything in the connection's present transaction; `each` is told every table's name.
///
/// # Errors
/// SQLite's, with the place; cancelled.
pub(super) fn read(
    connection: &Connection,
    path: &Path,
    cancel: &Cancel,
    each: &dyn Fn(&str),
) -> Result<Ledger, Failure> {
    let said = |error: rusqlite::Error| explain(path, &error);
    let mut ledger = Ledger { objects: objects(connection).map_err(said)?, ..Ledger::default() };
    for table in tables(connection).map_err(said)? {
        cancel.check()?;
        // A virtual table has no rows of its own: its shadow tables do, and they are read like all others.
        if table.kind == "virtual" {
            continue;
        }
        let facts = facts(connection, &table, cancel).map_err(|stop| match stop {
            Stop::Cancelled => Failure::Cancelled,
            Stop::Failed(error) => said(error),
        })?;
        each(&table.name);
        ledger.tables.insert(format!("main.{}", table.name), facts);
    }
    Ok(ledger)
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut query = connection.prepare(
        "select name, type, wr from pragma_table_list
         where schema = 'main' and type in ('table', 'virtual', 'shadow') and name <> 'sqlite_schema'
         order by name",
    )?;
    query.query_map([], |row| Ok(Table { name: row.get(0)?, kind: row.get(1)?, without_rowid: row.get(2)? }))?.collect()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

enum Stop {
    Cancelled,
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn facts(connection: &Connection, table: &Table, cancel: &Cancel) -> Result<TableFacts, Stop> {
    // The rowid is content too: full-text indexes and applications refer to it.
    let rowid = if table.without_rowid { "" } else { "rowid, " };
    let mut query = connection.prepare(&format!("select {rowid}* from {}", quoted(&table.name)))?;
    let columns = query.column_count();
    let mut rows = query.query([])?;
    let (mut count, mut sums) = (0_u64, [0_u64; 2]);
    while let Some(row) = rows.next()? {
        let mut hash = Sha256::new();
        for column in 0..columns {
            digest(&mut hash, row.get_ref(column)?);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b] = halves(&digest);
        sums = [sums[0].wrapping_add(a), sums[1].wrapping_add(b)];
        count += 1;
        if count.is_multiple_of(ROWS) && cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
    }
    Ok(TableFacts { rows: count, hash: format!("{:016x}{:016x}", sums[0], sums[1]) })
}

/// Each value by its storage class, its length and its bytes, so that no two rows look alike that are not.
pub(crate) fn digest(hash: &mut Sha256, value: ValueRef<'_>) {
    let mut field = |class: u8, bytes: &[u8]| {
        hash.update([class]);
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    };
    match value {
        ValueRef::Null => field(0, &[]),
        ValueRef::Integer(number) => field(1, &number.to_le_bytes()),
        ValueRef::Real(number) => field(2, &number.to_bits().to_le_bytes()),
        ValueRef::Text(text) => field(3, text),
        ValueRef::Blob(bytes) => field(4, bytes),
    }
}

fn halves(digest: &[u8; 32]) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = *digest;
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes([i, j, k, l, m, n, o, p])]
}

/// Definitions, the settings that live in the file, and how many foreign keys point nowhere.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut objects = BTreeMap::new();
    let mut query =
        connection.prepare("select type, name, coalesce(sql, 'automatic, on ' || tbl_name) from sqlite_schema")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        objects.insert(format!("{kind} {name}"), sql);
    }
    for setting in ["application_id", "auto_vacuum", "encoding", "page_size", "user_version"] {
        let value = connection.query_row(&format!("pragma {setting}"), [], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                _ => String::new(),
            })
        })?;
        objects.insert(format!("pragma {setting}"), value);
    }
    // Where a parent table is missing the check cannot run; that too is a fact that must be found again.
    let dangling =
        connection.query_row("select count(*) from pragma_foreign_key_check", [], |row| row.get::<_, i64>(0));
    let dangling = dangling.map_or_else(|error| format!("cannot run: {error}"), |count| count.to_string());
    objects.insert("foreign keys that point nowhere".to_owned(), dangling);
    Ok(objects)
}
