//! Rows that differ, as lines to compare with.

use holdfast_model::diff::{Change, TableRows};

/// Each row that differs, one line: `~ 1|a → 1|b`.
pub fn rows(table: &TableRows) -> Vec<String> {
    let text = |row: &Option<Vec<Option<String>>>| {
        let cells = row.iter().flatten().map(|cell| cell.clone().unwrap_or_else(|| "NULL".to_owned()));
        cells.collect::<Vec<_>>().join("|")
    };
    table
        .rows
        .iter()
        .map(|row| match row.change {
            Change::Added => format!("+ {}", text(&row.after)),
            Change::Removed => format!("- {}", text(&row.before)),
            Change::Changed => format!("~ {} → {}", text(&row.before), text(&row.after)),
        })
        .collect()
}
