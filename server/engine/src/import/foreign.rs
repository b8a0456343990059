//! A backup directory of hop3's layout: no ledger came with it, so nothing in it can be compared with what it was taken
//! of, and every component says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::PathBuf,
};

use flate2::read::MultiGzDecoder;
use holdfast_model::{
    manifest::{Facts, ManifestComponent, Skipped},
    name::Name,
    secret::Secret,
    state::Kind,
};
use holdfast_vault::Node;
use time::OffsetDateTime;
use tokio::runtime::Handle;

use super::{
    Desk, ImportError, Imported, Incoming,
    checked::Checked,
    described::Foreign,
    entries::{Entries, odd},
    repository,
    tree::{self, Growing},
};
use crate::{
    capture::{Captured, CapturedComponent},
    config::{Document, Entry as Variable},
    postgres,
};

/// What an archive may grow by: this many bytes for each that came, and this many in any case.
const RATIO: u64 = 200;
const ROOM: u64 = 256 << 20;
const SMALL: u64 = 16 << 20;

/// Takes it.
pub(super) fn take(mut incoming: Incoming, foreign: Foreign, desk: &Desk<'_>) -> Result<Imported, ImportError> {
    let mut names = Names::new(&desk.work.known);
    let mut seen = BTreeSet::new();
    let mut components: Vec<CapturedComponent> = Vec::new();
    let mut dumps: Vec<(Name, PathBuf)> = Vec::new();
    let mut tools = BTreeMap::new();
    let at = foreign.origin.time;
    while let Some((_, name)) = incoming.next()? {
        let Some(sum) = foreign.checksums.get(&name) else {
            return Err(ImportError::Refused(format!(
                "{name} is not a file of this backup: metadata.json does not name it"
            )));
        };
        if !seen.insert(name.clone()) {
            return Err(ImportError::Refused(format!("{name} comes twice")));
        }
        desk.meter.set_current(&name);
        let mut content = incoming.entries.content();
        let mut checked = Checked::new(&mut content, &desk.ctx.cancel);
        match name.as_str() {
            "env.json" => components.push(variables(&mut checked, &names.one(Kind::Config, "env"), at, desk)?),
            "data.tar.gz" => components.push(data(&mut checked, &names.one(Kind::Files, "data"), &foreign, desk)?),
            "source.tar.gz" => {
                let of = names.one(Kind::Git, "source");
                components.push(repository::take(&mut checked, &of, at, desk)?);
                tools.extend(desk.tools.git_version().ok().map(|version| ("git".to_owned(), version.to_owned())));
            }
            other => match other.strip_prefix("services/").and_then(|file| file.strip_suffix(".sql")) {
                Some(service) if service.starts_with("postgres_") => {
                    desk.refuse_unfenced(None)?;
                    let of = names.one(Kind::Postgres, service.trim_start_matches("postgres_"));
                    // Only when all has come and fits is anything of it run.
                    let place = desk.work.scratch.join(format!("{}.sql", dumps.len()));
                    keep(&mut checked, &place)?;
                    dumps.push((of, place));
                }
                _ => {
                    return Err(ImportError::Refused(format!(
                        "{other}: this version takes metadata.json, source.tar.gz, data.tar.gz, env.json and \
                         services/postgres_NAME.sql of such a backup"
                    )));
                }
            },
        }
        checked.must_be(&name, sum)?;
    }
    if let Some(missing) = foreign.checksums.keys().find(|name| !seen.contains(*name)) {
        return Err(ImportError::Refused(format!("the archive was cut off: {missing} is missing")));
    }
    incoming.entries.finish()?;
    for (name, sql) in dumps {
        components.push(database(&name, &sql, at, desk)?);
        let _ = fs::remove_file(&sql);
    }
    if components.is_empty() {
        return Err(ImportError::Refused("there is nothing in it but its metadata.json".to_owned()));
    }
    for component in &mut components {
        component.manifest.skipped.push(uncompared(&component.manifest.name, &foreign));
    }
    Ok(Imported {
        captured: Captured { components, held_at: at, skew_ms: 0, tools, failed: Vec::new() },
        origin: foreign.origin,
        warnings: foreign.warnings,
        manifest: None,
    })
}

/// What keeps the verdict below `proven`.
fn uncompared(component: &Name, foreign: &Foreign) -> Skipped {
    Skipped {
        component: component.to_string(),
        name: component.to_string(),
        reason: "not_compared".to_owned(),
        message: format!(
            "{} {} left no ledger with it: the copy is whole and can be restored, but whether it holds what the \
             application held cannot be compared",
            foreign.origin.system, foreign.origin.id
        ),
    }
}

/// Names for what comes: the environment's own where only one fits.
struct Names {
    known: Vec<(Name, Kind)>,
    taken: BTreeSet<Name>,
}

impl Names {
    fn new(known: &[(Name, Kind)]) -> Self {
        Self { known: known.to_vec(), taken: BTreeSet::new() }
    }

    fn one(&mut self, kind: Kind, theirs: &str) -> Name {
        let nearest = Name::nearest(theirs);
        let free = |name: &&Name| !self.taken.contains(*name);
        let of_kind: Vec<&Name> =
            self.known.iter().filter(|(_, known)| *known == kind).map(|(name, _)| name).filter(free).collect();
        let chosen = match of_kind.as_slice() {
            all if all.contains(&&nearest) => nearest,
            [only] => (*only).clone(),
            _ => nearest,
        };
        let mut name = chosen.clone();
        let mut number = 2;
        while self.taken.contains(&name) {
            name = Name::nearest(&format!("{:.55}-{number}", chosen.as_str()));
            number += 1;
        }
        self.taken.insert(name.clone());
        name
    }
}

