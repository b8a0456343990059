//! The server's settings: where each comes from, what it means, and the folders that follow from them.
//!
//! A variable of the environment wins over `holdfast.toml`, which is read from the data directory or from the
//! place that `--config` names. An unknown key is refused, so that a typing error never switches a rule off.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_model::secret::Secret;
use ipnet::IpNet;
use sha2::{Digest, Sha256};
use url::Url;

mod file;
pub(crate) mod identity;
mod places;

pub use identity::{ClaimIs, IdentitySettings, ProviderSettings, RoleRule, WorkflowSettings};
pub use places::{DataDirLock, PlaceError};

const GATE_WAIT: Duration = Duration::from_secs(30 * 60);
const LONGEST_GATE_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What stands in its place.
const BREAK_GLASS: &str = "break_glass: this is no setting any more, and one-time links sign nobody in where there is an \
                           identity provider; take the line out, and for the day when the provider does not answer set \
                           a password on this host: holdfast break-glass set";

/// Requests a second that one caller may send for long when nobody says: a page is a handful of them.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);

/// Everything that an operator can set. `Debug` shows no password.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Holds the catalogue, the local vaults, the server key and `client.json`; made 0700.
    pub data_dir: PathBuf,
    /// Where the server listens. Without an identity provider a loopback address.
    pub listen: SocketAddr,
    /// How people reach it, when that is not the listening address: behind a proxy, for example.
    pub public_url: Option<Url>,
    /// The catalogue, when it is not SQLite in the data directory.
    pub database_url: Option<Secret>,
    /// The key that wraps every secret in the catalogue.
    pub key_file: PathBuf,
    /// Room for throwaway servers and restored copies; made 0711 for root and 0700 otherwise.
    pub scratch_dir: PathBuf,
    /// Folders under which a definition that does not come from the host's own credential may name paths.
    pub allow_paths: Vec<PathBuf>,
    /// Private networks in which a bucket may be that does not come from the host's own credential.
    pub allow_networks: Vec<IpNet>,
    /// Commands that such a definition may name: whole argument lists, where a last `*` stands for any more arguments.
    pub allow_commands: Vec<Vec<String>>,
    /// Requests that one caller may send for long; twenty times as many at once.
    pub requests_per_second: NonZeroU32,
    /// Networks of the proxies before this server, whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes that one writer into a vault may hold in memory.
    pub vault_memory: u64,
    /// Runs that are carried out at the same time; 0 leaves them to other processes on the same catalogue.
    pub workers: usize,
    /// Folders with PostgreSQL's programs, looked at before the usual places.
    pub postgres_dirs: Vec<PathBuf>,
    /// The account that throwaway servers run as when Holdfast is root.
    pub drill_user: Option<String>,
    /// Who signs people in, and whose tokens are taken from programs.
    pub identity: IdentitySettings,
    /// Longest wait of a pipeline for its gate; one that waited so long asks again.
    pub gate_wait: Duration,
}

/// A setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable of the environment.
    #[error("the variable {name} cannot be used: {reason}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// A place in the file.
    #[error("{}, line {line}, column {column}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read: {source}; correct the path or its rights", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting that is well formed and yet cannot be.
    #[error("{0}")]
    Refused(String),
}

impl Settings {
    /// The port that is used when nothing is said.
    pub const PORT: u16 = 3000;

