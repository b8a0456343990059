//! `FAULTS.md`: what the long form tried, and what it found. Only the long form writes it, when its last part is done.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use super::life::is_full;

/// The parts, in the order in which they are told.
const PARTS: [(&str, &str); 1] = [("lost power", "Lost power")];

/// What one part of the suite did. It only gets here if nothing was lost, changed or wrong.
pub struct Row {
    pub part: &'static str,
    pub what: String,
    pub count: usize,
}

static ROWS: Mutex<BTreeMap<&'static str, Vec<Row>>> = Mutex::new(BTreeMap::new());

pub fn report(row: Row) {
    println!("{}: {} × {}", row.part, row.count, row.what);
    let mut rows = ROWS.lock().unwrap();
    rows.entry(row.part).or_default().push(row);
}
