//! Schema and rows of a database.

use serde::{Deserialize, Serialize};

use super::Change;
use crate::state::Kind;

/// What is not the same in a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DatabaseChanges {
    /// The engine: `postgres`, `sqlite`.
    pub engine: String,
    /// Everything that has a definition, by kind and name.
    pub schema: Vec<ObjectChange>,
    /// Tables whose rows differ, and those that only one side has.
    pub tables: Vec<TableChange>,
    /// Tables whose rows are the same.
    pub unchanged_tables: u64,
    /// Positions of sequences.
    pub sequences: Vec<SequenceChange>,
}

/// One object of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ObjectChange {
    /// `table`, `view`, `index`, `constraint`, `function`, `sequence`, `type`, `trigger`, `policy`, …
    pub kind: String,
    /// The schema that it lies in; empty where it lies in none.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// What differs, one phrase each: `column price: numeric(10,2) → numeric(12,2)`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// Its definition in the first one, as text.
    pub before: Option<String>,
    /// Its definition in the second one.
    pub after: Option<String>,
}

/// One table's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableChange {
    /// The schema that it lies in; SQLite: `main`.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows in the first one; none if it is not there.
    pub before: Option<u64>,
    /// Rows in the second one; none if it is not there.
    pub after: Option<u64>,
    /// Which rows differ.
    pub rows: RowChanges,
}

/// Which rows of a table differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum RowChanges {
    /// The rows were not read: nobody asked for it, or only one side has the table.
    NotRead,
    /// They were compared.
    Counted {
        /// Rows whose key only the second has.
        added: u64,
        /// Rows whose key only the first has.
        removed: u64,
        /// Rows of one key with other values.
        changed: u64,
        /// The columns of the primary key; empty: whole rows were compared, and none of them can be `changed`.
        key: Vec<String>,
    },
    /// They could not be compared.
    Unreadable {
        /// A sentence.
        why: String,
    },
}

/// One sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SequenceChange {
    /// With its schema: `public.orders_id_seq`.
    pub name: String,
    /// Its last value in the first one; none if it is not there.
    pub before: Option<i64>,
    /// Its last value in the second one; none if it is not there.
    pub after: Option<i64>,
}

/// A value as text, as the engine writes it; none is null. Cut at 2,000 characters with `…`; `••••` where it is masked.
pub type Cell = Option<String>;

/// `GET …/diff/{second}/table`: one table opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableRows {
    /// The kind of its component.
    pub kind: Kind,
    /// The schema that it lies in.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The columns that both sides have, in the second one's order; each row's cells follow it.
    pub columns: Vec<String>,
    /// Those of the primary key; empty where whole rows were compared.
    pub key: Vec<String>,
    /// Those that look secret.
    pub masked: Vec<String>,
    /// By key.
    pub rows: Vec<RowChange>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
    /// Rows that differ.
    pub total: u64,
    /// The most that are shown of them.
    pub kept: u64,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RowChange {
    /// What became of it.
    pub change: Change,
    /// Its cells in the first one.
    pub before: Option<Vec<Cell>>,
    /// Its cells in the second one.
    pub after: Option<Vec<Cell>>,
    /// Which cells differ where it is on both sides: places in `columns`. A masked cell that differs is among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<usize>,
}

impl DatabaseChanges {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.schema.is_empty() && self.tables.is_empty() && self.sequences.is_empty()
    }
}
