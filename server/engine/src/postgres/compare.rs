//! Comparing a restored database with a ledger.

use std::collections::BTreeMap;

use holdfast_model::{
    drill::Check,
    ledger::{Ledger, SequenceFacts, SequenceValue, TableFacts},
};

mod definition;
pub(super) use definition::same;

/// What was found in a restored database.
pub(super) struct Found {
    pub(super) tables: BTreeMap<String, TableFacts>,
    pub(super) sequences: BTreeMap<String, SequenceValue>,
    pub(super) large_objects: Option<TableFacts>,
    pub(super) objects: BTreeMap<String, String>,
}

/// Compares. `left_out` says of a ledger's key that it is known not to be there; definitions are compared only
/// where `definitions` says so.
pub(super) fn compare(
    component: &str,
    sealed: &Ledger,
    found: &Found,
    left_out: &dyn Fn(&str) -> bool,
    definitions: bool,
    hashes: bool,
) -> Vec<Check> {
    let made =
        |name: String, passed: bool, expected: Option<String>, found: Option<String>, message: Option<String>| Check {
            component: component.into(),
            name,
            passed,
            expected,
            found,
            message: message.filter(|_| !passed),
            duration_ms: 0,
        };
    let mut checks = Vec::new();
    for (table, expected) in sealed.tables.iter().filter(|(table, _)| !left_out(table)) {
        let there = found.tables.get(table);
        let passed = there.is_some_and(|there| there.rows == expected.rows && (!hashes || there.hash == expected.hash));
        let message = match there {
            None => format!("table {table} is not in the copy"),
            Some(there) if there.rows != expected.rows => {
                format!("table {table} had {} rows and has {} in the copy", expected.rows, there.rows)
            }
            Some(_) => format!("table {table} has as many rows in the copy, but not the same content"),
        };
        checks.push(made(format!("rows {table}"), passed, Some(shown(expected)), there.map(shown), Some(message)));
    }
    for table in found.tables.keys().filter(|table| !sealed.tables.contains_key(*table)) {
        let message = format!("table {table} is in the copy and was not in the source");
        checks.push(made(format!("rows {table}"), false, None, found.tables.get(table).map(shown), Some(message)));
    }
    for (sequence, expected) in sealed.sequences.iter().filter(|(sequence, _)| !left_out(sequence)) {
        let there = found.sequences.get(sequence);
        let cycles = sealed.objects.get(&format!("sequence {sequence}")).is_some_and(|text| text.contains(" cycle"));
        let passed = there.is_some_and(|there| within(expected, *there, cycles));
        let message = format!("sequence {sequence} does not stand where it stood");
        let wanted = if expected.before == expected.after {
            position(expected.after)
        } else {
            format!("{} to {}", position(expected.before), position(expected.after))
        };
        checks.push(made(
            format!("sequence {sequence}"),
            passed,
            Some(wanted),
            there.map(|there| position(*there)),
            Some(message),
        ));
    }
    if sealed.large_objects.is_some() || found.large_objects.is_some() {
        let (expected, there) = (sealed.large_objects.as_ref(), found.large_objects.as_ref());
        let passed = match (expected, there) {
            (Some(expected), Some(there)) => expected.rows == there.rows && (!hashes || expected.hash == there.hash),
            _ => false,
        };
        let message = "the large objects are not the same in the copy".to_owned();
        checks.push(made("large objects".into(), passed, expected.map(shown), there.map(shown), Some(message)));
    }
    if definitions {
        checks.extend(objects(&made, sealed, found, left_out));
    }
    checks
}

type Made<'a> = dyn Fn(String, bool, Option<String>, Option<String>, Option<String>) -> Check + 'a;

/// One check for each sort of object where all is equal, and one for each object that is not.
fn objects(made: &Made<'_>, sealed: &Ledger, found: &Found, left_out: &dyn Fn(&str) -> bool) -> Vec<Check> {
    let mut sorts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (key, expected) in sealed.objects.iter().filter(|(key, _)| !left_out(key)) {
        let counted = sorts.entry(sort(key)).or_default();
        counted.0 += 1;
        match found.objects.get(key) {
            Some(there) if same(expected, there) => counted.1 += 1,
            Some(there) => {
                let message = format!("{key} is defined otherwise in the copy");
                wrong.push(made(key.clone(), false, Some(expected.clone()), Some(there.clone()), Some(message)));
            }
            None => {
                let message = format!("{key} is not in the copy");
                wrong.push(made(key.clone(), false, Some(expected.clone()), None, Some(message)));
            }
        }
    }
    for (key, there) in found.objects.iter().filter(|(key, _)| !sealed.objects.contains_key(*key) && !left_out(key)) {
        let message = format!("{key} is in the copy and was not in the source");
        wrong.push(made(key.clone(), false, None, Some(there.clone()), Some(message)));
    }
    let summed = sorts.into_iter().filter(|(_, (all, equal))| all == equal).map(|(sort, (all, equal))| {
        made(format!("all of: {sort}"), true, Some(all.to_string()), Some(equal.to_string()), None)
    });
    let mut checks: Vec<Check> = summed.collect();
    checks.extend(wrong);
    checks
}

/// The words of a key before the object's own name: `table constraint`, `owner of view`, …
fn sort(key: &str) -> String {
    const SORTS: [&str; 34] = [
        "table column",
        "table constraint",
        "table",
        "index",
        "sequence",
        "view",
        "materialized view",
        "foreign table",
        "composite type",
        "domain constraint",
        "trigger",
        "rule",
        "policy",
        "function",
        "procedure",
        "aggregate",
        "type",
        "schema",
        "statistics object",
        "event trigger",
        "publication",
        "default acl",
        "cast",
        "operator class",
        "operator family",
        "operator",
        "collation",
        "conversion",
        "language",
        "text search configuration",
        "text search dictionary",
        "foreign-data wrapper",
        "server",
        "transform",
    ];
    let (before, rest) = ["owner of ", "grants on ", "comment on "]
        .iter()
        .find_map(|word| key.strip_prefix(word).map(|rest| (*word, rest)))
        .unwrap_or(("", key));
    let known = SORTS.iter().find(|sort| rest.strip_prefix(**sort).is_some_and(|tail| tail.starts_with(' ')));
    format!("{before}{}", known.copied().unwrap_or_else(|| rest.split(' ').next().unwrap_or(rest)))
}

/// A sequence that nobody used during the dump stands exactly there; else somewhere between, and one that cycles may
/// have gone round.
fn within(expected: &SequenceFacts, there: SequenceValue, cycles: bool) -> bool {
    if expected.before == expected.after {
        return there == expected.after;
    }
    let (low, high) = (expected.before.last.min(expected.after.last), expected.before.last.max(expected.after.last));
    cycles || (low..=high).contains(&there.last)
}

fn shown(facts: &TableFacts) -> String {
    format!("{} rows, {}", facts.rows, facts.hash)
}

fn position(value: SequenceValue) -> String {
    if value.called { value.last.to_string() } else { format!("{} (not used yet)", value.last) }
}
