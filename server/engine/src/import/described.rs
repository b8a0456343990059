//! `metadata.json` of what comes: ours, or hop3's.

use std::collections::BTreeMap;

use holdfast_model::{
    export::{FORMAT, Metadata, Origin, SYSTEM},
    manifest,
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::ImportError;

/// The major version of hop3's format that is read.
const HOP3_FORMAT: u32 = 1;

/// What comes, by its first file.
#[derive(Debug, Clone)]
pub(super) enum Described {
    /// An export of ours.
    Ours(Box<Metadata>),
    /// A backup directory of hop3's layout.
    Foreign(Foreign),
}

/// hop3's `metadata.json`, as far as it is needed.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub(super) origin: Origin,
    pub(super) application: String,
    /// SHA-256 by file.
    pub(super) checksums: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Hop3 {
    backup_id: String,
    app_name: String,
    created_at: String,
    #[serde(default)]
    format_version: Option<String>,
    #[serde(default)]
    hop3_version: Option<String>,
    checksums: BTreeMap<String, String>,
}

impl Described {
    /// Reads it; what cannot be read by this version says so before anything else of it is believed.
    pub(super) fn read(text: &[u8]) -> Result<Self, ImportError> {
        let refused = |what: String| ImportError::Refused(format!("metadata.json {what}"));
        let value: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| refused(format!("is not JSON: {error}")))?;
        if value.get("backup_id").is_some() {
            return Self::hop3(value).map(Self::Foreign);
        }
        let system = value.pointer("/origin/system").and_then(serde_json::Value::as_str);
        if system != Some(SYSTEM) {
            return Err(refused("is of no program that is known here: neither Holdfast nor hop3".to_owned()));
        }
        let number = |at: &str| value.pointer(at).and_then(serde_json::Value::as_u64);
        let version = value.pointer("/origin/version").and_then(serde_json::Value::as_str).unwrap_or("?").to_owned();
        for (at, known) in [("/format", FORMAT), ("/manifest/format", manifest::FORMAT)] {
            match number(at) {
                Some(found) if found > u64::from(known) => {
                    return Err(refused(format!(
                        "has format {found}, written by Holdfast {version}, and this version reads up to {known}; update \
                         Holdfast"
                    )));
                }
                Some(_) => {}
                None => return Err(refused("does not say which format it has".to_owned())),
            }
        }
        let metadata = serde_json::from_value(value).map_err(|error| refused(format!("cannot be read: {error}")))?;
        Ok(Self::Ours(Box::new(metadata)))
    }

    fn hop3(value: serde_json::Value) -> Result<Foreign, ImportError> {
        let refused = |what: String| ImportError::Refused(format!("metadata.json of a hop3 backup {what}"));
        let read: Hop3 = serde_json::from_value(value).map_err(|error| refused(format!("cannot be read: {error}")))?;
        let mut warnings = Vec::new();
        let format = read.format_version.unwrap_or_else(|| "0".to_owned());
        let major: u32 = format.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
        if major > HOP3_FORMAT {
            return Err(refused(format!(
                "has format {format}, and this version reads up to {HOP3_FORMAT}; update Holdfast"
            )));
        }
        if major < HOP3_FORMAT {
            warnings.push(format!("its format, {format}, is older than the one that is known here"));
        }
        let time = moment(&read.created_at)
            .ok_or_else(|| refused(format!("says that it was made at `{}`, which is no time", read.created_at)))?;
        let mut checksums = BTreeMap::new();
        for (name, sum) in read.checksums {
            let sum = sum.strip_prefix("sha256:").unwrap_or(&sum).to_lowercase();
            if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(refused(format!("has no SHA-256 for {name}")));
            }
            checksums.insert(name, sum);
        }
        if checksums.is_empty() {
            return Err(refused("names no file".to_owned()));
        }
        let version = read.hop3_version.unwrap_or_else(|| "?".to_owned());
        Ok(Foreign {
            origin: Origin { system: "hop3".to_owned(), id: read.backup_id, version, time },
            application: read.app_name,
            checksums,
            warnings,
        })
    }

    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Ours(metadata) => metadata.origin.clone(),
            Self::Foreign(foreign) => foreign.origin.clone(),
        }
    }

    pub(super) fn environment(&self) -> String {
        match self {
            Self::Ours(metadata) => format!("{}/{}", metadata.manifest.project, metadata.manifest.environment),
            Self::Foreign(foreign) => foreign.application.clone(),
        }
    }
}

/// A time by RFC 3339; without a zone it is UTC.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim().replace(' ', "T");
    OffsetDateTime::parse(&text, &Rfc3339).or_else(|_| OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339)).ok()
}
