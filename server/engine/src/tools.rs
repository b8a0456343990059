//! The programs that this host has for us: which PostgreSQL servers and clients, which git, and how well we can fence.

use std::{path::PathBuf, sync::Arc};

use crate::{
    postgres::{PgInstall, Templates},
    sandbox::SandboxLevel,
};

/// Where to look for programs.
#[derive(Debug, Clone)]
pub struct ToolSettings {
    /// Folders with `pg_dump`, `pg_restore`, `postgres`; empty means `/usr/lib/postgresql/*/bin` and `PATH`.
    pub postgres_dirs: Vec<PathBuf>,
    /// The user that throwaway servers run as when we are root; `nobody` unless said otherwise.
    pub drill_user: Option<String>,
    /// The `git` program.
    pub git: PathBuf,
    /// Where templates of throwaway servers lie while this process lives: scratch space that is not a run's own.
    pub templates: PathBuf,
}

impl Default for ToolSettings {
    fn default() -> Self {
        Self { postgres_dirs: Vec::new(), drill_user: None, git: PathBuf::from("git"), templates: std::env::temp_dir() }
    }
}

/// What was found; made once at start.
#[derive(Debug, Clone)]
pub struct Tools {
    settings: ToolSettings,
    postgres: Vec<PgInstall>,
    git: Result<String, String>,
    sandbox: SandboxLevel,
    templates: Arc<Templates>,
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
            templates: Arc::new(Templates::new(settings.templates.clone())),
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

    pub(crate) fn templates(&self) -> &Templates {
        &self.templates
    }

    /// Everything for `doctor` and the readiness page.
    #[must_use]
    pub fn report(&self) -> Vec<ToolFact> {
        let mut facts = vec![match &self.git {
            Ok(version) => ToolFact { name: "git".to_owned(), version: Some(version.clone()), problem: None },
            Err(why) => ToolFact {
                name: "git".to_owned(),
                version: None,
                problem: Some(format!("components of kind `git` cannot be captured: {why}")),
            },
        }];
        for install in &self.postgres {
            let (major, minor) = install.version;
            let at = install.bin.display();
            let problem = if !install.has_server {
                Some(format!(
                    "no server in {at}: databases of version {major} cannot be drilled; install postgresql-{major}"
                ))
            } else if install.patched {
                None
            } else {
                Some(
                    "its pg_restore can be made to run code by a crafted archive (CVE-2026-116314); update it"
                        .to_owned(),
                )
            };
            facts.push(ToolFact {
                name: format!("PostgreSQL {major}"),
                version: Some(format!("{major}.{minor}")),
                problem,
            });
        }
        if self.postgres.is_empty() {
            facts.push(ToolFact {
                name: "PostgreSQL".to_owned(),
                version: None,
                problem: Some("databases cannot be captured: no pg_dump was found; install postgresql".to_owned()),
            });
        }
        facts.push(ToolFact {
            name: "SQLite".to_owned(),
            version: Some(crate::sqlite::version().to_owned()),
            problem: None,
        });
        let problem = match &self.sandbox {
            SandboxLevel::None { why } => Some(why.clone()),
            level if !level.takes_foreign() => {
                Some("the weakest fence: archives from elsewhere are refused; run the server as root, or allow user namespaces".to_owned())
            }
            _ => None,
        };
        facts.push(ToolFact { name: "sandbox".to_owned(), version: Some(self.sandbox.to_string()), problem });
        facts
    }
}
