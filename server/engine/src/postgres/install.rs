//! The PostgreSQL installations of this host.

use std::path::{Path, PathBuf};

use holdfast_vault::Cancel;

use crate::command::Program;

/// An installation of PostgreSQL on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgInstall {
    /// Major version.
    pub major: u32,
    /// Major and minor version.
    pub version: (u32, u32),
    /// Where its programs are.
    pub bin: PathBuf,
    /// Whether it has the fix of CVE-2026-116314: below it, a crafted archive runs code in `pg_restore`.
    pub patched: bool,
    /// Whether a server is there, not only clients.
    pub has_server: bool,
}

impl PgInstall {
    /// One of its programs.
    #[must_use]
    pub fn program(&self, name: &str) -> Program {
        Program::new(self.bin.join(name))
    }

    /// Its version, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }
}

/// Every installation in those folders, or in the usual places when there are none given; newest first.
pub async fn installs(dirs: &[PathBuf]) -> Vec<PgInstall> {
    let places = if dirs.is_empty() { usual_places() } else { dirs.to_vec() };
    let mut found: Vec<PgInstall> = Vec::new();
    for bin in places {
        if let Some(install) = look(&bin).await
            && !found.iter().any(|other| other.version == install.version && other.has_server >= install.has_server)
        {
            found.push(install);
        }
    }
    found.sort_by_key(|install| (std::cmp::Reverse(install.version), std::cmp::Reverse(install.has_server)));
    found
}

fn usual_places() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    places.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    places
}

async fn look(bin: &Path) -> Option<PgInstall> {
    let there = |name: &str| bin.join(name).is_file();
    // Debian's /usr/bin/pg_dump is a wrapper that picks a version by itself; the real programs stand beside pg_config's kin.
    let wrapper = bin.join("pg_dump").canonicalize().is_ok_and(|path| path.ends_with("pg_wrapper"));
    if !there("pg_dump") || !there("pg_restore") || wrapper {
        return None;
    }
    let output = Program::new(bin.join("pg_dump")).arg("--version").output(&Cancel::new()).await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut parts = number.split(|c: char| !c.is_ascii_digit());
    let major: u32 = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some(PgInstall {
        major,
        version: (major, minor),
        patched: is_patched(major, minor),
        has_server: there("postgres") && there("initdb"),
        bin: bin.to_owned(),
    })
}

fn is_patched(major: u32, minor: u32) -> bool {
    match major {
        14 => minor >= 25,
        15 => minor >= 20,
        16 => minor >= 16,
        17 => minor >= 12,
        18 => minor >= 7,
        _ => major > 18,
    }
}
