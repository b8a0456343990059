//! An export of ours: its files in their order, each exactly as `metadata.json` says.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use flate2::read::MultiGzDecoder;
use holdfast_model::{
    export::{ExportedFile, METADATA, Metadata, SUMS},
    manifest::{Facts, ManifestComponent, Skipped},
    state::Kind,
};
use holdfast_vault::{Chunking, Node};
use zeroize::Zeroizing;

use super::{
    Desk, ImportError, Imported, Incoming,
    checked::Checked,
    entries::{Entries, odd},
    tree::{self, Found, Growing},
};
use crate::{
    capture::{Captured, CapturedComponent},
    config::Document,
    export::{BARE, HEADED, sums},
    postgres, sqlite,
};

/// A `config` component is no longer than this, and neither are the small files beside a dump.
const SMALL: u64 = 64 << 20;
/// What a repository's own settings may take beyond what the manifest counts.
const SLACK: u64 = 16 << 20;

/// What has come of one component.
enum Part {
    /// Nothing yet.
    Nothing,
    /// The parts of a PostgreSQL database.
    Postgres(Postgres),
    /// All of it.
    Whole(Box<Whole>),
}

struct Whole {
    node: Node,
    stored: u64,
    found: Option<Found>,
}

#[derive(Default)]
struct Postgres {
    nodes: Vec<Node>,
    stored: u64,
    dump: bool,
    database: bool,
}

/// Takes it.
pub(super) fn take(mut incoming: Incoming, metadata: Metadata, desk: &Desk<'_>) -> Result<Imported, ImportError> {
    let components = &metadata.manifest.components;
    for component in components.iter().filter(|component| component.kind == Kind::Postgres) {
        let Facts::Postgres { major, .. } = &component.facts else {
            return Err(ImportError::Refused(format!("the manifest does not describe `{}`", component.name)));
        };
        desk.refuse_unfenced(Some(*major))?;
    }
    let mut parts: BTreeMap<String, Part> =
        components.iter().map(|component| (component.name.to_string(), Part::Nothing)).collect();
    list(&mut incoming, &metadata)?;
    let mut expected = metadata.files.iter();
    while let Some((entry, name)) = incoming.next()? {
        let Some(file) = expected.next().filter(|file| file.name == name) else {
            return Err(out_of_order(&name, &metadata));
        };
        if entry.size != file.bytes {
            return Err(ImportError::Refused(format!(
                "{name} is damaged, or was changed: it has {} bytes, and metadata.json says {}",
                entry.size, file.bytes
            )));
        }
        desk.meter.set_current(&name);
        let mut content = incoming.entries.content();
        let mut checked = Checked::new(&mut content, &desk.ctx.cancel);
        file_by_name(file, &mut checked, &metadata, &mut parts, desk).map_err(|error| at(&name, error))?;
        checked.must_be(&name, &file.sha256)?;
    }
    if let Some(missing) = expected.next() {
        return Err(ImportError::Refused(format!("the archive was cut off: {} is missing", missing.name)));
    }
    incoming.entries.finish()?;
    assemble(metadata, parts, desk)
}

/// `SHA256SUMS`, which must say the same as `metadata.json`.
fn list(incoming: &mut Incoming, metadata: &Metadata) -> Result<(), ImportError> {
    let (sha256, bytes) = incoming.metadata.clone();
    let own = ExportedFile { name: METADATA.to_owned(), bytes, sha256, components: Vec::new() };
    let wanted = sums(std::iter::once(own).chain(metadata.files.iter().cloned()));
    let Some((entry, name)) = incoming.next()? else {
        return Err(ImportError::Refused(format!("the archive was cut off: {SUMS} is missing")));
    };
    if name != SUMS {
        return Err(out_of_order(&name, metadata));
    }
    let mut found = String::new();
    if entry.size == wanted.len() as u64 {
        incoming.entries.content().read_to_string(&mut found).map_err(|error| odd(&error))?;
    }
    if found == wanted {
        return Ok(());
    }
    Err(ImportError::Refused(format!(
        "{SUMS} and {METADATA} do not say the same: one of them is damaged, or was changed"
    )))
}

