//! The engine through its public door: real files, real git, real SQLite with a writer, a real vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bench;
mod config;
mod diff;
mod elsewhere;
mod files;
mod git;
mod moments;
mod restore;
mod sqlite;
mod tables;
