//! Rows out of a page image.

use holdfast_model::diff::Cell;
use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest as _, Sha256};

use super::{
    super::{
        Terms, mask,
        opened::Found,
        rows::{Feed, half},
        window::{Difference, Place, Row, Stop},
    },
    plan::{Key, Plan},
};
use crate::{failure::Failure, sqlite::ledger::digest};

/// Rows between two looks at the switch that cancels.
const ROWS: u64 = 4096;

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Gives every row with its number, from 0.
fn each(
    connection: &Connection,
    table: &str,
    plan: &Plan,
    terms: &Terms,
    with: &mut dyn FnMut(u64, &rusqlite::Row<'_>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut query = connection.prepare(&plan.query(table))?;
    let mut rows = query.query([])?;
    let mut number = 0_u64;
    while let Some(row) = rows.next()? {
        if number.is_multiple_of(ROWS) {
            terms.cancel.check().map_err(|_| Stop::Failed(Failure::Cancelled))?;
        }
        with(number, row)?;
        number += 1;
    }
    Ok(())
}

/// Gives the rows of a table to `feed`.
pub(super) fn rows(
    connection: &mut Connection,
    table: &str,
    plan: &Plan,
    terms: &Terms,
    feed: &mut Feed<'_>,
) -> Result<(), Stop> {
    let connection = &*connection;
    // By name, so that both sides have them alike.
    let mut order: Vec<usize> = (0..plan.columns.len()).collect();
    order.sort_by_key(|at| &plan.columns[*at]);
    each(connection, table, plan, terms, &mut |number, row| {
        let mut content = Sha256::new();
        for at in &order {
            digest(&mut content, row.get_ref(at + 1)?);
        }
        let content = half(content.finalize().as_slice());
        let key = match &plan.key {
            Key::Whole => content,
            Key::Rowid => {
                let mut hash = Sha256::new();
                digest(&mut hash, row.get_ref(0)?);
                half(hash.finalize().as_slice())
            }
            Key::Columns(places) => {
                let mut hash = Sha256::new();
                let mut null = false;
                for at in places {
                    let value = row.get_ref(at + 1)?;
                    null |= value == ValueRef::Null;
                    digest(&mut hash, value);
                }
                // SQLite lets a key be null, and then more than one row may have it.
                if null {
                    digest(&mut hash, row.get_ref(0)?);
                }
                half(hash.finalize().as_slice())
            }
        };
        feed(Row { key, content, place: Place { at: number, left: 0 } })
    })
}

/// Reads the rows of these differences again.
pub(super) fn fetch(
    first: &Connection,
    second: &Connection,
    table: &str,
    plan: &Plan,
    differences: &[Difference],
    terms: &Terms,
) -> Result<Vec<Found>, Stop> {
    let before = side(first, table, plan, differences.iter().map(|of| of.first).collect(), terms)?;
    let after = side(second, table, plan, differences.iter().map(|of| of.second).collect(), terms)?;
    Ok(before.into_iter().zip(after).map(|(before, after)| Found { before, after }).collect())
}

fn side(
    connection: &Connection,
    table: &str,
    plan: &Plan,
    places: Vec<Option<Place>>,
    terms: &Terms,
) -> Result<Vec<Option<Vec<Cell>>>, Stop> {
    let mut found: Vec<Option<Vec<Cell>>> = vec![None; places.len()];
    let mut wanted: Vec<(u64, usize)> =
        places.into_iter().enumerate().filter_map(|(at, place)| Some((place?.at, at))).collect();
    wanted.sort_unstable();
    let mut wanted = wanted.into_iter().peekable();
    if wanted.peek().is_none() {
        return Ok(found);
    }
    let from = usize::from(!matches!(plan.key, Key::Rowid));
    each(connection, table, plan, terms, &mut |number, row| {
        while let Some((_, at)) = wanted.next_if(|(wanted, _)| *wanted == number) {
            let cells: Result<Vec<Cell>, rusqlite::Error> =
                (from..=plan.columns.len()).map(|column| Ok(text(row.get_ref(column)?).map(mask::held))).collect();
            found[at] = Some(cells?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// A value as SQLite's own shell would quote it, but for texts, which stand as they are.
pub(crate) fn text(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(format!("{number:?}")),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Some(format!("x'{}'", hex::encode(bytes))),
    }
}
