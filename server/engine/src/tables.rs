//! The tables of a sealed database and their rows, from the sealed dump alone: no server is started, and nothing of the
//! application is asked.
//!
//! Rows come a page at a time, in the order in which they stand. How far into a table one gets is bounded by rows and by
//! bytes, a page by rows and by bytes too, and a cell is cut: so neither memory nor time grows with what is sealed.

use std::path::PathBuf;

use holdfast_model::{diff::Cell, manifest::FORMAT, name::Name, state::Kind, view::TableEntry};
use holdfast_vault::Error;

use crate::{
    context::Context,
    diff::{End, database::Input, database::mask},
    failure::{Failure, blocking},
};

mod postgres;
mod sqlite;

/// Rows of a page.
pub const PAGE: usize = 50;
/// The first rows of a table that can be reached.
pub const REACH: u64 = 10_000;
/// Bytes of a dump that are read for a page at most.
const READ: u64 = 256_000_000;
/// Bytes of a page's cells, from which on it takes no more rows.
const FULL: usize = 1 << 20;
/// Bytes of the largest SQLite file that is opened: it is written out for that.
const LARGEST: u64 = 1_000_000_000;

/// Which database of which checkpoint.
#[derive(Clone)]
pub struct TablesWork {
    /// The checkpoint.
    pub end: End,
    /// The component.
    pub component: Name,
    /// A folder of this work alone (0700), made and removed by the caller.
    pub scratch: PathBuf,
}

/// Some rows of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The columns; each row's cells follow them.
    pub columns: Vec<String>,
    /// Those of the primary key.
    pub key: Vec<String>,
    /// Those that look secret: their cells are masked.
    pub masked: Vec<String>,
    /// In the order in which they stand.
    pub rows: Vec<Vec<Cell>>,
    /// Rows of the table when it was captured; none where nobody counted them.
    pub total: Option<u64>,
    /// Whether there is a row behind them.
    pub more: bool,
    /// Why there are no rows so far into the table, where that is so.
    pub ended: Option<String>,
}

/// Why tables could not be looked at.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TablesError {
    /// Nobody waits for it any more.
    #[error("cancelled")]
    Cancelled,
    /// The manifest is of a newer format than this version reads: use a newer Holdfast.
    #[error("the manifest has format {0}; this version reads up to {FORMAT}")]
    Format(u32),
    /// Look at the checkpoint's list of components.
    #[error("the checkpoint has no database component `{0}` whose tables can be looked at")]
    NoSuchComponent(Name),
    /// Look at the component's list of tables.
    #[error("`{component}` has no table `{table}`")]
    NoSuchTable {
        /// The component.
        component: Name,
        /// What was asked for.
        table: String,
    },
    /// Its dump, or this one table of it; the text says what.
    #[error("{0}")]
    Said(String),
    /// The vault could not be reached or is locked.
    #[error("the vault: {0}")]
    Vault(Error),
}

impl From<Failure> for TablesError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Vault(error) => Self::Vault(error),
            Failure::Said(why) => Self::Said(why),
        }
    }
}

/// All tables, by schema and name. How many rows each has comes from the ledger.
///
/// # Errors
/// [`TablesError::NoSuchComponent`], a dump that cannot be read, and [`TablesError::Cancelled`].
pub async fn list(work: TablesWork, ctx: &Context) -> Result<Vec<TableEntry>, TablesError> {
    let (input, cancel) = (input(&work)?, ctx.cancel.clone());
    let list = move || match input.component.kind {
        Kind::Sqlite => sqlite::list(&input, &work.scratch, &cancel),
        _ => postgres::list(&input),
    };
    Ok(blocking(list).await?)
}

/// Rows of one table behind the first `from`, which is at most [`REACH`].
///
/// # Errors
/// [`TablesError::NoSuchComponent`], [`TablesError::NoSuchTable`], a dump that cannot be read, and
/// [`TablesError::Cancelled`].
pub async fn rows(work: TablesWork, schema: &str, table: &str, from: u64, ctx: &Context) -> Result<Rows, TablesError> {
    let (input, cancel) = (input(&work)?, ctx.cancel.clone());
    let none = TablesError::NoSuchTable { component: work.component, table: format!("{schema}.{table}") };
    let (name, from) = ((schema.to_owned(), table.to_owned()), from.min(REACH));
    let read = move || match input.component.kind {
        Kind::Sqlite => sqlite::rows(&input, &name, from, &work.scratch, &cancel),
        _ => postgres::rows(&input, &name, from, &cancel),
    };
    blocking(read).await?.ok_or(none)
}

fn input(work: &TablesWork) -> Result<Input, TablesError> {
    let End { vault, root, manifest } = &work.end;
    if manifest.format > FORMAT {
        return Err(TablesError::Format(manifest.format));
    }
    let component = manifest
        .components
        .iter()
        .find(|component| component.name == work.component && matches!(component.kind, Kind::Postgres | Kind::Sqlite));
    let component = component.ok_or_else(|| TablesError::NoSuchComponent(work.component.clone()))?.clone();
    Ok(Input { vault: vault.clone(), root: *root, component })
}

/// A page while it fills.
struct Filling {
    rows: Rows,
    secret: Vec<bool>,
    bytes: usize,
}

impl Filling {
    fn new(columns: Vec<String>, key: Vec<String>, total: Option<u64>) -> Self {
        let secret: Vec<bool> = columns.iter().map(|column| mask::is_secret(column)).collect();
        let masked = columns.iter().zip(&secret).filter(|(_, secret)| **secret).map(|(column, _)| column.clone());
        let masked = masked.collect();
        Self { rows: Rows { columns, key, masked, total, ..Rows::default() }, secret, bytes: 0 }
    }

    fn is_full(&self) -> bool {
        self.rows.rows.len() >= PAGE || self.bytes >= FULL
    }

    /// Takes a row, with what looks secret masked and what is long cut.
    fn push(&mut self, cells: impl Iterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.zip(&self.secret).map(|(cell, secret)| mask::shown(cell, *secret)).collect();
        self.bytes += cells.iter().flatten().map(String::len).sum::<usize>();
        self.rows.rows.push(cells);
    }
}
