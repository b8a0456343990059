//! Two databases by what their manifests say alone: definitions, row counts, hashes and sequences. Nothing is read.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    diff::{Change, DatabaseChanges, ObjectChange, RowChanges, SequenceChange, TableChange},
    ledger::Ledger,
    manifest::ManifestComponent,
};

/// What differs; a side that is not there has nothing.
pub(super) fn compare(first: Option<&ManifestComponent>, second: Option<&ManifestComponent>) -> DatabaseChanges {
    let empty = Ledger::default();
    let of = |side: Option<&'_ ManifestComponent>| side.and_then(|part| part.ledger.clone());
    let (before, after) = (of(first), of(second));
    let (before, after) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
    let engine = second.or(first).map(|part| part.kind.to_string()).unwrap_or_default();
    let mut changes = DatabaseChanges { engine, ..DatabaseChanges::default() };
    for name in names(&before.objects, &after.objects) {
        let (before, after) = (before.objects.get(name), after.objects.get(name));
        if let Some(change) = Change::between(before.is_some(), after.is_some()).filter(|_| before != after) {
            let (kind, object) = kind_of(name);
            let (schema, object) = object.split_once('.').unwrap_or(("", object));
            changes.schema.push(ObjectChange {
                kind: kind.to_owned(),
                schema: schema.to_owned(),
                name: object.to_owned(),
                change,
                details: Vec::new(),
                before: before.cloned(),
                after: after.cloned(),
            });
        }
    }
    for name in names(&before.tables, &after.tables) {
        let (before, after) = (before.tables.get(name), after.tables.get(name));
        if before == after {
            changes.unchanged_tables += 1;
            continue;
        }
        let (schema, table) = name.split_once('.').unwrap_or(("", name));
        changes.tables.push(TableChange {
            schema: schema.to_owned(),
            name: table.to_owned(),
            before: before.map(|table| table.rows),
            after: after.map(|table| table.rows),
            rows: RowChanges::NotRead,
        });
    }
    for name in names(&before.sequences, &after.sequences) {
        let last = |ledger: &Ledger| ledger.sequences.get(name).map(|facts| facts.after.last);
        let (before, after) = (last(before), last(after));
        if before != after {
            changes.sequences.push(SequenceChange { name: name.to_owned(), before, after });
        }
    }
    changes
}

fn names<'a, T>(first: &'a BTreeMap<String, T>, second: &'a BTreeMap<String, T>) -> BTreeSet<&'a str> {
    first.keys().chain(second.keys()).map(String::as_str).collect()
}

/// `materialized view public.sales` to its kind and the rest.
fn kind_of(key: &str) -> (&str, &str) {
    const OF_TWO_WORDS: [&str; 5] =
        ["materialized view", "foreign table", "table constraint", "event trigger", "default value"];
    let two = OF_TWO_WORDS.iter().find_map(|kind| Some((*kind, key.strip_prefix(kind)?.strip_prefix(' ')?)));
    two.or_else(|| key.split_once(' ')).unwrap_or(("", key))
}