/// A component of which only its node, counts and facts differ from kind to kind.
pub(super) fn component(name: &Name, kind: Kind, at: OffsetDateTime, node: Node) -> CapturedComponent {
    let place = match kind {
        Kind::Config => format!("config/{name}.json"),
        kind => format!("{}/{name}", kind.folder()),
    };
    CapturedComponent {
        manifest: ManifestComponent {
            name: name.clone(),
            kind,
            host: "local".to_owned(),
            place,
            instant: at,
            size: 0,
            stored: 0,
            items: 0,
            ledger: None,
            facts: Facts::None,
            skipped: Vec::new(),
            not_covered: Vec::new(),
        },
        node,
    }
}

fn keep(content: &mut impl Read, place: &std::path::Path) -> Result<(), ImportError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |error: io::Error| ImportError::Host(format!("{}: {error}", place.display()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(place).map_err(failed)?;
    io::copy(content, &mut file).map(drop).map_err(|error| odd(&error))
}

/// `env.json`: a map of names to values.
fn variables(
    content: &mut Checked<'_>,
    name: &Name,
    at: OffsetDateTime,
    desk: &Desk<'_>,
) -> Result<CapturedComponent, ImportError> {
    let mut text = Vec::new();
    content.take(SMALL).read_to_end(&mut text).map_err(|error| odd(&error))?;
    // The parser's own words may quote a value.
    let refused = || ImportError::Refused("env.json is not a map of names to values".to_owned());
    let map: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text).map_err(|_| refused())?;
    let mut entries = Vec::new();
    for (variable, value) in map {
        let value = match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            serde_json::Value::Bool(_) | serde_json::Value::Number(_) => value.to_string(),
            _ => return Err(refused()),
        };
        entries.push(Variable {
            name: variable,
            value: Secret::new(value),
            origin: "env.json of the import".to_owned(),
        });
    }
    let document = Document::new(None, entries);
    let bytes = document.to_json().map_err(ImportError::Host)?;
    let (node, stored) = desk.put(&format!("{name}.json"), &bytes, at)?;
    let origins = document.origins();
    let mut made = component(name, Kind::Config, at, node);
    made.manifest.size = bytes.len() as u64;
    (made.manifest.stored, made.manifest.items) = (stored, origins.len() as u64);
    made.manifest.facts = Facts::Config { variables: origins };
    Ok(made)
}

/// `data.tar.gz`: the application's files.
fn data(
    content: &mut Checked<'_>,
    name: &Name,
    foreign: &Foreign,
    desk: &Desk<'_>,
) -> Result<CapturedComponent, ImportError> {
    let at = foreign.origin.time;
    let mut growing = Growing::new(name.as_str(), at);
    // What may come is known only as it comes: the decoder is asked how much it took.
    let mut entries = Entries::new(MultiGzDecoder::new(&mut *content));
    while let Some(entry) = entries.next()? {
        let names = entry.names()?;
        let target = if entry.kind().is_hard_link() { Some(tree::target(&entry)?) } else { None };
        let most = entries.taken(|decoder| decoder.get_ref().so_far()).saturating_mul(RATIO).saturating_add(ROOM);
        let mut inner = entries.content();
        growing.take(&entry, &names, target.as_deref(), &mut inner, most, desk.writer, desk.meter)?;
    }
    entries.finish()?;
    drop(entries);
    growing.unwrap_folder(&["data", foreign.application.as_str()]);
    let (node, found) = growing.finish(name.as_str(), desk.writer)?;
    let mut made = component(name, Kind::Files, at, node);
    made.manifest.size = found.bytes;
    (made.manifest.stored, made.manifest.items) = (found.stored, found.files);
    made.manifest.facts = Facts::Files {
        path: "data.tar.gz of the import".to_owned(),
        exclude: Vec::new(),
        files: found.files,
        dirs: found.dirs,
        others: found.others,
        unchanged: 0,
    };
    made.manifest.skipped = found.skipped;
    Ok(made)
}

/// A plain dump, through a throwaway server.
fn database(
    name: &Name,
    sql: &std::path::Path,
    at: OffsetDateTime,
    desk: &Desk<'_>,
) -> Result<CapturedComponent, ImportError> {
    let step = format!("import:{name}");
    let title = "SQL loaded behind a fence, and taken as a dump";
    let tell = |state, detail| desk.ctx.step(&step, title, state, Some(name.as_str()), detail);
    tell(holdfast_model::event::StepState::Started, None);
    let loading = postgres::load(sql, name, desk.writer.clone(), &desk.work.scratch, desk.tools, desk.meter, desk.ctx);
    let loaded = match Handle::current().block_on(loading) {
        Ok(loaded) => loaded,
        Err(_) if desk.ctx.cancel.is_cancelled() => return Err(ImportError::Cancelled),
        Err(error) => {
            tell(holdfast_model::event::StepState::Failed, Some(error.to_string()));
            return Err(ImportError::Refused(format!("the SQL of `{name}` could not be loaded: {error}")));
        }
    };
    tell(holdfast_model::event::StepState::Done, Some(format!("{} tables", loaded.items)));
    let tree = desk.writer.put_tree(loaded.nodes)?;
    let mut made = component(name, Kind::Postgres, at, Node::dir(name.as_str(), tree, at));
    made.manifest.size = loaded.size;
    (made.manifest.stored, made.manifest.items) = (loaded.stored, loaded.items);
    (made.manifest.ledger, made.manifest.facts) = (Some(loaded.ledger), loaded.facts);
    (made.manifest.skipped, made.manifest.not_covered) = (loaded.skipped, loaded.not_covered);
    Ok(made)
}
