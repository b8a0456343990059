//! A sealed SQLite image is opened in scratch space, checked by SQLite itself and compared with its ledger.

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    time::Instant,
};

use holdfast_model::{
    definition::Smoke,
    drill::{Check, ComponentDrill, Gap},
    ledger::Ledger,
    manifest::ManifestComponent,
};
use holdfast_vault::{Cancel, Meter, TreeId, Vault};
use rusqlite::{Connection, types::ValueRef};

use super::{IMAGE, ledger, version};
use crate::{
    context::{Context, elapsed},
    failure::Failure,
};

/// Compares; every check is told as it is made.
///
/// # Errors
/// Only what is not the copy's fault: cancelled, scratch space that cannot be written, a vault out of reach.
pub(crate) fn drill(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    smoke: &[Smoke],
    scratch: &Path,
    meter: &Meter,
    ctx: &Context,
) -> Result<ComponentDrill, Failure> {
    let begun = Instant::now();
    let mut book = Book { component, ctx, checks: Vec::new() };
    let sealed = component.ledger.clone().unwrap_or_default();
    let file = scratch.join(format!("{}.sqlite", component.name));
    match fetch(vault, dir, &file, &ctx.cancel, meter) {
        Ok(bytes) => book.equal(
            "size of the image",
            component.size.to_string(),
            bytes.to_string(),
            "the image has another size than was sealed",
        ),
        Err(Fetch::Copy(message)) => book.fail("read the image", message),
        Err(Fetch::Host(failure)) => return Err(failure),
    }
    let mut gaps = Vec::new();
    if book.sound() {
        match super::open(&file) {
            Err(failure) => book.fail("open", failure.to_string()),
            Ok(copy) => {
                integrity(&copy, &mut book, &mut gaps);
                let found = match ledger::read(&copy, &file, &ctx.cancel, &|_| ()) {
                    Ok(found) => Some(found),
                    Err(Failure::Cancelled) => return Err(Failure::Cancelled),
                    Err(failure) => {
                        book.fail("ledger", failure.to_string());
                        None
                    }
                };
                if let Some(found) = found {
                    compare(&sealed, &found, &mut book);
                }
                for check in smoke.iter().filter(|check| check.component == component.name) {
                    let name = format!("smoke {}", check.sql);
                    match truth(&copy, &check.sql) {
                        Ok(answer) => book.equal(
                            &name,
                            "true",
                            if answer { "true" } else { "false" },
                            "a smoke check is not true",
                        ),
                        Err(error) => book.fail(&name, format!("a smoke check failed: {error}")),
                    }
                }
            }
        }
    }
    let checks = book.checks;
    Ok(ComponentDrill {
        name: component.name.clone(),
        kind: component.kind,
        verdict: ComponentDrill::judge(&checks, &gaps),
        engine: Some(format!("SQLite {}", version())),
        duration_ms: elapsed(begun),
        checks,
        gaps,
    })
}

enum Fetch {
    /// The copy is at fault.
    Copy(String),
    /// Something else is.
    Host(Failure),
}

fn fetch(vault: &Vault, dir: &TreeId, file: &Path, cancel: &Cancel, meter: &Meter) -> Result<u64, Fetch> {
    let of_copy = |error: holdfast_vault::Error| match Failure::from(error) {
        Failure::Said(message) => Fetch::Copy(message),
        other => Fetch::Host(other),
    };
    let node = vault.find(dir, Path::new(IMAGE)).map_err(of_copy)?;
    let mut reader = vault.read(&node).map_err(of_copy)?;
    let host = |error: std::io::Error| Fetch::Host(Failure::io(file, &error));
    let mut target = fs::File::create(file).map_err(host)?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0_u64);
    loop {
        cancel.check().map_err(|_| Fetch::Host(Failure::Cancelled))?;
        let count = reader.read(&mut buffer).map_err(|error| match holdfast_vault::Error::from_io(&error) {
            Some(error) => of_copy(error.clone()),
            None => Fetch::Copy(error.to_string()),
        })?;
        if count == 0 {
            return Ok(bytes);
        }
        target.write_all(&buffer[..count]).map_err(host)?;
        let count = u64::try_from(count).unwrap_or(0);
        bytes += count;
        meter.add_bytes(count);
    }
}

