//! `config/<name>.json`: the one place that holds values.

use std::{collections::BTreeMap, fs::Metadata, os::unix::fs::MetadataExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use holdfast_model::secret::Secret;
use serde::{Deserialize, Serialize};

/// The version of this file's format.
const FORMAT: u32 = 1;

/// A configuration with its values. Has no `Debug`.
pub(crate) struct Document {
    pub file: Option<EnvFile>,
    pub entries: Vec<Entry>,
}

/// An env file as it was on disk.
pub(crate) struct EnvFile {
    pub path: String,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub content: Vec<u8>,
}

/// One variable.
pub(crate) struct Entry {
    pub name: String,
    pub value: Secret,
    pub origin: String,
}

#[derive(Serialize, Deserialize)]
struct Written {
    format: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<WrittenFile>,
    variables: Vec<WrittenEntry>,
}

#[derive(Serialize, Deserialize)]
struct WrittenFile {
    path: String,
    mode: u32,
    uid: u32,
    gid: u32,
    /// The bytes in base64.
    content: String,
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    name: String,
    value: String,
    origin: String,
}

impl EnvFile {
    pub(crate) fn new(path: &Path, facts: &Metadata, content: Vec<u8>) -> Self {
        Self {
            path: path.display().to_string(),
            mode: facts.mode() & 0o7777,
            uid: facts.uid(),
            gid: facts.gid(),
            content,
        }
    }
}

impl Document {
    pub(crate) const fn new(file: Option<EnvFile>, entries: Vec<Entry>) -> Self {
        Self { file, entries }
    }

    /// Every name with its origin; of a name given twice, the later one counts.
    pub(crate) fn origins(&self) -> BTreeMap<String, String> {
        self.entries.iter().map(|entry| (entry.name.clone(), entry.origin.clone())).collect()
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, String> {
        let written = Written {
            format: FORMAT,
            file: self.file.as_ref().map(|file| WrittenFile {
                path: file.path.clone(),
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                content: STANDARD.encode(&file.content),
            }),
            variables: self
                .entries
                .iter()
                .map(|entry| WrittenEntry {
                    name: entry.name.clone(),
                    value: entry.value.expose().to_owned(),
                    origin: entry.origin.clone(),
                })
                .collect(),
        };
        serde_json::to_vec_pretty(&written).map_err(|_| "the configuration cannot be written as JSON".to_owned())
    }

    pub(crate) fn from_json(text: &[u8]) -> Result<Self, String> {
        // The parser's own words may quote a value.
        let written: Written = serde_json::from_slice(text)
            .map_err(|_| "the sealed configuration is not the JSON that it was".to_owned())?;
        if written.format > FORMAT {
            return Err(format!("the sealed configuration has format {}; this version reads {FORMAT}", written.format));
        }
        let file = match written.file {
            None => None,
            Some(file) => Some(EnvFile {
                path: file.path,
                mode: file.mode,
                uid: file.uid,
                gid: file.gid,
                content: STANDARD.decode(file.content).map_err(|_| "the sealed env file is not base64".to_owned())?,
            }),
        };
        let entries = written
            .variables
            .into_iter()
            .map(|entry| Entry { name: entry.name, value: Secret::new(entry.value), origin: entry.origin })
            .collect();
        Ok(Self { file, entries })
    }
}