    /// Reads variables of this process and `holdfast.toml`.
    ///
    /// # Errors
    /// [`ConfigError`] names the variable, or the line and column of the file.
    pub fn load(config: Option<&Path>) -> Result<Self, ConfigError> {
        Self::from_sources(config, &|name| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    }

    /// The same, with the variables given by a function: for tests and for callers that add their own.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn from_sources(config: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let named = variable("HOLDFAST_DATA_DIR").map(PathBuf::from);
        let file = match config {
            Some(path) => file::read(path)?,
            None => {
                let path = named.clone().unwrap_or_else(|| default_data_dir(&variable)).join("holdfast.toml");
                if path.exists() { file::read(&path)? } else { file::File::default() }
            }
        };
        if file.break_glass.is_some() {
            return Err(ConfigError::Refused(BREAK_GLASS.into()));
        }
        let text = |name: &str, from_file: Option<String>| variable(name).or(from_file);
        let path = |name: &str, from_file: Option<PathBuf>| variable(name).map(PathBuf::from).or(from_file);
        let data_dir = absolute(named.or(file.data_dir).unwrap_or_else(|| default_data_dir(&variable)))?;
        let listen = parse("HOLDFAST_LISTEN", text("HOLDFAST_LISTEN", file.listen))?
            .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), Self::PORT));
        let public_url: Option<Url> = parse("HOLDFAST_PUBLIC_URL", text("HOLDFAST_PUBLIC_URL", file.public_url))?;
        if let Some(url) = &public_url {
            check_public_url(url)?;
        }
        let folders = |name: &str, from_file: Option<Vec<PathBuf>>| match variable(name) {
            Some(list) => std::env::split_paths(&list).collect(),
            None => from_file.unwrap_or_default(),
        };
        let allow_paths: Vec<PathBuf> = folders("HOLDFAST_ALLOW_PATHS", file.allow_paths);
        if let Some(relative) = allow_paths.iter().find(|path| !path.is_absolute()) {
            return Err(ConfigError::Refused(format!(
                "allow_paths: `{}` is relative; give absolute folders",
                relative.display()
            )));
        }
        let mebibytes = parse("HOLDFAST_VAULT_MEMORY_MIB", text("HOLDFAST_VAULT_MEMORY_MIB", None))?
            .or(file.vault_memory_mib)
            .unwrap_or(192_u64);
        if mebibytes < 48 {
            return Err(ConfigError::Refused("vault_memory_mib: at least 48 is needed".into()));
        }
        let workers = parse("HOLDFAST_WORKERS", text("HOLDFAST_WORKERS", None))?.or(file.workers).unwrap_or(2_usize);
        if workers > 64 {
            return Err(ConfigError::Refused("workers: give a number from 0 (none in this process) to 64".into()));
        }
        let gate_wait: Duration =
            parse::<humantime::Duration>("HOLDFAST_GATE_WAIT", text("HOLDFAST_GATE_WAIT", file.gate_wait))?
                .map_or(GATE_WAIT, Into::into);
        if gate_wait.is_zero() || gate_wait > LONGEST_GATE_WAIT {
            return Err(ConfigError::Refused("gate_wait: give a time from 1s to 24h, such as 30m".into()));
        }
        Ok(Self {
            listen,
            public_url,
            database_url: text("HOLDFAST_DATABASE_URL", file.database_url).map(Secret::new),
            key_file: absolute(
                path("HOLDFAST_KEY_FILE", file.key_file).unwrap_or_else(|| data_dir.join("server.key")),
            )?,
            scratch_dir: absolute(
                path("HOLDFAST_SCRATCH_DIR", file.scratch_dir).unwrap_or_else(|| default_scratch_dir(&data_dir)),
            )?,
            requests_per_second: parse(
                "HOLDFAST_REQUESTS_PER_SECOND",
                text("HOLDFAST_REQUESTS_PER_SECOND", file.requests_per_second.map(|many| many.to_string())),
            )?
            .unwrap_or(REQUESTS_PER_SECOND),
            trusted_proxies: networks(
                "trusted_proxies",
                variable("HOLDFAST_TRUSTED_PROXIES"),
                file.trusted_proxies.as_deref(),
            )?,
            allow_networks: networks(
                "allow_networks",
                variable("HOLDFAST_ALLOW_NETWORKS"),
                file.allow_networks.as_deref(),
            )?,
            allow_paths,
            allow_commands: file.allow_commands.unwrap_or_default(),
            vault_memory: mebibytes.saturating_mul(1 << 20),
            workers,
            postgres_dirs: folders("HOLDFAST_POSTGRES_DIRS", file.postgres_dirs),
            drill_user: text("HOLDFAST_DRILL_USER", file.drill_user),
            gate_wait,
            identity: IdentitySettings::read(file.identity, variable("HOLDFAST_IDENTITY_SECRET"))?,
            data_dir,
        })
    }

    /// The catalogue's address as [`crate::store::Store::open`] takes it.
    #[must_use]
    pub fn catalogue_url(&self) -> Secret {
        self.database_url.clone().unwrap_or_else(|| {
            Secret::new(format!("sqlite://{}?mode=rwc", self.data_dir.join("catalogue.db").display()))
        })
    }

    /// Where the command line on this machine finds the server and a credential.
    #[must_use]
    pub fn client_file(&self) -> PathBuf {
        self.data_dir.join("client.json")
    }

    /// The folder of the local vaults, one folder a project.
    #[must_use]
    pub fn vaults_dir(&self) -> PathBuf {
        self.data_dir.join("vaults")
    }
}

