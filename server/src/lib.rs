//! Holdfast: the service, its workers and its command line, in one crate with one binary.
//!
//! | room | what it holds |
//! |---|---|
//! | [`cli`] | every subcommand; all but `serve`, `doctor` and `recover` are clients of `/v1` |
//! | [`config`], [`serve`], [`doctor`] | settings, the life of the service, what this machine can and cannot do |
//! | [`http`], [`auth`], [`site`] | listener, routes, who is asking, the embedded dashboard |
//! | [`actions`] | what a request may cause: authorise, one call, answer |
//! | [`store`] | the catalogue in SQLite or PostgreSQL: definitions, runs, events, checkpoints, drills, audit |
//! | [`jobs`] | the workers: create, drill, verify, restore; recovery after a stop |
//! | [`catalogue`] | copies of the catalogue in a vault, and the way back from one |
//! | [`vaults`], [`keys`] | each project's vault and its password, wrapped by the server key |

pub mod actions;
pub mod auth;
mod body;
pub mod catalogue;
pub mod cli;
mod compare;
pub mod config;
pub mod doctor;
pub mod http;
pub mod jobs;
pub mod keys;
pub mod serve;
pub mod site;
pub mod store;
mod tables;
pub mod vaults;