fn out_of_order(name: &str, metadata: &Metadata) -> ImportError {
    let known = name == SUMS || metadata.files.iter().any(|file| file.name == name);
    ImportError::Refused(if known {
        format!("{name} comes in another order than metadata.json says, or twice; import the folder instead")
    } else {
        format!("{name} is not a file of this export: metadata.json does not name it")
    })
}

/// The file's name before what is wrong with it.
fn at(name: &str, error: ImportError) -> ImportError {
    match error {
        ImportError::Refused(what) if !what.contains(name) => ImportError::Refused(format!("{name}: {what}")),
        other => other,
    }
}

fn file_by_name(
    file: &ExportedFile,
    content: &mut Checked<'_>,
    metadata: &Metadata,
    parts: &mut BTreeMap<String, Part>,
    desk: &Desk<'_>,
) -> Result<(), ImportError> {
    let name = file.name.as_str();
    let component = |name: &str, kind: Kind| {
        metadata.manifest.components.iter().find(|c| c.name.as_str() == name && c.kind == kind).ok_or_else(|| {
            ImportError::Refused(format!("it is a component of kind `{kind}` that the manifest does not have"))
        })
    };
    if name == "env.json" {
        // For people; the components' own files hold the same with its origins.
        return drain(content);
    }
    if let Some(of) = between(name, "config/", ".json") {
        let component = component(of, Kind::Config)?;
        let text = Zeroizing::new(small(file, content)?);
        Document::from_json(&text).map_err(ImportError::Refused)?;
        let (node, stored) = desk.put(&format!("{of}.json"), &text, component.instant)?;
        return whole(parts, of, node, stored, None);
    }
    if let Some(of) = between(name, "services/sqlite_", ".sqlite") {
        let component = component(of, Kind::Sqlite)?;
        let mut stream = desk.writer.stream(Chunking::Dump, desk.meter);
        io::copy(content, &mut stream).map_err(|error| odd(&error))?;
        let streamed = stream.finish()?;
        let image = Node::file(sqlite::IMAGE, streamed.content, streamed.bytes, component.instant);
        let tree = desk.writer.put_tree(vec![image])?;
        return whole(parts, of, Node::dir(of, tree, component.instant), streamed.stored, None);
    }
    if let Some(rest) = name.strip_prefix("services/postgres_") {
        let (of, what) = rest.split_once('.').unwrap_or((rest, ""));
        let component = component(of, Kind::Postgres)?;
        let slot = parts.entry(of.to_owned()).or_insert(Part::Nothing);
        if matches!(slot, Part::Nothing) {
            *slot = Part::Postgres(Postgres::default());
        }
        let Part::Postgres(part) = slot else {
            return Err(ImportError::Refused("its component has come already".to_owned()));
        };
        return of_postgres(what, file, component, content, part, desk);
    }
    match name {
        "data.tar.gz" => folders(file, Kind::Files, content, metadata, parts, desk),
        "source.tar.gz" => folders(file, Kind::Git, content, metadata, parts, desk),
        _ => Err(ImportError::Refused("this version does not know what it is".to_owned())),
    }
}

fn between<'a>(name: &'a str, start: &str, end: &str) -> Option<&'a str> {
    name.strip_prefix(start)?.strip_suffix(end)
}

fn drain(content: &mut impl Read) -> Result<(), ImportError> {
    io::copy(content, &mut io::sink()).map(drop).map_err(|error| odd(&error))
}

fn small(file: &ExportedFile, content: &mut impl Read) -> Result<Vec<u8>, ImportError> {
    if file.bytes > SMALL {
        return Err(ImportError::Refused(format!("it has {} bytes, which is too long for what it is", file.bytes)));
    }
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes).map_err(|error| odd(&error))?;
    Ok(bytes)
}

