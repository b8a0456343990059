//! One table opened: the rows that differ, old beside new.

use std::cmp::Ordering;

use holdfast_model::{
    diff::{Cell, Change, RowChange, TableRows},
    state::Kind,
};

use super::{
    Input, Terms,
    copy_text::{cells, line_at, text},
    dump::{Dump, TableName},
    mask,
    postgres::{Both, Plan},
    window::{Difference, Place, Stop, Tally},
};
use crate::failure::Failure;

/// A row as it was found, before it is masked and cut.
pub(super) struct Found {
    pub(super) before: Option<Vec<Cell>>,
    pub(super) after: Option<Vec<Cell>>,
}

/// Opens a table of two PostgreSQL databases; none if not both have it.
pub(super) fn postgres(
    first: &Input,
    second: &Input,
    name: &TableName,
    keep: usize,
    terms: &Terms,
) -> Result<Option<TableRows>, Failure> {
    let mut both = Both::open(first, second)?;
    let Some((before, after)) = both.facts(name).map(|(before, after)| (before.clone(), after.clone())) else {
        return Ok(None);
    };
    let opened = both.plan(name).and_then(|plan| {
        if both.is_same(name, Some(&before), Some(&after)) {
            return Ok(answer(Kind::Postgres, name, plan.columns, plan.key, Vec::new(), 0, keep));
        }
        let tally = both.rows(name, &plan, Tally::keeping(keep), terms)?;
        let total = tally.total();
        let found = fetch(&mut both, name, &plan, &tally.kept.into_vec(), terms)?;
        Ok(answer(Kind::Postgres, name, plan.columns, plan.key, found, total, keep))
    });
    match opened {
        Ok(rows) => Ok(Some(rows)),
        Err(Stop::Unreadable(why)) => Err(Failure::Said(format!("table {}.{}: {why}", name.0, name.1))),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Reads the rows again, in the order in which they stand.
fn fetch(
    both: &mut Both<'_>,
    name: &TableName,
    plan: &Plan,
    differences: &[Difference],
    terms: &Terms,
) -> Result<Vec<Found>, Stop> {
    let first: Vec<Option<Place>> = differences.iter().map(|difference| difference.first).collect();
    let second: Vec<Option<Place>> = differences.iter().map(|difference| difference.second).collect();
    let before = side(&mut both.first.1, name, plan, &first, terms)?;
    let after = side(&mut both.second.1, name, plan, &second, terms)?;
    Ok(before.into_iter().zip(after).map(|(before, after)| Found { before, after }).collect())
}

fn side(
    dump: &mut Dump,
    name: &TableName,
    plan: &Plan,
    places: &[Option<Place>],
    terms: &Terms,
) -> Result<Vec<Option<Vec<Cell>>>, Stop> {
    let all = dump.tables.get(name).and_then(|table| table.columns.clone()).unwrap_or_default();
    let shown: Vec<usize> =
        plan.columns.iter().filter_map(|column| all.iter().position(|other| other == column)).collect();
    let mut order: Vec<(Place, usize)> =
        places.iter().enumerate().filter_map(|(at, place)| Some(((*place)?, at))).collect();
    order.sort_unstable();
    let mut rows: Vec<Option<Vec<Cell>>> = vec![None; places.len()];
    for (place, at) in order {
        terms.cancel.check().map_err(|_| Stop::Failed(Failure::Cancelled))?;
        let line = line_at(&mut dump.reader, place, dump.contents.int_size)?;
        let values = cells(&line, all.len())?;
        rows[at] =
            Some(shown.iter().map(|column| values.get(*column).and_then(|cell| text(cell)).map(mask::held)).collect());
    }
    Ok(rows)
}

/// The answer: by key, with what looks secret masked.
pub(super) fn answer(
    kind: Kind,
    (schema, table): &TableName,
    columns: Vec<String>,
    key: Vec<String>,
    mut found: Vec<Found>,
    total: u64,
    keep: usize,
) -> TableRows {
    let secret: Vec<bool> = columns.iter().map(|column| mask::is_secret(column)).collect();
    let at = |name: &String| columns.iter().position(|column| column == name);
    let order: Vec<usize> =
        if key.is_empty() { (0..columns.len()).collect() } else { key.iter().filter_map(at).collect() };
    found.sort_by(|one, other| {
        let (one, other) = (one.after.as_ref().or(one.before.as_ref()), other.after.as_ref().or(other.before.as_ref()));
        let cell = |row: Option<&Vec<Cell>>, at: usize| row.and_then(|row| row.get(at).cloned()).flatten();
        let each = order.iter().map(|at| by_value(cell(one, *at).as_deref(), cell(other, *at).as_deref()));
        each.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    let shown = |row: Vec<Cell>| -> Vec<Cell> {
        row.into_iter().zip(&secret).map(|(cell, secret)| mask::shown(cell, *secret)).collect()
    };
    let row = |found: Found| {
        let change = Change::between(found.before.is_some(), found.after.is_some())?;
        let differs = match (&found.before, &found.after) {
            (Some(before), Some(after)) => (0..columns.len()).filter(|at| before.get(*at) != after.get(*at)).collect(),
            _ => Vec::new(),
        };
        Some(RowChange { change, before: found.before.map(shown), after: found.after.map(shown), differs })
    };
    let rows: Vec<RowChange> = found.into_iter().filter_map(row).collect();
    let masked = columns.iter().zip(&secret).filter(|(_, secret)| **secret).map(|(column, _)| column.clone()).collect();
    TableRows {
        kind,
        schema: schema.clone(),
        name: table.clone(),
        masked,
        key,
        rows,
        next: None,
        total,
        kept: u64::try_from(keep).unwrap_or(u64::MAX),
        columns,
    }
}

/// Numbers by their value, all else by its letters, null last.
fn by_value(one: Option<&str>, other: Option<&str>) -> Ordering {
    let (Some(one), Some(other)) = (one, other) else {
        return one.is_none().cmp(&other.is_none());
    };
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return one.cmp(&other);
    }
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    match (number(one), number(other)) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        // A number stands before what is none, so that the order is one.
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => one.cmp(other),
    }
}
