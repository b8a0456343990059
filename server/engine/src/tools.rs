//! The programs of the host that take part, found once and reported.

use std::path::PathBuf;

use crate::{
    postgres::{self, PgInstall},
    sandbox::SandboxLevel,
};

/// Where programs are looked for.
#[derive(Debug, Clone)]
pub struct ToolSettings {
    /// Folders with PostgreSQL's programs; empty: `/usr/lib/postgresql/*/bin` and `PATH`.
    pub postgres_dirs: Vec<PathBuf>,
    /// The user that a drill's server runs as when Holdfast is root; `nobody` where nothing is said.
    pub drill_user: Option<String>,
    /// `git`.
    pub git: PathBuf,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self { postgres_dirs: Vec::new(), drill_user: None, git: "git".into() }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Tools {
    postgres: Vec<PgInstall>,
    sandbox: SandboxLevel,
    git: PathBuf,
}

/// One program, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFact {
    /// Its name.
    pub name: String,
    /// Its version; empty where it is not there.
    pub version: String,
    /// What is wrong with it, and the mend.
    pub problem: Option<String>,
}

impl Tools {
    /// Looks for everything once.
    pub async fn find(settings: &ToolSettings) -> Tools {
        Tools {
            postgres: postgres::installs(&settings.postgres_dirs).await,
            sandbox: SandboxLevel::detect(settings.drill_user.as_deref()).await,
            git: settings.git.clone(),
        }
    }

    /// PostgreSQL's programs of that major version.
    #[must_use]
    pub fn postgres(&self, major: u32) -> Option<&PgInstall> {
        self.postgres.iter().find(|install| install.major == major)
    }

    /// Every PostgreSQL that was found, newest first.
    #[must_use]
    pub fn postgres_all(&self) -> &[PgInstall] {
        &self.postgres
    }

    /// How well a throwaway server can be kept apart here.
    #[must_use]
    pub fn sandbox(&self) -> SandboxLevel {
        self.sandbox.clone()
    }

    /// `git`.
    #[must_use]
    pub fn git(&self) -> &PathBuf {
        &self.git
    }

    /// Every program, for the doctor and the readiness page.
    #[must_use]
    pub fn report(&self) -> Vec<ToolFact> {
        self.postgres
            .iter()
            .map(|install| ToolFact {
                name: "postgresql".into(),
                version: format!("{}.{}", install.version.0, install.version.1),
                problem: (!install.patched).then(|| "below the fix of CVE-2026-116314: update it".into()),
            })
            .collect()
    }
}
