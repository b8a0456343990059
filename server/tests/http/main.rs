//! The HTTP side through its own door: a real server on a port of its own, a real catalogue, no mocks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::needless_pass_by_value, missing_docs)]

mod break_glass;
mod canaries;
#[path = "../support/cluster.rs"]
mod cluster;
mod definitions;
mod gate;
mod harness;
mod issuer;
mod matrix;
mod members;
mod openapi;
mod pending;
mod problems;
mod refusals;
mod repeats;
mod restores;
mod rules;
mod sessions;
mod signing_in;
mod streams;
mod tokens;
