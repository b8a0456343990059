//! The tables of a database in a checkpoint, and the rows of one.

use serde::{Deserialize, Serialize};

use crate::{diff::Cell, id::CheckpointId, name::Name};

/// `GET /v1/checkpoints/{id}/tables`: the tables of a database component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TablesView {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The component.
    pub component: Name,
    /// By schema and name.
    pub tables: Vec<TableEntry>,
    /// Tables beyond the most that are listed.
    pub more: u64,
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableEntry {
    /// The schema that it lies in; SQLite: `main`.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows when it was captured; none where nobody counted them.
    pub rows: Option<u64>,
    /// Names of its columns; empty where they are not known.
    pub columns: Vec<String>,
    /// Why its rows cannot be looked at; none where they can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<String>,
}

/// `GET /v1/checkpoints/{id}/table`: some rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TablePage {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The component.
    pub component: Name,
    /// The table's schema.
    pub schema: String,
    /// The table's name.
    pub name: String,
    /// Its columns; each row's cells follow them.
    pub columns: Vec<String>,
    /// Those of the primary key.
    pub key: Vec<String>,
    /// Those that look secret.
    pub masked: Vec<String>,
    /// In the order in which they stand in the dump.
    pub rows: Vec<Vec<Cell>>,
    /// Rows before these.
    pub from: u64,
    /// Where the next ones begin, if there are some that can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Rows of the table when it was captured; none where nobody counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// So many rows of a table, its first ones, can be looked at.
    pub reach: u64,
    /// Why there are none so far into the table, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}