fn default_data_dir(variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/holdfast");
    }
    variable("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("/var/lib"))
        .join("holdfast")
}

/// Two data directories never share scratch space, and neither do two users.
fn default_scratch_dir(data_dir: &Path) -> PathBuf {
    let hash = hex::encode(Sha256::digest(data_dir.as_os_str().as_encoded_bytes()));
    PathBuf::from(format!("/var/tmp/holdfast-{}-{}", rustix::process::geteuid().as_raw(), &hash[..10]))
}

fn absolute(path: PathBuf) -> Result<PathBuf, ConfigError> {
    std::path::absolute(&path).map_err(|source| ConfigError::Unreadable { path, source })
}

fn parse<T: std::str::FromStr>(name: &str, text: Option<String>) -> Result<Option<T>, ConfigError>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| {
        text.parse().map_err(|error| ConfigError::Variable {
            name: name.to_owned(),
            reason: format!("`{text}`: {error} (the same setting of holdfast.toml is read in the same way)"),
        })
    })
    .transpose()
}

/// Of a variable, separated by commas, or else of the file.
fn networks(key: &str, variable: Option<String>, file: Option<&[String]>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &str| {
        let text = text.trim();
        text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address))).map_err(|_| {
            ConfigError::Refused(format!("{key}: `{text}` is neither a network such as 10.0.0.0/8 nor an address"))
        })
    };
    match variable {
        Some(list) => list.split(',').map(network).collect(),
        None => file.unwrap_or_default().iter().map(|text| network(text)).collect(),
    }
}

fn check_public_url(url: &Url) -> Result<(), ConfigError> {
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if plain {
        return Ok(());
    }
    Err(ConfigError::Refused(
        "public_url: give scheme, host and port only, such as https://holdfast.example.org".into(),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn load(config: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("holdfast.toml"), config).unwrap();
        Settings::from_sources(None, &|name| {
            if name == "HOLDFAST_DATA_DIR" {
                return Some(folder.path().to_string_lossy().into_owned());
            }
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let settings =
            load("listen = \"127.0.0.1:4000\"\nworkers = 3\n", &[("HOLDFAST_LISTEN", "127.0.0.1:5000")]).unwrap();
        assert_eq!(settings.listen.port(), 5000);
        assert_eq!(settings.workers, 3);
        assert!(settings.key_file.starts_with(&settings.data_dir));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_place() {
        let error = load("listen = \"127.0.0.1:1\"\nalow_paths = []\n", &[]).unwrap_err().to_string();
        assert!(error.contains("line 2, column 1"), "{error}");
        assert!(error.contains("alow_paths"), "{error}");
    }

    #[test]
    fn no_password_is_shown_by_debug_or_by_an_error() {
        let settings = load("", &[("HOLDFAST_DATABASE_URL", "postgres://u:canary-pw@h/d")]).unwrap();
        assert!(!format!("{settings:?}").contains("canary-pw"));
        let error = load("database_url = \"postgres://u:canary-pw@h/d\" x", &[]).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary-pw"));
    }

    #[test]
    fn a_gate_is_waited_for_half_an_hour_unless_something_else_is_said() {
        assert_eq!(load("", &[]).unwrap().gate_wait.as_secs(), 1800);
        assert_eq!(load("gate_wait = \"50s\"", &[]).unwrap().gate_wait.as_secs(), 50);
        assert_eq!(load("gate_wait = \"50s\"", &[("HOLDFAST_GATE_WAIT", "2h")]).unwrap().gate_wait.as_secs(), 7200);
        for wrong in ["0s", "25h", "30", "soon"] {
            assert!(load("", &[("HOLDFAST_GATE_WAIT", wrong)]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_old_switch_for_break_glass_says_what_to_do_now() {
        for value in ["true", "false"] {
            let refused = load(&format!("break_glass = {value}"), &[]).unwrap_err().to_string();
            assert!(refused.contains("holdfast break-glass set"), "{refused}");
        }
    }

    #[test]
    fn a_public_address_with_a_path_is_refused() {
        assert!(load("public_url = \"https://h.example/holdfast\"", &[]).is_err());
        assert!(load("public_url = \"https://h.example\"", &[]).is_ok());
    }
}
