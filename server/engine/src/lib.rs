//! Holdfast's engine: capture, drill and restore of an application's components.
//!
//! It takes its work as values and gives events and results as values. It knows nothing of HTTP, of the catalogue,
//! or of checkpoints beyond their manifest; only its caller composes the root tree and seals.

mod accept;
pub mod capture;
mod command;
mod config;
pub mod context;
pub mod diff;
pub mod drill;
pub mod export;
mod failure;
mod files;
mod finding;
mod git;
pub mod import;
mod place;
pub mod postgres;
pub mod probe;
pub mod restore;
pub mod sandbox;
mod source;
mod sqlite;
pub mod tables;
pub mod tools;

pub use accept::Accept;
pub use capture::{CaptureError, CaptureWork, Captured, CapturedComponent, Parent, capture};
pub use context::{Context, Events};
pub use diff::{DiffError, DiffLimits, DiffWork, Differences, End, FingerprintKey, diff};
pub use drill::{DrillError, DrillWork, Drilled, drill};
pub use export::{Export, ExportError, ExportWork, FolderArchive, Form};
pub use finding::Finding;
pub use import::{ImportError, ImportWork, Imported, Incoming, import};
pub use place::shown;
pub use probe::probe;
pub use restore::{Allow, Destination, Live, Looked, Planned, RestoreError, RestoreReport, RestoreWork, Validated};
pub use tables::{TablesError, TablesWork};
pub use tools::{ToolFact, ToolSettings, Tools};
