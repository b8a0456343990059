//! One table put back out of a checkpoint.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a table is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableMode {
    /// The whole table as it was: rows that came since go, and its structure comes back too.
    Replace,
    /// Rows that are missing come back; all others stay as they are.
    Insert,
    /// Rows that are missing come back, and those of the same key get the values that they had; newer ones stay.
    Overwrite,
}

/// What stands between a table as it was and as it is, before anything of it is touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableReport {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Whether there is such a table now.
    pub exists: bool,
    /// The primary key that both have; empty if there is none.
    pub key: Vec<String>,
    /// Rows that it had.
    pub then: u64,
    /// Rows that it has.
    pub now: u64,
    /// Rows whose key was there only then; without a key, whole rows.
    pub only_then: u64,
    /// Rows whose key is there only now.
    pub only_now: u64,
    /// Rows of one key with other values in the columns that both have.
    pub changed: u64,
    /// What of the structure is not as it was: `+` is missing now, `-` is new.
    pub structure: Vec<String>,
    /// Foreign keys that would break.
    pub broken: Vec<BrokenReference>,
    /// Modes that cannot be carried out, and why.
    pub refused: BTreeMap<TableMode, Vec<String>>,
    /// What a person should read.
    pub warnings: Vec<String>,
}

/// Rows that would refer to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenReference {
    /// The foreign key's name.
    pub constraint: String,
    /// The table whose rows would refer to nothing.
    pub from: String,
    /// The table that they refer to.
    pub to: String,
    /// How many rows.
    pub rows: u64,
    /// Whether the foreign key is the restored table's own.
    pub out: bool,
}
