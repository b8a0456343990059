//! The schemas of two PostgreSQL dumps, object by object, from their tables of contents.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_model::{
    diff::{Change, ObjectChange},
    manifest::Facts,
};

use super::{Input, dump::Dump, mask, sql};
use crate::postgres::archive::Entry;

mod columns;
mod details;

/// Entries that are no definitions: data, and what a restore sets for itself.
const NOT_DEFINED: [&str; 13] = [
    "TABLE DATA",
    "SEQUENCE SET",
    "BLOB",
    "BLOBS",
    "BLOB METADATA",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
    "ENCODING",
    "STDSTRINGS",
    "SEARCHPATH",
    "EXTENSION",
    "DATABASE",
    "DATABASE PROPERTIES",
];
/// Entries that are named `table object`.
const OF_A_TABLE: [&str; 7] =
    ["CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY", "DEFAULT"];

/// Further entries whose owner is their table's.
const OWNED_WITH_IT: [&str; 7] =
    ["INDEX", "INDEX ATTACH", "TABLE ATTACH", "ROW SECURITY", "SEQUENCE OWNED BY", "COMMENT", "ACL"];

/// Schema, name, kind, and which one of several.
type Key = (String, String, String, usize);

/// One object.
struct Object {
    /// The entry's tag.
    tag: String,
    sql: String,
    owner: String,
}

/// What differs in some entries of two archives.
pub(crate) fn of_entries(first: &[Entry], second: &[Entry]) -> Vec<ObjectChange> {
    between(&objects(first), &objects(second))
}

pub(crate) use columns::{columns_of, type_of};

/// What differs, by schema, name and kind.
pub(super) fn compare(first: (&Input, &Dump), second: (&Input, &Dump)) -> Vec<ObjectChange> {
    let mut before = objects(&first.1.contents.entries);
    let mut after = objects(&second.1.contents.entries);
    before.extend(extensions(first));
    after.extend(extensions(second));
    let mut changes: Vec<ObjectChange> = of_the_database(first, second).into_iter().collect();
    changes.extend(between(&before, &after));
    changes
}

fn between(before: &BTreeMap<Key, Object>, after: &BTreeMap<Key, Object>) -> Vec<ObjectChange> {
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter_map(|key| change(key, before.get(key), after.get(key))).collect()
}

fn change((schema, name, kind, _): &Key, before: Option<&Object>, after: Option<&Object>) -> Option<ObjectChange> {
    let change = Change::between(before.is_some(), after.is_some())?;
    let mut details = Vec::new();
    if let (Some(before), Some(after)) = (before, after) {
        if before.sql == after.sql && before.owner == after.owner {
            return None;
        }
        if before.owner != after.owner {
            details.push(format!("owner: {} → {}", before.owner, after.owner));
        }
        if before.sql != after.sql {
            details.extend(details::of(&after.tag, &shown(before), &shown(after)));
        }
    }
    Some(ObjectChange {
        kind: kind.clone(),
        schema: schema.clone(),
        name: name.clone(),
        change,
        details,
        before: before.map(shown),
        after: after.map(shown),
    })
}

/// The definition for people: what another server's password may be is masked.
fn shown(object: &Object) -> String {
    if !matches!(object.tag.as_str(), "USER MAPPING" | "SERVER" | "SUBSCRIPTION" | "FOREIGN TABLE") {
        return object.sql.clone();
    }
    let Some(tokens) = sql::tokens(&object.sql) else { return mask::HIDDEN.to_owned() };
    let mut out = String::new();
    let mut end = 0;
    for pair in tokens.windows(2) {
        let name = pair[0].name().unwrap_or_default();
        if pair[1].kind == sql::Kind::Text && (mask::is_secret(&name) || pair[0].is("connection")) {
            out.push_str(object.sql.get(end..pair[1].from).unwrap_or_default());
            out.push_str(&format!("'{}'", mask::HIDDEN));
            end = pair[1].end();
        }
    }
    out.push_str(object.sql.get(end..).unwrap_or_default());
    out
}

fn objects(entries: &[Entry]) -> BTreeMap<Key, Object> {
    const TABLES: [&str; 5] = ["TABLE", "VIEW", "MATERIALIZED VIEW", "FOREIGN TABLE", "DOMAIN"];
    let tables: BTreeSet<(&str, &str)> = entries
        .iter()
        .filter(|entry| TABLES.contains(&entry.tag.as_str()))
        .map(|entry| (entry.schema.as_str(), entry.name.as_str()))
        .collect();
    let mut found: BTreeMap<Key, Object> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !NOT_DEFINED.contains(&entry.tag.as_str())) {
        let (kind, name) = kind_and_name(entry, &tables);
        let tag = entry.tag.as_str();
        let owner = if OF_A_TABLE.contains(&tag) || OWNED_WITH_IT.contains(&tag) { "" } else { &entry.owner };
        let object = Object { tag: tag.to_owned(), sql: entry.sql.trim().to_owned(), owner: owner.to_owned() };
        let mut key = (entry.schema.clone(), name, kind, 0);
        while found.contains_key(&key) {
            key.3 += 1;
        }
        found.insert(key, object);
    }
    found
}

