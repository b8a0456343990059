//! Where a restore goes: to the places of a definition, into a folder, or into a database by its URL.
//!
//! A folder and a URL become a definition of their own, so that everything behind it is checked and put back by the
//! same code. What goes into a folder is made beside it and takes its name in one step, so that it is whole or absent.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use holdfast_model::{
    definition::{Component, Definition, DrillPlan, RestorePlan, Settings, Source},
    id::RunId,
    manifest::{Facts, ManifestComponent},
    secret::Secret,
    state::Kind,
};

use super::RestoreWork;
use crate::{failure::Failure, place};

/// Where it goes.
#[derive(Debug, Clone, Default)]
pub enum Destination {
    /// To the places that the definition names.
    #[default]
    Definition,
    /// Into a folder of this host that is empty or not there.
    Folder(PathBuf),
    /// One PostgreSQL component into the database of a URL.
    Database {
        /// The URL.
        url: Secret,
        /// Whether it may hold something already; that is kept under another name.
        replace: bool,
    },
}

impl Destination {
    /// Whether the application of the definition is stopped, replaced and started again.
    pub(super) const fn is_application(&self) -> bool {
        matches!(self, Self::Definition)
    }
}

/// The folder beside `folder` in which a run makes what takes its place.
fn staging(folder: &Path, run: &RunId) -> PathBuf {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short: String = name.chars().take(40).collect();
    folder.with_file_name(format!(".{short}.holdfast-{run}"))
}

/// Removes what a run that could not end left beside its folder.
pub fn sweep_folder(folder: &Path, run: &RunId) {
    let _ = fs::remove_dir_all(staging(folder, run));
}

/// The same work with a definition that names the places of its destination.
///
/// # Errors
/// Everything that does not fit, with its mend.
pub(super) fn settle(mut work: RestoreWork) -> Result<RestoreWork, Vec<String>> {
    work.definition = match work.destination.clone() {
        Destination::Definition => return Ok(work),
        Destination::Folder(folder) => for_folder(&work, &folder)?,
        Destination::Database { url, .. } => for_database(&work, url).map_err(|why| vec![why])?,
    };
    Ok(work)
}

fn alone(work: &RestoreWork, components: Vec<Component>) -> Definition {
    Definition {
        project: work.definition.project.clone(),
        environment: work.definition.environment.clone(),
        app: None,
        components,
        restore: RestorePlan::default(),
        drill: DrillPlan::default(),
        checkpoints: None,
        hooks: None,
    }
}

fn component(sealed: &ManifestComponent, settings: Settings) -> Component {
    Component { name: sealed.name.clone(), host: "local".to_owned(), recoverable: None, settings }
}

fn chosen(work: &RestoreWork) -> impl Iterator<Item = &ManifestComponent> {
    let sealed = |name| work.manifest.components.iter().find(move |component| &component.name == name);
    work.components.iter().filter_map(sealed)
}

fn for_folder(work: &RestoreWork, folder: &Path) -> Result<Definition, Vec<String>> {
    let (mut components, mut faults) = (Vec::new(), Vec::new());
    faults.extend(refuse_folder(work, folder));
    let (several, staging) = (work.components.len() > 1, staging(folder, &work.run));
    for sealed in chosen(work) {
        let base = if several { staging.join(sealed.name.as_str()) } else { staging.clone() };
        let settings = match (&sealed.facts, sealed.kind) {
            // A single file takes its own name in the folder.
            (Facts::Files { dirs: 0, path, .. }, _) => {
                Settings::Files { path: base.join(file_name(path, sealed.name.as_str())), exclude: Vec::new() }
            }
            (_, Kind::Files) => Settings::Files { path: base, exclude: Vec::new() },
            (_, Kind::Git) => Settings::Git { path: base },
            (Facts::Sqlite { path, .. }, _) => {
                Settings::Sqlite { path: base.join(file_name(path, &format!("{}.sqlite", sealed.name))) }
            }
            (_, Kind::Config) => {
                let known = work.definition.component(sealed.name.as_str()).map(|component| &component.settings);
                let file = match known {
                    Some(Settings::Config { file: Some(file), .. }) => file_name(&file.to_string_lossy(), ".env"),
                    _ => ".env".to_owned(),
                };
                Settings::Config { file: Some(base.join(file)), variables: Vec::new() }
            }
            (_, kind) => {
                let mend = match kind {
                    Kind::Postgres => "put it into another database with --to-url, or leave it out with --components",
                    _ => "leave it out with --components",
                };
                faults.push(format!(
                    "component `{}` is of kind `{kind}`, which goes into no folder; {mend}",
                    sealed.name
                ));
                continue;
            }
        };
        components.push(component(sealed, settings));
    }
    if faults.is_empty() { Ok(alone(work, components)) } else { Err(faults) }
}

