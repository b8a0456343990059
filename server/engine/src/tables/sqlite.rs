//! The tables of a sealed SQLite file, which is written to scratch and opened there, for reading only.

use std::path::Path;

use holdfast_model::{ledger::TableFacts, size, view::TableEntry};
use holdfast_vault::Cancel;

use super::{Filling, LARGEST, Rows};
use crate::{
    diff::database::{
        Input,
        sqlite::{Image, SCHEMA, plan::Plan, read::text},
        window::Stop,
    },
    failure::Failure,
};

/// All tables, by name.
pub(super) fn list(input: &Input, scratch: &Path, cancel: &Cancel) -> Result<Vec<TableEntry>, Failure> {
    let image = match too_large(input) {
        None => Ok(Image::open(input, scratch, cancel)?),
        Some(why) => Err(why),
    };
    let ledger = input.component.ledger.clone().unwrap_or_default();
    let entry = |(key, facts): (String, TableFacts)| {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name).to_owned();
        let plan = match &image {
            Err(why) => Err(why.clone()),
            Ok(image) => plan(image, &name).unwrap_or_else(|| Err("it is not in the file".to_owned())),
        };
        let (columns, closed) = match plan {
            Ok(plan) => (plan.shown(), None),
            Err(why) => (Vec::new(), Some(why)),
        };
        TableEntry { schema: SCHEMA.to_owned(), name, rows: Some(facts.rows), columns, closed }
    };
    Ok(ledger.tables.into_iter().map(entry).collect())
}

/// How a table is read, or why it cannot be; none if there is no such table.
fn plan(image: &Image, name: &str) -> Option<Result<Plan, String>> {
    let table = image.tables.get(name)?;
    if table.is_shadow() {
        return Some(Err("it is the inside of a virtual table".to_owned()));
    }
    Some(Plan::of(table, table).map_err(|stop| match stop {
        Stop::Unreadable(why) => why,
        Stop::Failed(failure) => failure.to_string(),
    }))
}

fn too_large(input: &Input) -> Option<String> {
    (input.component.size > LARGEST)
        .then(|| format!("the file is larger than {}: take it, and open it with sqlite3", size::display(LARGEST)))
}

/// A page of a table's rows; none if there is no such table.
pub(super) fn rows(
    input: &Input,
    name: &(String, String),
    from: u64,
    scratch: &Path,
    cancel: &Cancel,
) -> Result<Option<Rows>, Failure> {
    if let Some(why) = too_large(input) {
        return Err(Failure::Said(why));
    }
    let image = Image::open(input, scratch, cancel)?;
    let said = |why: String| Failure::Said(format!("table {}: {why}", name.1));
    let Some(plan) = plan(&image, &name.1).filter(|_| name.0 == SCHEMA) else { return Ok(None) };
    let plan = plan.map_err(said)?;
    let failed = |error: rusqlite::Error| said(error.to_string());
    let counted = input.component.ledger.as_ref().and_then(|ledger| ledger.tables.get(&format!("{SCHEMA}.{}", name.1)));
    let total = counted.map(|facts| facts.rows);
    let mut page = Filling::new(plan.shown(), plan.key_names(), total);
    // The rowid comes first, and is shown where it is the key.
    let first = plan.columns.len() + 1 - page.rows.columns.len();
    let offset = i64::try_from(from).unwrap_or(i64::MAX);
    let mut query =
        image.connection.prepare(&format!("{} limit -1 offset {offset}", plan.query(&name.1))).map_err(failed)?;
    let mut found = query.query([]).map_err(failed)?;
    while let Some(row) = found.next().map_err(failed)? {
        cancel.check()?;
        page.rows.more = page.is_full();
        if page.rows.more {
            break;
        }
        let cells: Result<Vec<_>, rusqlite::Error> =
            (first..=plan.columns.len()).map(|at| Ok(text(row.get_ref(at)?))).collect();
        page.push(cells.map_err(failed)?.into_iter());
    }
    Ok(Some(page.rows))
}
