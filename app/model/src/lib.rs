//! The words of Holdfast as plain values, shared by server, engine and browser.
//!
//! Nothing here reads a clock, a random source, a file or the network. Where to look:
//!
//! | room | what it holds |
//! |---|---|
//! | [`id`], [`name`] | identifiers that sort by time; names that may become paths |
//! | [`audit`], [`key`], [`member`] | the audit log as it is shown; keys of programs; who may do what |
//! | [`access`], [`me`] | roles, permissions, and what a caller has been given |
//! | [`pending`] | what a person at a terminal has asked for and must confirm on a page |
//! | [`state`] | the four states that are never mixed, and the other closed lists of words |
//! | [`definition`], [`secret`] | `holdfast.yaml` as it is read: what an environment consists of |
//! | [`manifest`], [`ledger`] | what a sealed checkpoint says of itself |
//! | [`export`] | what an exported checkpoint says of itself |
//! | [`drill`] | what restoring it into scratch space showed |
//! | [`diff`] | what is not the same in two of them |
//! | [`fact`] | what became true of it after its seal |
//! | [`event`] | what a run tells while it works |
//! | [`request`], [`view`], [`plan`], [`gate`], [`problem`] | the REST API: what is asked, what is answered, what went wrong |
//! | `schema` | how OpenAPI names the values that are texts of a certain form |
//! | [`size`] | bytes for people, and percentages that add up |

pub mod access;
pub mod audit;
pub mod definition;
pub mod diff;
pub mod drill;
pub mod event;
pub mod export;
pub mod fact;
pub mod gate;
pub mod id;
pub mod key;
pub mod ledger;
pub mod manifest;
pub mod me;
pub mod member;
pub mod name;
pub mod pending;
pub mod plan;
pub mod problem;
pub mod request;
#[cfg(feature = "schema")]
mod schema;
pub mod secret;
pub mod size;
pub mod state;
pub mod table;
pub mod view;
