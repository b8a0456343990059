//! The tables of a sealed PostgreSQL dump.

use std::collections::BTreeMap;

use holdfast_model::{ledger::TableFacts, size, view::TableEntry};
use holdfast_vault::Cancel;

use super::{Filling, READ, Rows};
use crate::{
    diff::database::{
        Input,
        copy_text::{cells, lines, text},
        dump::{Dump, Table, TableName},
        sql,
        window::Stop,
    },
    failure::Failure,
};

/// All tables, by name: those that the ledger counts, and those of extensions whose rows are in the dump.
pub(super) fn list(input: &Input) -> Result<Vec<TableEntry>, Failure> {
    let dump = Dump::open(input)?;
    let mut rows: BTreeMap<TableName, Option<u64>> = dump.tables.keys().map(|name| (name.clone(), None)).collect();
    rows.extend(dump.ledger.tables.iter().filter_map(|(key, facts)| Some((sql::split(key)?, Some(facts.rows)))));
    Ok(rows
        .into_iter()
        .map(|(name, rows)| {
            let table = dump.tables.get(&name);
            TableEntry {
                columns: table.and_then(|table| table.columns.clone()).unwrap_or_default(),
                closed: closed(&dump, table, rows).err(),
                schema: name.0,
                name: name.1,
                rows,
            }
        })
        .collect())
}

/// Why a table cannot be opened.
fn closed(dump: &Dump, table: Option<&Table>, rows: Option<u64>) -> Result<(), String> {
    dump.known()?;
    match table {
        Some(table) if table.columns.is_none() => Err("its rows are not dumped as COPY text".to_owned()),
        Some(_) => Ok(()),
        None if rows == Some(0) => Err("it holds no rows itself".to_owned()),
        None => Err("its rows are not in the dump".to_owned()),
    }
}

/// A page of a table's rows; none if there is no such table.
pub(super) fn rows(input: &Input, name: &TableName, from: u64, cancel: &Cancel) -> Result<Option<Rows>, Failure> {
    let mut dump = Dump::open(input)?;
    let of = |facts: (&String, &TableFacts)| (sql::split(facts.0).as_ref() == Some(name)).then_some(facts.1.rows);
    let (table, known) = (dump.tables.get(name), dump.ledger.tables.iter().find_map(of));
    if table.is_none() && known.is_none() {
        return Ok(None);
    }
    let said = |why: &str| Failure::Said(format!("table {}.{}: {why}", name.0, name.1));
    closed(&dump, table, known).map_err(|why| said(&why))?;
    let (columns, key) = table.map(|table| (table.columns.clone(), table.key.clone())).unwrap_or_default();
    let columns = columns.unwrap_or_default();
    let data = table.and_then(|table| dump.data(table)).ok_or_else(|| said("its rows are not in the dump"))?.0;
    let count = columns.len();
    let mut page = Filling::new(columns, key, known);
    let (mut seen, mut bytes, mut enough) = (0_u64, 0_u64, false);
    let read = lines(&mut dump.reader, &data, cancel, &mut |line, _| {
        bytes += line.len() as u64 + 1;
        page.rows.more = page.is_full();
        if bytes > READ && page.rows.rows.is_empty() {
            page.rows.ended =
                Some(format!("the rows before are larger than {}, and no more is read", size::display(READ)));
        } else if bytes > READ {
            page.rows.more = true;
        }
        enough = page.rows.more || page.rows.ended.is_some();
        if enough {
            return Err(Stop::Unreadable(String::new()));
        }
        if seen >= from {
            page.push(cells(line, count)?.into_iter().map(text));
        }
        seen += 1;
        Ok(())
    });
    match read {
        Err(Stop::Unreadable(why)) if !enough => Err(said(&why)),
        Err(Stop::Failed(failure)) => Err(failure),
        _ => Ok(Some(page.rows)),
    }
}
