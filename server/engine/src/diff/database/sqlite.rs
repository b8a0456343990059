//! Two SQLite databases: both page images are written to scratch and opened there, for reading only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use holdfast_model::{
    diff::{Change, DatabaseChanges, ObjectChange, RowChanges, TableChange, TableRows},
    ledger::{Ledger, TableFacts},
    state::Kind,
};
use holdfast_vault::Cancel;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    Input, Terms, opened,
    rows::{self, Pairing},
    window::{Stop, Tally},
};
use crate::{failure::Failure, sqlite as engine};

pub(crate) mod plan;
pub(crate) mod read;

/// The one schema of a file.
pub(crate) const SCHEMA: &str = "main";

/// A page image, opened.
pub(crate) struct Image {
    pub(crate) connection: Connection,
    pub(crate) tables: BTreeMap<String, plan::Table>,
    // Removed behind the connection.
    _folder: TempDir,
}

/// Everything that differs; rows are counted only if `terms` say so.
pub(super) fn compare(first: &Input, second: &Input, terms: &Terms) -> Result<DatabaseChanges, Failure> {
    let mut changes = DatabaseChanges { engine: second.component.kind.to_string(), ..DatabaseChanges::default() };
    let (before, after) = (ledger(first), ledger(second));
    if before == after {
        changes.unchanged_tables = u64::try_from(after.tables.len()).unwrap_or(u64::MAX);
        return Ok(changes);
    }
    let (mut one, mut other) = (terms.image(first)?, terms.image(second)?);
    changes.schema = objects(&before, &after, &one, &other);
    let names: BTreeSet<&String> = before.tables.keys().chain(after.tables.keys()).collect();
    for key in names {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        match table(name, (before.tables.get(key), after.tables.get(key)), &mut one, &mut other, terms)? {
            Some(change) => changes.tables.push(change),
            None => changes.unchanged_tables += 1,
        }
    }
    Ok(changes)
}

/// Opens a table; none if not both have it.
pub(super) fn open(
    first: &Input,
    second: &Input,
    name: &(String, String),
    keep: usize,
    terms: &Terms,
) -> Result<Option<TableRows>, Failure> {
    let (mut one, mut other) = (terms.image(first)?, terms.image(second)?);
    let (Some(before), Some(after)) = (one.tables.get(&name.1), other.tables.get(&name.1)) else { return Ok(None) };
    let opened = plan::Plan::of(before, after).and_then(|plan| {
        let tally = count(&mut one, &mut other, &name.1, &plan, Tally::keeping(keep), terms)?;
        let total = tally.total();
        let found = read::fetch(&one.connection, &other.connection, &name.1, &plan, &tally.kept.into_vec(), terms)?;
        Ok(opened::answer(Kind::Sqlite, name, plan.shown(), plan.key_names(), found, total, keep))
    });
    match opened {
        Ok(rows) => Ok(Some(rows)),
        Err(Stop::Unreadable(why)) => Err(Failure::Said(format!("table {}: {why}", name.1))),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

fn ledger(input: &Input) -> Ledger {
    input.component.ledger.clone().unwrap_or_default()
}

fn table(
    name: &str,
    (before, after): (Option<&TableFacts>, Option<&TableFacts>),
    one: &mut Image,
    other: &mut Image,
    terms: &Terms,
) -> Result<Option<TableChange>, Failure> {
    let (first, second) = (one.tables.get(name), other.tables.get(name));
    if before == after && first.map(plan::Table::names) == second.map(plan::Table::names) {
        return Ok(None);
    }
    let told = |rows: RowChanges| {
        Ok(Some(TableChange {
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            before: before.map(|of| of.rows),
            after: after.map(|of| of.rows),
            rows,
        }))
    };
    let (Some(first), Some(second)) = (first, second) else { return told(RowChanges::NotRead) };
    if !terms.rows {
        return told(RowChanges::NotRead);
    }
    let counted = plan::Plan::of(first, second).and_then(|plan| {
        let tally = count(one, other, name, &plan, Tally::default(), terms)?;
        Ok((plan.key_names(), tally))
    });
    match counted {
        Ok((_, tally)) if tally.total() == 0 => Ok(None),
        Ok((key, Tally { added, removed, changed, .. })) => told(RowChanges::Counted { added, removed, changed, key }),
        Err(Stop::Unreadable(why)) => told(RowChanges::Unreadable { why }),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

fn count(
    one: &mut Image,
    other: &mut Image,
    name: &str,
    plan: &plan::Plan,
    tally: Tally,
    terms: &Terms,
) -> Result<Tally, Stop> {
    let (one, other) = (&mut one.connection, &mut other.connection);
    rows::pair(
        |feed| read::rows(one, name, plan, terms, feed),
        |feed| read::rows(other, name, plan, terms, feed),
        Pairing { keyed: plan.keyed(), memory: terms.memory, scratch: &terms.scratch, tally },
    )
}

/// Definitions and settings, from the ledgers; of tables the columns that differ.
fn objects(before: &Ledger, after: &Ledger, one: &Image, other: &Image) -> Vec<ObjectChange> {
    let keys: BTreeSet<&String> = before.objects.keys().chain(after.objects.keys()).collect();
    let change = |key: &String| {
        let (before, after) = (before.objects.get(key), after.objects.get(key));
        // The index of a key comes and goes with its table.
        if before == after || key.starts_with("index sqlite_autoindex_") {
            return None;
        }
        let (kind, name) = match key.split_once(' ') {
            Some(("pragma", name)) => ("setting", name),
            Some((kind @ ("table" | "index" | "view" | "trigger"), name)) => (kind, name),
            _ => ("check", key.as_str()),
        };
        let mut details = match (before, after, one.tables.get(name), other.tables.get(name)) {
            (Some(_), Some(_), Some(one), Some(other)) if kind == "table" => plan::columns(one, other),
            (Some(before), Some(after), ..) if matches!(kind, "setting" | "check") => {
                vec![format!("{before} → {after}")]
            }
            _ => Vec::new(),
        };
        if details.is_empty() && before.is_some() && after.is_some() {
            details.push("definition changed".to_owned());
        }
        Some(ObjectChange {
            kind: kind.to_owned(),
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            change: Change::between(before.is_some(), after.is_some())?,
            details,
            before: before.cloned(),
            after: after.cloned(),
        })
    };
    keys.into_iter().filter_map(change).collect()
}

impl Terms {
    fn image(&self, input: &Input) -> Result<Image, Failure> {
        Image::open(input, &self.scratch, &self.cancel)
    }
}

impl Image {
    /// Writes it out and opens it.
    pub(crate) fn open(input: &Input, scratch: &Path, cancel: &Cancel) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::io(scratch, &error);
        engine::enough_room(scratch, input.component.size)?;
        let folder = tempfile::Builder::new().prefix("image-").tempdir_in(scratch).map_err(failed)?;
        let path = folder.path().join(engine::IMAGE);
        write(input, &path, cancel)?;
        let connection = engine::open(&path)?;
        let tables = plan::tables(&connection).map_err(|error| engine::explain(&path, &error))?;
        Ok(Self { connection, tables, _folder: folder })
    }
}

fn write(input: &Input, path: &Path, cancel: &Cancel) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io(path, &error);
    let node = input.vault.find(&input.root, &Path::new(&input.component.place).join(engine::IMAGE))?;
    let mut reader = input.vault.read(&node)?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        cancel.check()?;
        match reader.read(&mut buffer).map_err(failed)? {
            0 => return Ok(()),
            count => file.write_all(&buffer[..count]).map_err(failed)?,
        }
    }
}
