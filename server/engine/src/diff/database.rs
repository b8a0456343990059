//! Schema and rows of a database, from the sealed dumps alone.
//!
//! | room | what it does |
//! |---|---|
//! | `postgres`, `dump` | two PostgreSQL dumps: which tables are read at all, and where their rows are |
//! | `schema`, `sql` | definitions, object by object and column by column |
//! | `copy_text`, `runs`, `blobs` | rows out of an archive; what equal blobs spare |
//! | `rows`, `window` | both sides' rows paired in bounded memory |
//! | `opened`, `mask` | one table's rows for people |
//! | `sqlite` | the same for SQLite's images |
//!
//! A table whose ledgers agree is not read. Of the others only what is not the same blobs on both sides is read, but for
//! the edges. What cannot be compared is told with its reason; nothing that could not be compared counts as equal.

use std::path::PathBuf;

use holdfast_model::{
    diff::{DatabaseChanges, TableRows},
    manifest::ManifestComponent,
    state::Kind,
};
use holdfast_vault::{Cancel, TreeId, Vault};

use super::{DiffError, DiffWork, End};
use crate::{
    context::Context,
    failure::{Failure, blocking},
};

mod blobs;
pub(crate) mod copy_text;
pub(crate) mod dump;
pub(crate) mod mask;
mod opened;
mod postgres;
mod rows;
mod runs;
pub(crate) mod schema;
pub(crate) mod sql;
pub(crate) mod sqlite;
pub(crate) mod window;

/// One side: a component, and the checkpoint that it lies in.
pub(crate) struct Input {
    pub(crate) vault: Vault,
    pub(crate) root: TreeId,
    pub(crate) component: ManifestComponent,
}

/// How it is compared.
struct Terms {
    rows: bool,
    /// Bytes for the rows that wait.
    memory: u64,
    scratch: PathBuf,
    cancel: Cancel,
}

impl Input {
    fn new((end, component): &(&End, &ManifestComponent)) -> Self {
        Self { vault: end.vault.clone(), root: end.root, component: (*component).clone() }
    }
}

impl Terms {
    fn new(work: &DiffWork, ctx: &Context) -> Self {
        Self { rows: work.rows, memory: work.limits.memory, scratch: work.scratch.clone(), cancel: ctx.cancel.clone() }
    }
}

/// What differs in a database that both checkpoints have.
///
/// # Errors
/// A dump cannot be read, or [`DiffError::Cancelled`].
pub(super) async fn compare(
    first: &(&End, &ManifestComponent),
    second: &(&End, &ManifestComponent),
    work: &DiffWork,
    ctx: &Context,
) -> Result<DatabaseChanges, DiffError> {
    let (first, second, terms) = (Input::new(first), Input::new(second), Terms::new(work, ctx));
    let compare = move || match second.component.kind {
        Kind::Sqlite => sqlite::compare(&first, &second, &terms),
        _ => postgres::Both::open(&first, &second)?.compare(&terms),
    };
    Ok(blocking(compare).await?)
}

/// One table opened: at most `keep` rows that differ, by key. Where more differ, those nearest to the table's beginning.
///
/// # Errors
/// [`DiffError::NoSuchTable`], a dump that cannot be read, or [`DiffError::Cancelled`].
pub(super) async fn table(
    first: &(&End, &ManifestComponent),
    second: &(&End, &ManifestComponent),
    schema: &str,
    table: &str,
    keep: usize,
    work: &DiffWork,
    ctx: &Context,
) -> Result<TableRows, DiffError> {
    let (first, second, terms) = (Input::new(first), Input::new(second), Terms::new(work, ctx));
    let name = (schema.to_owned(), table.to_owned());
    let open = move || -> Result<Option<TableRows>, Failure> {
        match second.component.kind {
            Kind::Sqlite => sqlite::open(&first, &second, &name, keep, &terms),
            Kind::Postgres => opened::postgres(&first, &second, &name, keep, &terms),
            _ => Ok(None),
        }
    };
    blocking(open).await?.ok_or_else(|| DiffError::NoSuchTable { table: format!("{schema}.{table}") })
}
