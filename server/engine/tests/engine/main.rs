//! The engine through its public door: real files, real git, real SQLite with a writer, a real vault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod bench;
mod config;
mod diff;
mod elsewhere;
mod files;
mod git;
mod hostile;
mod moments;
mod planned;
mod restore;
#[path = "../support/sealing.rs"]
mod sealing;
mod shop;
mod sqlite;
mod tables;
