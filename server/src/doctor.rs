//! `holdfast doctor`: what this machine can and cannot do, each finding with its mend. It changes nothing, and works
//! beside a running server.

use std::{
    fmt,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use holdfast_engine::Tools;
use holdfast_model::size;
use serde::Serialize;

use crate::{auth::ClientFile, catalogue::age, config::Settings, serve::tool_settings, store::Store};

/// Below this a checkpoint of any real application is in danger.
const LITTLE_SPACE: u64 = 2_000_000_000;

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should be.
    Well,
    /// Works, with something missing.
    Limited,
    /// The server cannot work like this.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// `data directory`, `git`, `sandbox`, …
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What was found.
    pub found: String,
    /// What cannot be done, and the mend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Everything that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// Whether nothing is broken.
    pub well: bool,
    /// In the order of importance.
    pub examined: Vec<Examined>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.examined.iter().map(|e| e.name.chars().count()).max().unwrap_or(0);
        for Examined { name, standing, found, mend } in &self.examined {
            let mark = match standing {
                Standing::Well => '✓',
                Standing::Limited => '!',
                Standing::Broken => '✗',
            };
            writeln!(f, "{mark} {name:width$}  {found}")?;
            if let Some(mend) = mend {
                writeln!(f, "  {:width$}  {mend}", "")?;
            }
        }
        Ok(())
    }
}

/// Looks at everything.
pub async fn doctor(settings: &Settings) -> Diagnosis {
    let mut examined = vec![
        folder("data directory", &settings.data_dir, 0o700),
        space("free space", &settings.data_dir),
        key(&settings.key_file),
        catalogue(settings).await,
        port(settings).await,
        folder("scratch space", &settings.scratch_dir, 0o711),
        space("scratch free space", &settings.scratch_dir),
    ];
    let tools = Tools::find(&tool_settings(settings)).await;
    examined.extend(tools.report().into_iter().map(|fact| Examined {
        standing: if fact.problem.is_none() { Standing::Well } else { Standing::Limited },
        name: fact.name,
        found: fact.version.unwrap_or_else(|| "not found".into()),
        mend: fact.problem,
    }));
    Diagnosis { well: examined.iter().all(|e| e.standing != Standing::Broken), examined }
}

fn well(name: &str, found: impl Into<String>) -> Examined {
    Examined { name: name.into(), standing: Standing::Well, found: found.into(), mend: None }
}

fn not_well(name: &str, standing: Standing, found: impl Into<String>, mend: impl Into<String>) -> Examined {
    Examined { name: name.into(), standing, found: found.into(), mend: Some(mend.into()) }
}

/// A folder of ours: there, owned by us, closed to others. One that is not there yet is made at the first start.
fn folder(name: &str, path: &Path, mode: u32) -> Examined {
    let shown = path.display();
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = existing(path);
            return if rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_ok() {
                well(name, format!("{shown} (is made at the first start)"))
            } else {
                not_well(
                    name,
                    Standing::Broken,
                    format!("{shown} is not there and cannot be made"),
                    format!(
                        "make it for this user: install -d -m 700 -o {} {shown}",
                        crate::auth::owner().split('@').next().unwrap_or("holdfast")
                    ),
                )
            };
        }
        Err(error) => return not_well(name, Standing::Broken, format!("{shown}: {error}"), "correct its rights"),
    };
    let rights = found.permissions().mode() & 0o777;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        let mend = "run Holdfast as its owner, or name another folder";
        return not_well(name, Standing::Broken, format!("{shown} is not a folder of this user"), mend);
    }
    if rights & !mode != 0 {
        let mend = format!("others can look into it: chmod {mode:o} {shown} (the next start does it, too)");
        return not_well(name, Standing::Limited, format!("{shown}, mode {rights:o}"), mend);
    }
    well(name, format!("{shown}, mode {rights:o}"))
}

fn space(name: &str, path: &Path) -> Examined {
    match rustix::fs::statvfs(existing(path)) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            if free < LITTLE_SPACE {
                let mend = "free some, or move the folder: a checkpoint fails when the disk is full, and harms nothing";
                not_well(name, Standing::Limited, size::display(free), mend)
            } else {
                well(name, size::display(free))
            }
        }
        Err(error) => not_well(name, Standing::Limited, "unknown", format!("it cannot be asked for: {error}")),
    }
}

/// The nearest folder above that is there.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn key(path: &Path) -> Examined {
    let (name, shown) = ("server key", path.display());
    match path.metadata() {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            not_well(name, Standing::Broken, format!("{shown} can be read by others"), format!("chmod 600 {shown}"))
        }
        Ok(_) => well(name, format!("{shown} (keep a copy elsewhere: without it no stored password can be read)")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            well(name, format!("{shown} (is made at the first start)"))
        }
        Err(error) => not_well(name, Standing::Broken, format!("{shown}: {error}"), "correct its rights"),
    }
}

/// A SQLite catalogue that is not there yet is not made by looking.
async fn catalogue(settings: &Settings) -> Examined {
    let name = "catalogue";
    let file = settings.data_dir.join("catalogue.db");
    if settings.database_url.is_none() && !file.exists() {
        return well(name, "SQLite (is made at the first start)");
    }
    let kind = if settings.database_url.is_none() { "SQLite" } else { "the database of HOLDFAST_DATABASE_URL" };
    let asked = async { Store::open(settings.catalogue_url().expose()).await?.last_copy().await };
    match asked.await {
        Ok(last) => {
            let copy = last.map_or_else(
                || "no copy of it lies in a vault yet".to_owned(),
                |last| format!("its newest copy in a vault is {} old", age(last.at, time::OffsetDateTime::now_utc())),
            );
            well(name, format!("{kind} answers; {copy}"))
        }
        Err(error) => not_well(name, Standing::Broken, format!("{kind} cannot be used"), error.to_string()),
    }
}

/// Free, or ours: a running server answers at the address in `client.json`.
async fn port(settings: &Settings) -> Examined {
    let (name, address) = ("listener", settings.listen);
    if !address.ip().is_loopback() {
        return not_well(
            name,
            Standing::Broken,
            format!("{address} is not loopback"),
            "without an identity provider Holdfast listens on loopback only: set HOLDFAST_LISTEN to 127.0.0.1:3000",
        );
    }
    let running = ClientFile::read(&settings.client_file()).map(|file| file.url);
    if let Ok(url) = running
        && reqwest::get(format!("{url}/healthz")).await.is_ok_and(|answer| answer.status().is_success())
    {
        return well(name, format!("a server runs at {url}"));
    }
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => well(name, format!("{address} is free")),
        Err(error) => {
            let mend = "stop the other program, or choose another address by HOLDFAST_LISTEN";
            not_well(name, Standing::Broken, format!("{address}: {error}"), mend)
        }
    }
}
