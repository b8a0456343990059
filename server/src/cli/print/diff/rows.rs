//! The changed rows of one table: key, then each column that differs.

use holdfast_model::diff::{Cell, Change, RowChange, TableRows};

use super::super::text::{count, counted, plain};

/// Head and rows, without a newline at the end.
pub fn page(table: &TableRows) -> String {
    let key = if table.key.is_empty() { "whole rows".to_owned() } else { plain(&table.key.join(", ")).into_owned() };
    let mut lines = vec![format!(
        "{}.{}: {}, told apart by {key}",
        plain(&table.schema),
        plain(&table.name),
        counted(table.total, "changed row", "changed rows")
    )];
    if !table.masked.is_empty() {
        lines.push(format!("Masked: {}", plain(&table.masked.join(", "))));
    }
    lines.extend(table.rows.iter().map(|row| line(table, row)));
    let shown = u64::try_from(table.rows.len()).unwrap_or(u64::MAX);
    if shown < table.total {
        lines.push(format!("… and {} more", count(table.total - shown)));
    }
    lines.join("\n")
}

fn line(table: &TableRows, row: &RowChange) -> String {
    let cells = |side: &Option<Vec<Cell>>| side.clone().unwrap_or_default();
    let (before, after) = (cells(&row.before), cells(&row.after));
    let named = |at: usize, value: String| {
        format!("{}={value}", table.columns.get(at).map(|name| plain(name)).unwrap_or_default())
    };
    let whole = |cells: &[Cell]| {
        cells.iter().enumerate().map(|(at, cell)| named(at, shown(cell))).collect::<Vec<_>>().join(" ")
    };
    match row.change {
        Change::Added => format!("+ {}", whole(&after)),
        Change::Removed => format!("- {}", whole(&before)),
        Change::Changed => {
            let is_key = |at: &usize| table.columns.get(*at).is_some_and(|name| table.key.contains(name));
            let key = (0..after.len()).filter(is_key).map(|at| named(at, after.get(at).map(shown).unwrap_or_default()));
            let differing = row.differs.iter().map(|at| {
                let side = |cells: &[Cell]| cells.get(*at).map(shown).unwrap_or_default();
                named(*at, format!("{} -> {}", side(&before), side(&after)))
            });
            format!("~ {}", key.chain(differing).collect::<Vec<_>>().join(" "))
        }
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        None => "null".into(),
        Some(text) => format!("'{}'", plain(text)),
    }
}