/// The last part of a sealed path; it is data, and may be anything.
fn file_name(path: &str, otherwise: &str) -> String {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.contains('\0')).unwrap_or_else(|| otherwise.to_owned())
}

fn refuse_folder(work: &RestoreWork, folder: &Path) -> Option<String> {
    let shown = folder.display();
    if !folder.is_absolute() || folder.file_name().is_none() {
        return Some(format!("{shown} is not the absolute path of a folder; give one such as /srv/restored"));
    }
    let real = place::real(folder);
    if work.forbidden.iter().any(|own| real.starts_with(place::real(own))) {
        return Some(format!("{shown} lies in Holdfast's own data directory or in a vault; choose another folder"));
    }
    let parent = real.parent().unwrap_or(Path::new("/"));
    match folder.symlink_metadata() {
        Ok(facts) if facts.file_type().is_symlink() => {
            return Some(format!("{shown} is a link; name the folder itself, {}", real.display()));
        }
        Ok(facts) if !facts.is_dir() => {
            return Some(format!("{shown} is there and is not a folder; name one that is empty or not there"));
        }
        Ok(facts) => {
            match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
                Ok(true) => {}
                Ok(false) => return Some(format!("{shown} is not empty; name a folder that is empty or not there")),
                Err(error) => return Some(format!("{shown} cannot be looked into: {error}")),
            }
            if fs::metadata(parent).is_ok_and(|above| above.dev() != facts.dev()) {
                return Some(format!("{shown} is where a file system is mounted; name a new folder in it"));
            }
        }
        Err(_) => {}
    }
    if !place::writable(parent) {
        let at = place::existing(parent);
        return Some(format!("{} cannot be written by this user; give it the right to", at.display()));
    }
    None
}

fn for_database(work: &RestoreWork, url: Secret) -> Result<Definition, String> {
    let mut sealed = chosen(work);
    match (sealed.next(), sealed.next()) {
        (Some(one), None) if one.kind == Kind::Postgres => {
            Ok(alone(work, vec![component(one, Settings::Postgres { url: Source::Given(url) })]))
        }
        _ => Err("into a database goes one PostgreSQL component; name it with --components".to_owned()),
    }
}

/// Makes the folder that is filled; only this user may look into it.
pub(super) fn begin(work: &RestoreWork) -> Result<(), Failure> {
    let Destination::Folder(folder) = &work.destination else { return Ok(()) };
    let staging = staging(folder, &work.run);
    place::private_dir(&staging).map_err(|error| Failure::io(&staging, &error))
}

/// Gives the filled folder its name. One that stands there empty makes way in the same step.
pub(super) fn take_place(work: &RestoreWork) -> Result<String, Failure> {
    let Destination::Folder(folder) = &work.destination else { return Ok(String::new()) };
    let staging = staging(folder, &work.run);
    if let Ok(standing) = fs::symlink_metadata(folder) {
        // What the owner of the folder has set stays set.
        let _ = crate::config::set_facts(&staging, standing.mode() & 0o7777, standing.uid(), standing.gid());
    } else {
        let _ = fs::set_permissions(&staging, std::os::unix::fs::PermissionsExt::from_mode(0o700));
    }
    fs::rename(&staging, folder).map_err(|error| {
        Failure::Said(format!(
            "{} could not be put in place, because something is there now: {error}",
            folder.display()
        ))
    })?;
    place::sync_dir(folder.parent().unwrap_or(Path::new("/"))).map_err(|error| Failure::io(folder, &error))?;
    Ok(folder.display().to_string())
}

/// After a failure nothing is left of a folder that was being filled; whether it is one.
pub(super) fn abandon(work: &RestoreWork) -> bool {
    let Destination::Folder(folder) = &work.destination else { return false };
    sweep_folder(folder, &work.run);
    true
}

/// What people read: the folder by its own name, not by the one that it has while it is filled.
pub(super) fn shown(work: &RestoreWork, text: &str) -> String {
    match &work.destination {
        Destination::Folder(folder) => {
            let staging = staging(folder, &work.run);
            text.replace(&staging.display().to_string(), &folder.display().to_string())
        }
        _ => text.to_owned(),
    }
}
