//! `holdfast.toml` as it is written.

use std::{
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{ConfigError, identity::Written};

/// Every key of the file; what is left out has a default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) listen: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) database_url: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) scratch_dir: Option<PathBuf>,
    pub(super) requests_per_second: Option<NonZeroU32>,
    pub(super) trusted_proxies: Option<Vec<String>>,
    pub(super) allow_paths: Option<Vec<PathBuf>>,
    pub(super) allow_networks: Option<Vec<String>>,
    pub(super) allow_commands: Option<Vec<Vec<String>>>,
    pub(super) vault_memory_mib: Option<u64>,
    pub(super) workers: Option<usize>,
    pub(super) postgres_dirs: Option<Vec<PathBuf>>,
    pub(super) drill_user: Option<String>,
    /// Was a switch once; refused with what to do instead.
    pub(super) break_glass: Option<toml::Value>,
    #[serde(default)]
    pub(super) identity: Vec<Written>,
    pub(super) gate_wait: Option<String>,
}

/// Reads the file. The error shows place and reason but never the line itself, which may hold a password.
pub(super) fn read(path: &Path) -> Result<File, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        ConfigError::File {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
            reason: error.message().to_owned(),
        }
    })
}