fn whole(
    parts: &mut BTreeMap<String, Part>,
    name: &str,
    node: Node,
    stored: u64,
    found: Option<Found>,
) -> Result<(), ImportError> {
    match parts.insert(name.to_owned(), Part::Whole(Box::new(Whole { node, stored, found }))) {
        Some(Part::Nothing) => Ok(()),
        _ => Err(ImportError::Refused(format!("the component `{name}` comes twice"))),
    }
}

fn of_postgres(
    what: &str,
    file: &ExportedFile,
    component: &ManifestComponent,
    content: &mut Checked<'_>,
    part: &mut Postgres,
    desk: &Desk<'_>,
) -> Result<(), ImportError> {
    let at = component.instant;
    let mut keep = |node: Node, stored: u64| {
        part.nodes.push(node);
        part.stored += stored;
    };
    match what {
        // The dump is what counts; this is for people.
        "sql" => return drain(content),
        "database.json" => {
            let text = small(file, content)?;
            postgres::check_database(&text).map_err(ImportError::Refused)?;
            let (node, stored) = desk.put("database.json", &text, at)?;
            keep(node, stored);
            part.database = true;
        }
        "globals.sql" => {
            let text = Zeroizing::new(small(file, content)?);
            let (node, stored) = desk.put("globals.sql", &text, at)?;
            keep(node, stored);
        }
        "dump" => {
            let mut stream = desk.writer.stream(Chunking::Dump, desk.meter);
            let archive = postgres::archive::copy(content, &mut stream).map_err(|error| match error {
                postgres::archive::ArchiveError::Source(error) | postgres::archive::ArchiveError::Sink(error) => {
                    odd(&error)
                }
                other => ImportError::Refused(other.to_string()),
            })?;
            let streamed = stream.finish()?;
            keep(Node::file("dump.pgc", streamed.content, streamed.bytes, at), streamed.stored);
            let index = serde_json::to_vec_pretty(&archive.index)
                .map_err(|error| ImportError::Host(format!("dump.idx.json: {error}")))?;
            let (node, stored) = desk.put("dump.idx.json", &index, at)?;
            keep(node, stored);
            part.dump = true;
        }
        _ => return Err(ImportError::Refused("this version does not know what it is".to_owned())),
    }
    Ok(())
}

