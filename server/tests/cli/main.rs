//! The command line as a person or a script meets it: the real binary, a real server, real files and databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout)]

#[path = "../support/cluster.rs"]
mod cluster;
mod definition;
mod elsewhere;
mod interrupt;
mod login;
#[path = "../../vault/tests/faults/report.rs"]
mod report;
mod stopped;
mod story;
mod support;
mod usage;
