//! PostgreSQL.

use std::path::PathBuf;

/// An installation of PostgreSQL on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgInstall {
    /// Major version.
    pub major: u32,
    /// Major and minor version.
    pub version: (u32, u32),
    /// Where its programs are.
    pub bin: PathBuf,
    /// Whether it is new enough for archives that were not made here.
    pub patched: bool,
    /// Whether a server is there, not only clients.
    pub has_server: bool,
}

/// Every installation in those folders, or in the usual places when there are none given.
pub async fn installs(_dirs: &[PathBuf]) -> Vec<PgInstall> {
    Vec::new()
}
