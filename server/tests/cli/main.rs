//! The command line as a person or a script meets it: the real binary, a real server, real files and databases.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod definition;
mod interrupt;
mod story;
mod support;
mod usage;
