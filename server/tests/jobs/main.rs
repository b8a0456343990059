//! The workers with the real engine and a real vault: what a run leaves behind, also when the server dies in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "../support/bucket.rs"]
mod bucket;
#[path = "../support/cluster.rs"]
mod cluster;
mod house;
mod look;

mod catalogue;
mod create;
mod damage;
mod elsewhere;
mod facts;
mod failing;
mod gate;
mod long_prune;
mod prune;
mod recovery;
mod restore;
mod stops;
mod vaults;
mod whole_vaults;
