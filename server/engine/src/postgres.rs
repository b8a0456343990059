//! PostgreSQL: capture under one snapshot with a ledger, drill in a throwaway server, restore beside the old database.
#![allow(missing_docs, unused_variables, clippy::needless_pass_by_value, clippy::unused_async)]

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{
    definition::{Component, Smoke},
    drill::ComponentDrill,
    id::RunId,
    ledger::Ledger,
    manifest::{Facts, ManifestComponent, Skipped},
    secret::Secret,
};
use holdfast_vault::{Meter, Node, TreeId, Vault, Writer};
use time::OffsetDateTime;

use crate::{context::Context, drill::Accept, probe::Finding, tools::Tools};

mod error;
pub use error::PgError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgInstall {
    pub major: u32,
    pub version: (u32, u32),
    pub bin: PathBuf,
    pub patched: bool,
    pub has_server: bool,
}
pub struct Prepared(());
pub struct Held(());
pub struct PgCapture {
    pub nodes: Vec<Node>,
    pub size: u64,
    pub stored: u64,
    pub items: u64,
    pub ledger: Ledger,
    pub facts: Facts,
    pub skipped: Vec<Skipped>,
    pub not_covered: Vec<String>,
}
pub struct PgRestore(());
pub struct PgRestored {
    pub kept_as: Option<(String, u64)>,
    pub warnings: Vec<String>,
    pub bytes: u64,
}

fn soon<T>() -> Result<T, PgError> {
    Err(PgError::Refused("not built yet".into()))
}

pub async fn installs(dirs: &[PathBuf]) -> Vec<PgInstall> {
    Vec::new()
}
pub async fn prepare(component: &Component, url: &Secret, tools: &Tools, ctx: &Context) -> Result<Prepared, PgError> {
    soon()
}
impl Prepared {
    pub async fn hold(self, ctx: &Context) -> Result<Held, PgError> {
        soon()
    }
}
impl Held {
    pub fn instant(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH
    }
    pub async fn stream(
        self,
        writer: Arc<Writer>,
        meter: Meter,
        tables_done: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<PgCapture, PgError> {
        soon()
    }
}
#[allow(clippy::too_many_arguments)]
pub async fn drill(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    smoke: &[Smoke],
    accept: &Accept,
    scratch: &Path,
    tools: &Tools,
    ctx: &Context,
) -> Result<ComponentDrill, PgError> {
    soon()
}
pub async fn validate_restore(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    url: &Secret,
    run: &RunId,
    tools: &Tools,
) -> Result<PgRestore, PgError> {
    soon()
}
impl PgRestore {
    pub fn would_lose(&self) -> Vec<String> {
        Vec::new()
    }
    pub async fn carry_out(self, scratch: &Path, ctx: &Context) -> Result<PgRestored, PgError> {
        soon()
    }
}
pub async fn probe(at: &str, url: &Secret, tools: &Tools) -> Vec<Finding> {
    Vec::new()
}
pub async fn is_true(url: &Secret, sql: &str) -> Result<bool, PgError> {
    soon()
}
pub async fn sweep(scratch: &Path) {}
