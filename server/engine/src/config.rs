//! Configuration: an env file byte for byte, and variables, each with its origin.
//!
//! Values exist only in `config/<name>.json` in the vault; no event, error or `Debug` text holds one.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use holdfast_model::{
    definition::Variable,
    drill::{Check, Gap},
    manifest::{Facts, ManifestComponent},
    secret::Secret,
};
use holdfast_vault::{Chunking, Meter, Node, Vault, Writer};
use time::OffsetDateTime;

use crate::failure::Failure;

mod changes;
mod document;
mod parse;
mod put_back;
pub(crate) use changes::{Changes, changes};
pub(crate) use document::{Document, Entry, EnvFile};
pub(crate) use put_back::put_back;

/// An env file is at most this long; anything longer is not one.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A configuration that was read: its values are of one instant.
pub(crate) struct Held {
    document: Document,
    instant: OffsetDateTime,
    unread: Vec<(String, String, String)>,
}

/// What came of it.
pub(crate) struct ConfigCapture {
    pub node: Node,
    pub size: u64,
    pub stored: u64,
    pub items: u64,
    pub facts: Facts,
    pub skipped: Vec<(String, String, String)>,
}

/// Reads the file and the variables.
///
/// # Errors
/// The file cannot be read or is too long; a variable is not set. The text names it, never a value.
pub(crate) fn hold(file: Option<&Path>, variables: &[Variable]) -> Result<Held, Failure> {
    let instant = OffsetDateTime::now_utc();
    let (mut entries, mut unread, mut kept) = (Vec::new(), Vec::new(), None);
    if let Some(path) = file {
        let bytes = read_file(path)?;
        let origin = format!("the file {}", path.display());
        match parse::env_file(&bytes.0) {
            Ok(pairs) => entries.extend(pairs.into_iter().map(|(name, value)| Entry {
                name,
                value: Secret::new(value),
                origin: origin.clone(),
            })),
            Err(why) => unread.push((path.display().to_string(), "unparsed".to_owned(), why)),
        }
        kept = Some(EnvFile::new(path, &bytes.1, bytes.0));
    }
    for variable in variables {
        let (value, origin) = match &variable.value {
            Some(value) => (value.clone(), "the definition".to_owned()),
            None => (
                crate::source::variable(&variable.name)?,
                format!("the variable {} of the capturing host", variable.name),
            ),
        };
        entries.push(Entry { name: variable.name.clone(), value, origin });
    }
    Ok(Held { document: Document::new(kept, entries), instant, unread })
}

fn read_file(path: &Path) -> Result<(Vec<u8>, fs::Metadata), Failure> {
    let said = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::Said(format!("the file {} does not exist; make it, or correct `file`", path.display()))
        }
        _ => Failure::Said(format!("the file {} cannot be read: {error}", path.display())),
    };
    let mut file = fs::File::open(path).map_err(said)?;
    let facts = file.metadata().map_err(said)?;
    if !facts.is_file() || facts.len() > LONGEST {
        return Err(Failure::Said(format!(
            "{} is not an env file: not a regular file, or above 16 MB",
            path.display()
        )));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(said)?;
    Ok((bytes, facts))
}

impl Held {
    pub(crate) const fn instant(&self) -> OffsetDateTime {
        self.instant
    }

    /// Stores it as one file, `<name>.json`.
    pub(crate) fn stream(self, name: &str, writer: &Writer, meter: &Meter) -> Result<ConfigCapture, Failure> {
        let text = self.document.to_json()?;
        let file = format!("{name}.json");
        let mut stream = writer.stream(Chunking::Files, meter);
        stream.write_all(&text).map_err(|error| Failure::io(Path::new(&file), &error))?;
        let streamed = stream.finish()?;
        meter.add_files(1);
        let variables: BTreeMap<String, String> = self.document.origins();
        Ok(ConfigCapture {
            node: Node::file(&file, streamed.content, streamed.bytes, self.instant),
            size: streamed.bytes,
            stored: streamed.stored,
            items: u64::try_from(variables.len()).unwrap_or(u64::MAX),
            facts: Facts::Config { variables },
            skipped: self.unread,
        })
    }
}

/// Reads a sealed configuration.
///
/// # Errors
/// The vault fails, or what it holds is not a configuration of ours.
pub(crate) fn read(vault: &Vault, node: &Node) -> Result<Document, Failure> {
    let mut text = Vec::new();
    let limit = LONGEST.saturating_mul(4);
    vault.read(node)?.take(limit).read_to_end(&mut text).map_err(|e| Failure::io(Path::new("config"), &e))?;
    Document::from_json(&text).map_err(Failure::Said)
}

/// Compares a sealed configuration with its manifest: it parses, and names and origins agree.
pub(crate) fn drill(
    vault: &Vault,
    node: &Node,
    component: &ManifestComponent,
) -> Result<(Vec<Check>, Vec<Gap>), Failure> {
    let begun = std::time::Instant::now();
    let check = |name: &str, expected: String, found: String, message: &str| Check {
        component: component.name.to_string(),
        name: name.to_owned(),
        passed: expected == found,
        message: (expected != found).then(|| message.to_owned()),
        expected: Some(expected),
        found: Some(found),
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    let Facts::Config { variables } = &component.facts else {
        return Err(Failure::Said("the manifest does not describe it as a configuration".to_owned()));
    };
    let document = read(vault, node)?;
    let list = |map: &BTreeMap<String, String>| {
        map.iter().map(|(name, origin)| format!("{name} from {origin}")).collect::<Vec<_>>().join("; ")
    };
    let mut checks = vec![check(
        "variables",
        list(variables),
        list(&document.origins()),
        "other variables or origins in the configuration than were sealed",
    )];
    if let Some(file) = &document.file {
        let again = parse::env_file(&file.content).unwrap_or_default();
        let from_file = format!("the file {}", file.path);
        let sealed = document.entries.iter().filter(|entry| entry.origin == from_file);
        let same = sealed
            .map(|entry| (entry.name.as_str(), entry.value.expose()))
            .eq(again.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        checks.push(check(
            "env file",
            "parses to the sealed values".to_owned(),
            if same { "parses to the sealed values" } else { "parses to other values" }.to_owned(),
            "the env file in the copy does not parse to the values that were sealed",
        ));
    }
    Ok((checks, Vec::new()))
}

/// Permission bits, owner and group as they were.
pub(crate) fn set_facts(path: &Path, mode: u32, uid: u32, gid: u32) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))?;
        // chown clears set-uid bits, so the mode is set again.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The path, mode, owner and group of a file that stands there.
pub(crate) fn facts_of(path: &Path) -> Option<(PathBuf, u32, u32, u32)> {
    let facts = fs::metadata(path).ok()?;
    Some((path.to_path_buf(), facts.mode() & 0o7777, facts.uid(), facts.gid()))
}