fn kind_and_name(entry: &Entry, tables: &BTreeSet<(&str, &str)>) -> (String, String) {
    let name = entry.name.clone();
    let kind = match entry.tag.as_str() {
        "FK CONSTRAINT" => "foreign key",
        "CHECK CONSTRAINT" => "constraint",
        "TABLE ATTACH" => "partition",
        "INDEX ATTACH" => "index partition",
        "SEQUENCE OWNED BY" => "sequence owner",
        "PROCEDURAL LANGUAGE" => "language",
        "COMMENT" => return ("comment".to_owned(), lowered(&name)),
        "SECURITY LABEL" => return ("security label".to_owned(), lowered(&name)),
        "ACL" => return ("grants".to_owned(), lowered(&name)),
        "DEFAULT ACL" => {
            return ("default grants".to_owned(), format!("{} by {}", lowered(&name), entry.owner));
        }
        "SEQUENCE" if details::is_identity(&entry.sql) => "identity",
        other => &other.to_lowercase(),
    };
    if !OF_A_TABLE.contains(&entry.tag.as_str()) {
        return (kind.to_owned(), name);
    }
    // `table object`: either may hold blanks, so the longest table of that name is the one.
    let of = tables.iter().filter(|(schema, _)| *schema == entry.schema).filter_map(|(_, table)| {
        let object = name.strip_prefix(table)?.strip_prefix(' ')?;
        Some((table.len(), format!("{table}.{object}")))
    });
    (kind.to_owned(), of.max().map_or_else(|| name.clone(), |(_, name)| name))
}

/// `TABLE orders` as `table orders`.
fn lowered(name: &str) -> String {
    let mut words: Vec<String> = name.split(' ').map(str::to_owned).collect();
    let names = words.len().saturating_sub(1);
    for word in words.iter_mut().take(names).take_while(|word| word.bytes().all(|byte| byte.is_ascii_uppercase())) {
        *word = word.to_lowercase();
    }
    words.join(" ")
}

/// Extensions with their versions, which a dump does not tell.
fn extensions((input, dump): (&Input, &Dump)) -> Vec<(Key, Object)> {
    let none = BTreeMap::new();
    let versions = match &input.component.facts {
        Facts::Postgres { extensions, .. } => extensions,
        _ => &none,
    };
    let made: BTreeMap<&str, &Entry> = dump
        .contents
        .entries
        .iter()
        .filter(|entry| entry.tag == "EXTENSION")
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let names: BTreeSet<&str> = made.keys().copied().chain(versions.keys().map(String::as_str)).collect();
    let object = |name: &str| {
        let sql = made.get(name).map_or_else(|| format!("CREATE EXTENSION {name}"), |entry| entry.sql.clone());
        let sql = sql.trim().trim_end_matches(';').to_owned();
        let sql = match versions.get(name) {
            Some(version) => format!("{sql} VERSION '{version}';"),
            None => format!("{sql};"),
        };
        let key = (String::new(), name.to_owned(), "extension".to_owned(), 0);
        (key, Object { tag: "EXTENSION".to_owned(), sql, owner: String::new() })
    };
    names.into_iter().map(object).collect()
}

/// Locale, owner, settings and grants of the database itself.
fn of_the_database(first: (&Input, &Dump), second: (&Input, &Dump)) -> Option<ObjectChange> {
    // Its size is no setting.
    let settings = |dump: &Dump| {
        let mut settings = dump.settings.clone();
        if let Some(fields) = settings.as_object_mut() {
            fields.remove("size");
        }
        settings
    };
    let (before, after) = (settings(first.1), settings(second.1));
    if before == after {
        return None;
    }
    let said = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "none".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let empty = serde_json::Map::new();
    let (fields, others) = (before.as_object().unwrap_or(&empty), after.as_object().unwrap_or(&empty));
    let names: BTreeSet<&String> = fields.keys().chain(others.keys()).collect();
    let differ = names.into_iter().filter(|name| fields.get(*name) != others.get(*name));
    let text = |value: &serde_json::Value| serde_json::to_string_pretty(value).ok();
    Some(ObjectChange {
        kind: "database".to_owned(),
        schema: String::new(),
        name: match &second.0.component.facts {
            Facts::Postgres { database, .. } => database.clone(),
            _ => String::new(),
        },
        change: Change::Changed,
        details: differ
            .map(|name| format!("{}: {} → {}", name.replace('_', " "), said(fields.get(name)), said(others.get(name))))
            .collect(),
        before: text(&before),
        after: text(&after),
    })
}