/// `data.tar.gz` or `source.tar.gz`: a folder for each component.
fn folders(
    file: &ExportedFile,
    kind: Kind,
    content: &mut Checked<'_>,
    metadata: &Metadata,
    parts: &mut BTreeMap<String, Part>,
    desk: &Desk<'_>,
) -> Result<(), ImportError> {
    let mut growing: BTreeMap<&str, (Growing, u64)> = BTreeMap::new();
    for component in metadata.manifest.components.iter().filter(|component| component.kind == kind) {
        let name = component.name.as_str();
        if file.components.iter().any(|listed| listed == name) {
            let most = if kind == Kind::Git { component.size.saturating_add(SLACK) } else { component.size };
            growing.insert(name, (Growing::new(name, component.instant), most));
        }
    }
    let mut entries = Entries::new(MultiGzDecoder::new(&mut *content));
    while let Some(entry) = entries.next()? {
        let names = entry.names()?;
        let Some((first, below)) = names.split_first() else { continue };
        let known = std::str::from_utf8(first).ok().and_then(|name| growing.get_mut(name));
        let Some((component, most)) = known else {
            return Err(ImportError::Refused(format!("the entry `{}` is of no component", entry.shown())));
        };
        let target = if entry.kind().is_hard_link() { Some(tree::target(&entry)?) } else { None };
        // A hard link's target stands below the same component's folder, or it is none.
        let link = match &target {
            Some(target) => match target.split_first() {
                Some((of, rest)) if of == first => Some(rest),
                _ => Some(&[][..]),
            },
            None => None,
        };
        if kind == Kind::Files {
            let mut content = entries.content();
            component.take(&entry, below, link, &mut content, *most, desk.writer, desk.meter)?;
            continue;
        }
        // Of a repository its mirror is taken, which holds all commits and uncommitted work; the files beside are those.
        let Some((dot, inside)) = below.split_first().filter(|(dot, _)| ***dot == b".git"[..]) else { continue };
        let link = link.map(|link| link.strip_prefix(&[*dot][..]).unwrap_or_default());
        match inside {
            [name] if *name == b"index" => {}
            [name] if *name == b"config" && entry.is_file() => {
                if entry.size > SMALL {
                    return Err(ImportError::Refused("its settings are too long".to_owned()));
                }
                let mut text = String::new();
                entries.content().read_to_string(&mut text).map_err(|error| odd(&error))?;
                let text = text.replacen(HEADED, BARE, 1);
                let mut plain = entry;
                plain.size = text.len() as u64;
                let names = plain.names()?;
                let inside = names.get(2..).unwrap_or_default();
                component.take(&plain, inside, None, &mut text.as_bytes(), *most, desk.writer, desk.meter)?;
            }
            inside => {
                let mut content = entries.content();
                component.take(&entry, inside, link, &mut content, *most, desk.writer, desk.meter)?;
            }
        }
    }
    entries.finish()?;
    drop(entries);
    for (name, (component, _)) in growing {
        let (node, found) = component.finish(name, desk.writer)?;
        let stored = found.stored;
        whole(parts, name, node, stored, Some(found))?;
    }
    Ok(())
}

/// Every component must have come whole; its manifest says what its drill must find.
fn assemble(metadata: Metadata, mut parts: BTreeMap<String, Part>, desk: &Desk<'_>) -> Result<Imported, ImportError> {
    let manifest = metadata.manifest;
    let (mut components, mut missing) = (Vec::new(), Vec::new());
    for component in &manifest.components {
        let name = component.name.as_str();
        let (node, stored, found) = match parts.remove(name).unwrap_or(Part::Nothing) {
            Part::Whole(whole) => (whole.node, whole.stored, whole.found),
            Part::Postgres(part) if part.dump && part.database => {
                let tree = desk.writer.put_tree(part.nodes)?;
                (Node::dir(name, tree, component.instant), part.stored, None)
            }
            Part::Postgres(_) => {
                return Err(ImportError::Refused(format!("of the database `{name}` a file is missing")));
            }
            Part::Nothing => {
                // Only what the export itself says that it could not hold.
                let said = metadata.left_out.iter().find(|left| left.component == name && left.name == name);
                let said = said.ok_or_else(|| ImportError::Refused(format!("no file holds the component `{name}`")))?;
                missing.push(said.clone());
                continue;
            }
        };
        let mut sealed = ManifestComponent { stored, ..component.clone() };
        let left_out: Vec<Skipped> = metadata.left_out.iter().filter(|left| left.component == name).cloned().collect();
        if let Some(found) = found {
            if let Facts::Files { others, .. } = &mut sealed.facts {
                // What was left behind was counted, and the drill will not find it.
                let gone = found.devices.saturating_add(left_out.len() as u64);
                *others = others.saturating_sub(gone);
            }
            sealed.skipped.extend(found.skipped);
        }
        sealed.skipped.extend(left_out);
        components.push(CapturedComponent { manifest: sealed, node });
    }
    let Some(first) = components.first_mut() else {
        return Err(ImportError::Refused("there is no component in it that this version can take".to_owned()));
    };
    first.manifest.skipped.extend(missing);
    Ok(Imported {
        origin: metadata.origin,
        captured: Captured {
            components,
            held_at: manifest.created_at,
            skew_ms: manifest.skew_ms,
            tools: manifest.tools.clone(),
            failed: Vec::new(),
        },
        warnings: Vec::new(),
        manifest: Some(manifest),
    })
}
