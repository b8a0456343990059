//! Which entries of an archive belong to a table, and how they differ from what it is now.

use std::collections::BTreeSet;

use holdfast_model::diff::Change;

use super::super::{
    PgError,
    archive::{self, Entry},
    install::PgInstall,
    target::{Target, identifier},
};
use crate::{context::Context, diff::database::schema};

/// Entries that hang on a table.
const OF_IT: [&str; 12] = [
    "PUBLICATION TABLE",
    "SEQUENCE",
    "DEFAULT",
    "CONSTRAINT",
    "FK CONSTRAINT",
    "CHECK CONSTRAINT",
    "INDEX",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "STATISTICS",
];
/// Of these, those that are named `table object`.
const NAMED_AFTER_IT: [&str; 7] =
    ["DEFAULT", "CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "TRIGGER", "RULE", "POLICY"];
/// Entries that read tables.
const VIEWS: [&str; 2] = ["VIEW", MATERIALIZED];
/// A view with rows of its own.
pub(super) const MATERIALIZED: &str = "MATERIALIZED VIEW";
/// Entries that hang on any of these.
const OF_THESE: [&str; 5] = ["COMMENT", "ACL", "SEQUENCE OWNED BY", "SEQUENCE SET", "SECURITY LABEL"];

/// What belongs to a table, in the archive's order, the table among it.
pub(super) fn belonging(entries: &[Entry], schema: &str, table: &str) -> Result<Vec<Entry>, PgError> {
    let is_it = |entry: &&Entry| entry.tag == "TABLE" && entry.schema == schema && entry.name == table;
    let it = entries.iter().find(is_it).ok_or_else(|| {
        PgError::Refused(format!("the checkpoint has no table {schema}.{table}; look at the list of its tables"))
    })?;
    let of_it = |entry: &&Entry| {
        entry.needs.contains(&it.id)
            && OF_IT.contains(&entry.tag.as_str())
            // Another table's foreign key, policy or rule may need this one too.
            && (!NAMED_AFTER_IT.contains(&entry.tag.as_str())
                || entry.schema == schema && entry.name.starts_with(&format!("{table} ")))
    };
    let mut ids: BTreeSet<i64> = entries.iter().filter(of_it).map(|entry| entry.id).collect();
    ids.insert(it.id);
    let these = entries
        .iter()
        .filter(|entry| OF_THESE.contains(&entry.tag.as_str()) && entry.needs.iter().any(|need| ids.contains(need)));
    ids.extend(these.map(|entry| entry.id).collect::<Vec<_>>());
    Ok(entries.iter().filter(|entry| ids.contains(&entry.id)).cloned().collect())
}

/// A view that reads the table, or reads such a view, with its grants and comments.
pub(super) struct View {
    /// The view itself.
    pub(super) entry: Entry,
    /// What hangs on it.
    pub(super) more: Vec<Entry>,
}

/// Views over the table, in an order in which they can be made.
pub(super) fn views(all: &[Entry], ours: &[Entry]) -> Vec<View> {
    let mut ids: BTreeSet<i64> = ours.iter().filter(|entry| entry.tag == "TABLE").map(|entry| entry.id).collect();
    let mut views = Vec::new();
    for entry in all.iter().filter(|entry| VIEWS.contains(&entry.tag.as_str())) {
        if entry.needs.iter().any(|need| ids.contains(need)) {
            ids.insert(entry.id);
            let hangs = |other: &&Entry| OF_THESE.contains(&other.tag.as_str()) && other.needs.contains(&entry.id);
            views.push(View { entry: entry.clone(), more: all.iter().filter(hangs).cloned().collect() });
        }
    }
    views
}

/// A partitioned parent has no rows of its own, and a child's columns are not its own.
pub(super) fn refuse_relatives(all: &[Entry], ours: &[Entry]) -> Result<(), PgError> {
    let it = ours.iter().find(|entry| entry.tag == "TABLE");
    let sql = it.map_or("", |entry| entry.sql.as_str());
    if sql.contains("\nPARTITION BY ") {
        return Err(PgError::Refused("it is a partitioned table: restore its partitions one by one".into()));
    }
    if sql.contains("\nINHERITS (") {
        return Err(PgError::Refused("it inherits from another table: restore the whole database instead".into()));
    }
    let data = |entry: &&Entry| {
        entry.tag == "TABLE DATA" && it.is_some_and(|it| it.schema == entry.schema && it.name == entry.name)
    };
    if all.iter().any(|entry| data(&entry)) {
        return Ok(());
    }
    Err(PgError::Refused("its rows are not in the dump".into()))
}

/// What belongs to the table that is there now, by the server's own `pg_dump`.
pub(super) async fn now(
    target: &Target,
    install: &PgInstall,
    schema: &str,
    table: &str,
    ctx: &Context,
) -> Result<Vec<Entry>, PgError> {
    let pattern = format!("{}.{}", identifier(schema), identifier(table));
    let program = target.equip(install.program("pg_dump")).args(["-Fc", "-Z0", "--schema-only", "--no-password", "-t"]);
    let output = program.arg(pattern).output(&ctx.cancel).await?;
    if !output.ended.ok {
        return Err(PgError::tool("pg_dump", &output.ended.how, &output.ended.stderr, &target.place()));
    }
    let contents = archive::open(output.stdout.as_slice())?;
    belonging(&contents.entries, schema, table)
}

/// What differs, as phrases, and the entries that are not there now as they were. In which publications it is belongs to
/// them, and what there is of one table alone does not say it.
pub(super) fn difference(now: &[Entry], then: &[Entry]) -> (Vec<String>, Vec<Entry>) {
    let then: Vec<Entry> = then.iter().filter(|entry| entry.tag != "PUBLICATION TABLE").cloned().collect();
    let changes = schema::of_entries(now, &then);
    let phrase = |change: &holdfast_model::diff::ObjectChange| {
        let details =
            if change.details.is_empty() { String::new() } else { format!(": {}", change.details.join("; ")) };
        format!("{} {} {}{details}", change.change.sign(), change.kind, change.name)
    };
    let phrases = changes.iter().map(phrase).collect();
    let gone: BTreeSet<&str> = changes
        .iter()
        .filter(|change| change.change == Change::Added)
        .filter_map(|change| change.after.as_deref())
        .collect();
    let missing = then.iter().filter(|entry| gone.contains(entry.sql.trim())).cloned().collect();
    (phrases, missing)
}

/// Whether the table was a partition of another.
pub(super) fn was_partition(all: &[Entry], schema: &str, table: &str) -> bool {
    all.iter().any(|entry| entry.tag == "TABLE ATTACH" && entry.schema == schema && entry.name == table)
}