fn integrity(copy: &Connection, book: &mut Book<'_>, gaps: &mut Vec<Gap>) {
    let found: rusqlite::Result<Vec<String>> = copy
        .prepare("pragma integrity_check(20)")
        .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect());
    match found {
        Ok(lines) => {
            book.equal("integrity_check", "ok", lines.join("; "), "SQLite's integrity check finds faults in the copy")
        }
        // An extension that only the application has: SQLite cannot look into what belongs to it.
        Err(error)
            if ["no such module", "no such function", "no such collation", "unknown"]
                .iter()
                .any(|w| error.to_string().contains(w)) =>
        {
            gaps.push(Gap {
                component: book.component.name.to_string(),
                kind: "extension".to_owned(),
                name: error.to_string(),
                reason: "the integrity check needs an extension that is not here".to_owned(),
                accepted: false,
            });
        }
        Err(error) => book.fail("integrity_check", error.to_string()),
    }
}

fn compare(sealed: &Ledger, found: &Ledger, book: &mut Book<'_>) {
    for (table, facts) in &sealed.tables {
        let short = table.strip_prefix("main.").unwrap_or(table);
        let name = format!("rows {table}");
        let Some(now) = found.tables.get(table) else {
            book.fail(&name, format!("the table `{short}` is missing"));
            continue;
        };
        let text = |facts: &holdfast_model::ledger::TableFacts| format!("{} rows, {}", facts.rows, facts.hash);
        let message = match now.rows.cmp(&facts.rows) {
            std::cmp::Ordering::Less => format!("{} fewer in `{short}` than were sealed", rows(facts.rows - now.rows)),
            std::cmp::Ordering::Greater => {
                format!("{} more in `{short}` than were sealed", rows(now.rows - facts.rows))
            }
            std::cmp::Ordering::Equal => format!("other content in `{short}` than was sealed, in as many rows"),
        };
        book.equal(&name, text(facts), text(now), &message);
    }
    for table in found.tables.keys().filter(|table| !sealed.tables.contains_key(*table)) {
        book.fail(&format!("rows {table}"), format!("a table `{table}` that was not sealed"));
    }
    for (object, definition) in &sealed.objects {
        match found.objects.get(object) {
            Some(now) => book.equal(
                object,
                definition.as_str(),
                now.as_str(),
                &format!("another definition of {object} than was sealed"),
            ),
            None => book.fail(object, format!("no {object}, which was sealed")),
        }
    }
    for object in found.objects.keys().filter(|object| !sealed.objects.contains_key(*object)) {
        book.fail(object, format!("{object}, which was not sealed"));
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

/// The checks of one component, each told as it is made.
struct Book<'a> {
    component: &'a ManifestComponent,
    ctx: &'a Context,
    checks: Vec<Check>,
}

impl Book<'_> {
    fn equal(&mut self, name: &str, expected: impl Into<String>, found: impl Into<String>, message: &str) {
        let (expected, found) = (expected.into(), found.into());
        let passed = expected == found;
        self.enter(name, passed, Some(expected), Some(found), (!passed).then(|| message.to_owned()));
    }

    fn fail(&mut self, name: &str, message: String) {
        self.enter(name, false, None, None, Some(message));
    }

    fn enter(
        &mut self,
        name: &str,
        passed: bool,
        expected: Option<String>,
        found: Option<String>,
        message: Option<String>,
    ) {
        let component = self.component.name.to_string();
        let check = Check { component, name: name.to_owned(), passed, expected, found, message, duration_ms: 0 };
        self.ctx.check(check.clone());
        self.checks.push(check);
    }

    fn sound(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// Whether a query's first column is not false, zero or null.
fn truth(connection: &Connection, sql: &str) -> rusqlite::Result<bool> {
    connection.query_row(sql, [], |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Null => false,
            ValueRef::Integer(number) => number != 0,
            ValueRef::Real(number) => number != 0.0,
            ValueRef::Text(text) => !matches!(text, b"" | b"0" | b"f" | b"false"),
            ValueRef::Blob(bytes) => !bytes.is_empty(),
        })
    })
}

/// Asks a database that is in use; for health checks.
///
/// # Errors
/// It cannot be opened, or the query fails.
pub(crate) fn is_true(path: &Path, sql: &str) -> Result<bool, Failure> {
    truth(&super::open(path)?, sql).map_err(|error| super::explain(path, &error))
}
