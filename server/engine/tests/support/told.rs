//! A database's changes, as lines to compare with.

use holdfast_model::diff::{Change, DatabaseChanges, RowChanges};

/// Each object that changed, one line: `~ column-by-column table public.orders: …`.
pub fn schema(changes: &DatabaseChanges) -> Vec<String> {
    changes
        .schema
        .iter()
        .map(|object| {
            let dot = if object.schema.is_empty() { "" } else { "." };
            let details =
                if object.details.is_empty() { String::new() } else { format!(": {}", object.details.join("; ")) };
            format!("{} {} {}{dot}{}{details}", object.change.sign(), object.kind, object.schema, object.name)
        })
        .collect()
}

/// Each table that changed, one line: `public.orders 3→4 +1 -0 ~2 by id`.
pub fn tables(changes: &DatabaseChanges) -> Vec<String> {
    let count = |rows: Option<u64>| rows.map_or_else(|| "none".to_owned(), |rows| rows.to_string());
    changes
        .tables
        .iter()
        .map(|table| {
            let rows = match &table.rows {
                RowChanges::NotRead => "not read".to_owned(),
                RowChanges::Counted { added, removed, changed, key } => {
                    let by = if key.is_empty() { "whole".to_owned() } else { key.join("+") };
                    format!("+{added} -{removed} ~{changed} by {by}")
                }
                RowChanges::Unreadable { why } => format!("unreadable: {why}"),
            };
            format!("{}.{} {}→{} {rows}", table.schema, table.name, count(table.before), count(table.after))
        })
        .collect()
}

/// What the other direction must say.
pub fn mirrored(changes: &DatabaseChanges) -> DatabaseChanges {
    let mut turned = changes.clone();
    for object in &mut turned.schema {
        std::mem::swap(&mut object.before, &mut object.after);
        object.change = other(object.change);
    }
    for table in &mut turned.tables {
        std::mem::swap(&mut table.before, &mut table.after);
        if let RowChanges::Counted { added, removed, .. } = &mut table.rows {
            std::mem::swap(added, removed);
        }
    }
    for sequence in &mut turned.sequences {
        std::mem::swap(&mut sequence.before, &mut sequence.after);
    }
    turned
}

const fn other(change: Change) -> Change {
    match change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    }
}
