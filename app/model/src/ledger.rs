//! What a database held at the moment of its capture: the facts that a drill must find again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The ledger of one database component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Ledger {
    /// Per `schema.table` (SQLite: `main.table`): rows and content hash.
    pub tables: BTreeMap<String, TableFacts>,
    /// Per `schema.sequence`; they do not obey snapshots, so they are read before and after the dump.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, SequenceFacts>,
    /// Large objects, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large_objects: Option<TableFacts>,
    /// Everything that is compared by its definition, `index public.orders_pkey` to the text the engine gives for it:
    /// constraints, indexes, triggers, functions, views, materialized views, foreign tables, policies.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, String>,
}

/// Row count and content hash of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TableFacts {
    /// Rows of this table alone, children not counted.
    pub rows: u64,
    /// An order-free hash of all rows, as hexadecimal text; comparable within one major version of the engine.
    pub hash: String,
}

/// A sequence's position before and after the dump; equal unless somebody used it meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SequenceFacts {
    /// `last_value` and `is_called` before the dump.
    pub before: SequenceValue,
    /// The same after it.
    pub after: SequenceValue,
}

/// A sequence's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SequenceValue {
    /// `last_value`.
    pub last: i64,
    /// `is_called`.
    pub called: bool,
}

impl Ledger {
    /// Rows over all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.values().map(|t| t.rows).sum()
    }
}
