//! What the page of a table asks for.

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsAsked {
    /// The component's name.
    pub component: String,
    /// The table's schema.
    pub schema: String,
    /// Its name.
    pub table: String,
    /// Rows before the first that is asked for.
    pub from: u64,
}
