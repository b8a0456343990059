//! The catalogue through its public surface. Every test here runs on SQLite and on a real PostgreSQL server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value,
    missing_docs
)]

#[path = "../support/catalogue.rs"]
mod catalogue;
#[path = "../support/cluster.rs"]
mod cluster;

mod access;
mod audit;
mod checkpoints;
mod events;
mod gate;
mod keys;
mod open;
mod overview;
mod pending;
mod people;
mod queue;
mod request_key;
mod sight;

/// Makes of each `async fn name(catalogue: &Catalogue)` two tests: `sqlite::name` and `postgres::name`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&$crate::catalogue::Catalogue::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&$crate::catalogue::Catalogue::postgres().await).await;
            })+
        }
    };
}
