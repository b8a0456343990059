//! Everything that can be checked before anything is touched.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::{
    manifest::FORMAT,
    plan::PlanSpace,
    size,
    state::{Kind, Proof},
};

use super::{RestoreWork, destination::shown, item::Item, overlap};
use crate::{context::Context, place, tools::Tools};

/// Room for what a tool writes beside an archive.
const MARGIN: u64 = 16_000_000;

/// What was found.
#[derive(Default)]
pub(super) struct Checked {
    /// What can be put back.
    pub items: Vec<Item>,
    /// Everything that is wrong, a sentence each with its mend.
    pub faults: Vec<String>,
    /// Things to know.
    pub warnings: Vec<String>,
    /// Room, file system by file system.
    pub space: Vec<PlanSpace>,
}

/// The items of the restore, and everything that is wrong.
pub(super) async fn everything(work: &RestoreWork, tools: &Tools, ctx: &Context) -> Checked {
    let mut found = Checked::default();
    if work.manifest.format > FORMAT {
        let format = work.manifest.format;
        found
            .faults
            .push(format!("the manifest has format {format}; this version reads {FORMAT}: use a newer Holdfast"));
        return found;
    }
    if work.components.is_empty() {
        found.faults.push("no component was chosen".to_owned());
    }
    if !work.tables.is_empty() && work.components.len() > 1 {
        found.faults.push("tables are put back in one database at a time; name its component with --components".into());
        return found;
    }
    commands(work, &mut found.faults);
    for name in &work.components {
        if ctx.cancel.is_cancelled() {
            found.faults = vec![Proof::Unproven.to_string()];
            return found;
        }
        let sealed = work.manifest.components.iter().find(|component| &component.name == name);
        let now = work.definition.component(name.as_str());
        match (sealed, now) {
            (None, _) => found
                .faults
                .push(format!("component `{name}` is not in this checkpoint; choose among those that are")),
            (_, None) => found.faults.push(format!(
                "component `{name}` is not in the definition of {} as it is applied now; apply one that has it, or leave it out with --components",
                work.definition.environment
            )),
            (Some(sealed), Some(now)) if sealed.kind != now.kind() => found.faults.push(format!(
                "component `{name}` was sealed as `{}` and is defined as `{}` now; apply a definition of the old kind",
                sealed.kind,
                now.kind()
            )),
            (Some(sealed), _) if !work.paths.is_empty() && sealed.kind != Kind::Files => found.faults.push(format!(
                "component `{name}` is of kind `{}`, and paths are chosen in files alone; leave it out, or restore it whole",
                sealed.kind
            )),
            (Some(sealed), _) if !work.tables.is_empty() && sealed.kind != Kind::Postgres => found.faults.push(format!(
                "component `{name}` is of kind `{}`, and tables are chosen in PostgreSQL databases alone; leave it out, or restore it whole",
                sealed.kind
            )),
            (Some(sealed), Some(now)) => match Item::check(work, sealed, now, tools, ctx).await {
                Ok(item) => {
                    found.warnings.extend(item.warnings());
                    found.faults.extend(item.refused().iter().map(|why| format!("component `{name}`: {why}")));
                    found.items.push(item);
                }
                Err(failure) => found.faults.push(shown(work, &format!("component `{name}`: {failure}"))),
            },
        }
    }
    patterns(work, &mut found);
    if !work.overlap {
        let (faults, unknown) = overlap::look(work);
        found.faults.extend(faults);
        found.warnings.extend(unknown);
    }
    room(work, &mut found);
    found
}

/// Who names a path means one that is there: each pattern must match in one of the components.
fn patterns(work: &RestoreWork, found: &mut Checked) {
    if found.items.is_empty() {
        return;
    }
    for pattern in work.paths.iter().filter(|pattern| !pattern.starts_with('!')) {
        if found.items.iter().all(|item| item.unmet().contains(pattern)) {
            let names: Vec<String> = found.items.iter().map(|item| format!("`{}`", item.name())).collect();
            found.faults.push(format!(
                "the path `{pattern}` matches nothing in {} of this checkpoint; correct it, it is read as a pattern of `exclude` is",
                names.join(", ")
            ));
        }
    }
}

fn commands(work: &RestoreWork, faults: &mut Vec<String>) {
    let plan = &work.definition.restore;
    // Tables are put back while the application runs.
    let needless = |command: &Vec<String>| {
        !work.tables.is_empty() && [&plan.stop, &plan.start].into_iter().flatten().any(|other| other == command)
    };
    for command in work.definition.commands().into_iter().filter(|command| !needless(command)) {
        let Some(program) = command.first() else { continue };
        if !work.allow.permits(command) {
            faults.push(format!(
                "the command `{program}` is not permitted on this host; its owner adds it to `allow_commands`"
            ));
        } else if !can_be_run(program) && !comes_back(work, program) {
            faults.push(format!(
                "the command `{program}` is not there or cannot be run; install it, or correct the definition"
            ));
        }
    }
}

/// Whether a program that is not there is a part of what is put back: on a bare machine the application's own scripts
/// come with it.
pub(super) fn comes_back(work: &RestoreWork, program: &str) -> bool {
    let program = Path::new(program);
    let chosen = work.components.iter().filter_map(|name| work.definition.component(name.as_str()));
    let mut places = chosen.filter(|component| matches!(component.kind(), Kind::Files | Kind::Git));
    !program.exists() && places.any(|component| component.paths().iter().any(|place| program.starts_with(place)))
}

/// Whether a program can be run: by its path, or found in `PATH`.
pub(crate) fn can_be_run(program: &str) -> bool {
    let runs = |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if program.contains('/') {
        return runs(Path::new(program));
    }
    std::env::var_os("PATH").is_some_and(|list| std::env::split_paths(&list).any(|folder| runs(&folder.join(program))))
}

/// What is written is added up by file system, because what is there stays beside it.
fn room(work: &RestoreWork, found: &mut Checked) {
    let mut needed: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    let passing = found.items.iter().map(Item::passes_through).filter(|bytes| *bytes > 0);
    let scratch = passing.map(|bytes| (work.scratch.clone(), bytes.saturating_add(MARGIN)));
    for (place, bytes) in found.items.iter().filter_map(Item::writes).chain(scratch) {
        let Ok(device) = place::device(&place) else { continue };
        let entry = needed.entry(device).or_insert_with(|| (0, place.display().to_string()));
        entry.0 = entry.0.saturating_add(bytes);
    }
    for (bytes, place) in needed.into_values() {
        match place::free(Path::new(&place)) {
            Ok(free) => {
                let place = shown(work, &place);
                if free < bytes {
                    found.faults.push(format!(
                        "the restore writes {} to the file system of {place} and {} are free; free some space",
                        size::display(bytes),
                        size::display(free)
                    ));
                }
                found.space.push(PlanSpace { place, needed: bytes, free });
            }
            Err(error) => found.faults.push(format!("{place}: {error}")),
        }
    }
}
