//! Holdfast's engine: capture, drill and restore of an application's components.
//!
//! It takes its work as a value and gives events and a result as values. It knows nothing of HTTP or of the catalogue.

pub mod context;
pub mod drill;
pub mod postgres;
pub mod probe;
pub mod sandbox;
pub mod tools;
