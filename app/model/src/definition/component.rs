//! One component: read as a flat map, so that every wrong key and place is named, kept as a typed value.

use std::path::PathBuf;

use serde::Deserialize;

use crate::{name::Name, secret::Secret, state::Kind};

/// A part of an environment that is captured.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Flat")]
pub struct Component {
    /// Its name within the environment.
    pub name: Name,
    /// The host that it lives on; `local` is the server's own.
    pub host: String,
    /// How it can be had back without a checkpoint, in the owner's words.
    pub recoverable: Option<String>,
    /// What its kind needs to know.
    pub settings: Settings,
}

/// What each kind needs to know.
#[derive(Debug, Clone)]
pub enum Settings {
    /// A directory or file, with patterns in gitignore style that leave things out.
    Files {
        /// Absolute path.
        path: PathBuf,
        /// Patterns, anchored at `path`.
        exclude: Vec<String>,
    },
    /// A git work tree or bare repository.
    Git {
        /// Absolute path.
        path: PathBuf,
    },
    /// Variables from an env file, from a list, or both.
    Config {
        /// An env file.
        file: Option<PathBuf>,
        /// A list.
        variables: Vec<Variable>,
    },
    /// A PostgreSQL database by its URL.
    Postgres {
        /// Where the URL comes from.
        url: Source<Secret>,
    },
    /// A SQLite database by its path.
    Sqlite {
        /// Absolute path.
        path: PathBuf,
    },
    /// A kind that has its place in the format but is not captured yet.
    Unsupported(Kind),
}

/// Where a value is read from, on the capturing host and at capture time.
#[derive(Debug, Clone)]
pub enum Source<T> {
    /// It stands in the definition.
    Given(T),
    /// An environment variable of the server.
    Env(String),
    /// A file; its trailing newline does not count.
    File(PathBuf),
}

/// One variable of a `config` component.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, where it stands in the definition; otherwise the server's own variable of that name is read.
    #[serde(default)]
    pub value: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    name: Name,
    kind: Kind,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    recoverable: Option<String>,
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(default)]
    exclude: Option<Vec<String>>,
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    variables: Option<Vec<Variable>>,
    #[serde(default)]
    url: Option<Secret>,
    #[serde(default)]
    url_env: Option<String>,
    #[serde(default)]
    url_file: Option<PathBuf>,
}

impl Flat {
    /// Refuses settings that another kind has and this one has not.
    fn only(&self, allowed: &[&str]) -> Result<(), String> {
        let given = [
            ("path", self.path.is_some()),
            ("exclude", self.exclude.is_some()),
            ("file", self.file.is_some()),
            ("variables", self.variables.is_some()),
            ("url", self.url.is_some()),
            ("url_env", self.url_env.is_some()),
            ("url_file", self.url_file.is_some()),
        ];
        match given.iter().find(|(key, present)| *present && !allowed.contains(key)) {
            None => Ok(()),
            Some((key, _)) => Err(format!(
                "component `{}`: `{key}` is not a setting of kind `{}`, which takes {}",
                self.name,
                self.kind,
                allowed.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn path(&mut self) -> Result<PathBuf, String> {
        self.path.take().ok_or_else(|| format!("component `{}`: kind `{}` needs `path`", self.name, self.kind))
    }

    fn url(&mut self) -> Result<Source<Secret>, String> {
        match (self.url.take(), self.url_env.take(), self.url_file.take()) {
            (Some(url), None, None) => Ok(Source::Given(url)),
            (None, Some(name), None) => Ok(Source::Env(name)),
            (None, None, Some(path)) => Ok(Source::File(path)),
            _ => Err(format!("component `{}`: give exactly one of `url`, `url_env` and `url_file`", self.name)),
        }
    }
}

impl TryFrom<Flat> for Component {
    type Error = String;

    fn try_from(mut flat: Flat) -> Result<Self, String> {
        let settings = match flat.kind {
            Kind::Files => {
                flat.only(&["path", "exclude"])?;
                Settings::Files { path: flat.path()?, exclude: flat.exclude.take().unwrap_or_default() }
            }
            Kind::Git => {
                flat.only(&["path"])?;
                Settings::Git { path: flat.path()? }
            }
            Kind::Config => {
                flat.only(&["file", "variables"])?;
                let (file, variables) = (flat.file.take(), flat.variables.take().unwrap_or_default());
                if file.is_none() && variables.is_empty() {
                    return Err(format!("component `{}`: kind `config` needs `file`, `variables` or both", flat.name));
                }
                Settings::Config { file, variables }
            }
            Kind::Postgres => {
                flat.only(&["url", "url_env", "url_file"])?;
                Settings::Postgres { url: flat.url()? }
            }
            Kind::Sqlite => {
                flat.only(&["path"])?;
                Settings::Sqlite { path: flat.path()? }
            }
            other => Settings::Unsupported(other),
        };
        Ok(Self {
            name: flat.name,
            host: flat.host.unwrap_or_else(|| "local".into()),
            recoverable: flat.recoverable,
            settings,
        })
    }
}

impl Component {
    /// The kind that its settings belong to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.settings {
            Settings::Files { .. } => Kind::Files,
            Settings::Git { .. } => Kind::Git,
            Settings::Config { .. } => Kind::Config,
            Settings::Postgres { .. } => Kind::Postgres,
            Settings::Sqlite { .. } => Kind::Sqlite,
            Settings::Unsupported(kind) => kind,
        }
    }

    /// Every path on its host that it reads.
    #[must_use]
    pub fn paths(&self) -> Vec<&PathBuf> {
        match &self.settings {
            Settings::Files { path, .. } | Settings::Git { path } | Settings::Sqlite { path } => vec![path],
            Settings::Config { file, .. } => file.iter().collect(),
            Settings::Postgres { url: Source::File(path) } => vec![path],
            Settings::Postgres { .. } | Settings::Unsupported(_) => Vec::new(),
        }
    }

    /// Its folder or file in a checkpoint's tree: `files/uploads`, `config/settings.json`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.kind() {
            Kind::Config => format!("config/{}.json", self.name),
            kind => format!("{}/{}", kind.folder(), self.name),
        }
    }
}
