//! SQLite's tables as they are compared: which columns, and by which key.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use super::super::window::Stop;

/// The rowid's names, of which a column may take any.
const ROWID: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// A table.
pub(crate) struct Table {
    sort: String,
    without_rowid: bool,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    sort: String,
    not_null: bool,
    default: Option<String>,
    /// Its place in the primary key, from 1; 0 if it is not of it.
    key: u32,
    /// 0 for one that is stored as it is given.
    hidden: u32,
}

/// How two tables of one name are compared.
pub(crate) struct Plan {
    /// The columns that both have, in the second one's order.
    pub(crate) columns: Vec<String>,
    pub(super) key: Key,
    /// The name by which both know the rowid.
    pub(super) rowid: Option<String>,
}

/// What makes two rows the same one.
pub(super) enum Key {
    /// These, as places in the columns.
    Columns(Vec<usize>),
    /// The rowid.
    Rowid,
    /// Nothing: rows are compared as a whole.
    Whole,
}

/// All tables that have rows of their own.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<BTreeMap<String, Table>> {
    let mut query = connection.prepare(
        "select name, type, wr from pragma_table_list
         where schema = 'main' and type in ('table', 'shadow') and name <> 'sqlite_schema'",
    )?;
    let mut columns = connection
        .prepare("select name, type, \"notnull\", dflt_value, pk, hidden from pragma_table_xinfo(?1) order by cid")?;
    let mut found = BTreeMap::new();
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let of = columns.query_map([&name], |row| {
            Ok(Column {
                name: row.get(0)?,
                sort: row.get(1)?,
                not_null: row.get(2)?,
                default: row.get(3)?,
                key: row.get(4)?,
                hidden: row.get(5)?,
            })
        })?;
        let table = Table { sort: row.get(1)?, without_rowid: row.get(2)?, columns: of.collect::<Result<_, _>>()? };
        found.insert(name, table);
    }
    Ok(found)
}

impl Table {
    /// Whether it is the inside of a virtual table.
    pub(crate) fn is_shadow(&self) -> bool {
        self.sort == "shadow"
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.stored().collect()
    }

    fn stored(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|column| column.hidden == 0).map(|column| column.name.as_str())
    }

    fn key(&self) -> Vec<&str> {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        key.into_iter().map(|column| column.name.as_str()).collect()
    }

    fn rowid(&self) -> Vec<&'static str> {
        let free = |name: &&str| !self.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
        if self.without_rowid { Vec::new() } else { ROWID.into_iter().filter(free).collect() }
    }
}

impl Plan {
    pub(crate) fn of(first: &Table, second: &Table) -> Result<Self, Stop> {
        if first.is_shadow() || second.is_shadow() {
            let why = "it is the inside of a virtual table: it was compared as a whole, and is not the same";
            return Err(Stop::Unreadable(why.to_owned()));
        }
        let others: BTreeSet<&str> = first.stored().collect();
        let columns: Vec<String> = second.stored().filter(|name| others.contains(name)).map(str::to_owned).collect();
        if columns.is_empty() {
            return Err(Stop::Unreadable("it has no column in common on both sides".to_owned()));
        }
        let (key, other) = (second.key(), first.key());
        let same = key.iter().collect::<BTreeSet<_>>() == other.iter().collect::<BTreeSet<_>>();
        let rowid = second.rowid().into_iter().find(|name| first.rowid().contains(name)).map(str::to_owned);
        let places: Vec<usize> =
            key.iter().filter_map(|name| columns.iter().position(|column| column == name)).collect();
        let key = if same && !key.is_empty() && places.len() == key.len() {
            Key::Columns(places)
        } else if key.is_empty() && other.is_empty() && rowid.is_some() {
            Key::Rowid
        } else {
            Key::Whole
        };
        Ok(Self { columns, key, rowid })
    }

    pub(super) const fn keyed(&self) -> bool {
        !matches!(self.key, Key::Whole)
    }

    /// The columns that are shown.
    pub(crate) fn shown(&self) -> Vec<String> {
        let rowid = self.rowid.iter().filter(|_| matches!(self.key, Key::Rowid));
        rowid.chain(&self.columns).cloned().collect()
    }

    /// The names of the key.
    pub(crate) fn key_names(&self) -> Vec<String> {
        match &self.key {
            Key::Columns(places) => places.iter().filter_map(|at| self.columns.get(*at).cloned()).collect(),
            Key::Rowid => self.rowid.iter().cloned().collect(),
            Key::Whole => Vec::new(),
        }
    }

    /// The query that gives the rowid, or null, and then the columns.
    pub(crate) fn query(&self, table: &str) -> String {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        let rowid = self.rowid.as_deref().unwrap_or("null");
        format!("select {rowid}, {} from {}", columns.join(", "), quoted(table))
    }
}

/// What differs in the columns of two definitions.
pub(super) fn columns(first: &Table, second: &Table) -> Vec<String> {
    let named = |all: &Table, name: &str| all.columns.iter().position(|column| column.name == name);
    let mut found = Vec::new();
    for column in first.columns.iter().filter(|column| named(second, &column.name).is_none()) {
        found.push(format!("column {} removed ({})", column.name, column.text()));
    }
    for column in &second.columns {
        let Some(old) = named(first, &column.name).and_then(|at| first.columns.get(at)) else {
            found.push(format!("column {} added: {}", column.name, column.text()));
            continue;
        };
        if old.text() != column.text() {
            found.push(format!("column {}: {} → {}", column.name, old.text(), column.text()));
        }
    }
    let (one, other) = (first.key(), second.key());
    if one != other {
        let named = |key: &[&str]| if key.is_empty() { "none".to_owned() } else { key.join(", ") };
        found.push(format!("primary key: {} → {}", named(&one), named(&other)));
    }
    found
}

impl Column {
    fn text(&self) -> String {
        let mut text = if self.sort.is_empty() { "no type".to_owned() } else { self.sort.clone() };
        if let Some(default) = &self.default {
            text.push_str(&format!(" default {default}"));
        }
        if self.not_null {
            text.push_str(" not null");
        }
        if matches!(self.hidden, 2 | 3) {
            text.push_str(" generated");
        }
        text
    }
}
