//! PostgreSQL: capture under one snapshot with a ledger, drill in a throwaway server, restore beside the old database.
//!
//! | room | what it does |
//! |---|---|
//! | [`archive`] | reads `pg_dump`'s archives while they stream by |
//! | `capture` | prepare, hold, stream |
//! | `ledger` | rows, hashes, sequences, large objects, definitions: of the source and of the copy alike |
//! | `database` | what belongs to the database itself: owner, locale, settings, grants |
//! | `cluster`, `drill`, `compare` | a throwaway server, the copy in it, and the comparison |
//! | `copy` | a sealed database written out, restored, read again: for drill and restore alike |
//! | `load` | plain SQL from elsewhere, through a throwaway server |
//! | `table` | one table put back, the rest left as it is |
//! | `restore` | beside the old database, compared, then switched |
//! | `probe` | what is wrong before anything is captured |
//! | `target`, `install` | the database by its URL; the programs of this host |

pub mod archive;
mod capture;
mod cluster;
mod compare;
mod copy;
mod database;
mod drill;
mod error;
mod install;
mod ledger;
mod load;
mod probe;
mod restore;
mod table;
mod target;

pub use capture::{Held, PgCapture, Prepared, prepare};
pub(crate) use cluster::Templates;
pub use cluster::sweep;
pub(crate) use copy::check_database;
pub use drill::drill;
pub use error::PgError;
pub use install::{PgInstall, installs};
pub(crate) use load::load;
pub use probe::{is_true, probe};
pub use restore::{PgRestore, PgRestored, refuse_filled, validate_restore};
pub use table::{TablePlan, TableRestored, TableWork, carry_out as carry_out_tables, plan_table, sweep_staging};
pub use target::{address_of, database_of, name_of, same_database};

/// How long a table may be locked by others before a capture gives up, in seconds.
pub(crate) const LOCK_SECONDS: u64 = 10;
