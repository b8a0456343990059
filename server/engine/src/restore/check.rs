//! Everything that can be checked before anything is touched.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::{
    manifest::FORMAT,
    size,
    state::{Kind, Proof},
};

use super::{RestoreWork, item::Item};
use crate::{context::Context, place, tools::Tools};

/// The items of the restore, or everything that is wrong.
pub(super) async fn everything(work: &RestoreWork, tools: &Tools, ctx: &Context) -> Result<Vec<Item>, Vec<String>> {
    let mut faults = Vec::new();
    if work.manifest.format > FORMAT {
        let format = work.manifest.format;
        return Err(vec![format!(
            "the manifest has format {format}; this version reads {FORMAT}: use a newer Holdfast"
        )]);
    }
    if work.components.is_empty() {
        faults.push("no component was chosen".to_owned());
    }
    commands(work, &mut faults);
    let mut items = Vec::new();
    for name in &work.components {
        if ctx.cancel.is_cancelled() {
            return Err(vec![Proof::Unproven.to_string()]);
        }
        let sealed = work.manifest.components.iter().find(|component| &component.name == name);
        let now = work.definition.component(name.as_str());
        match (sealed, now) {
            (None, _) => {
                faults.push(format!("component `{name}` is not in this checkpoint; choose among those that are"))
            }
            (_, None) => faults.push(format!(
                "component `{name}` is not in the definition as it is applied now; apply one that has it"
            )),
            (Some(sealed), Some(now)) if sealed.kind != now.kind() => faults.push(format!(
                "component `{name}` was sealed as `{}` and is defined as `{}` now; apply a definition of the old kind",
                sealed.kind,
                now.kind()
            )),
            (Some(sealed), Some(now)) => match Item::check(work, sealed, now, tools, ctx).await {
                Ok(item) => items.push(item),
                Err(failure) => faults.push(format!("component `{name}`: {failure}")),
            },
        }
    }
    room(work, &items, &mut faults);
    if faults.is_empty() { Ok(items) } else { Err(faults) }
}

fn commands(work: &RestoreWork, faults: &mut Vec<String>) {
    for command in work.definition.commands() {
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
fn room(work: &RestoreWork, items: &[Item], faults: &mut Vec<String>) {
    let mut needed: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    let scratch = items.iter().filter(|item| item.kind() == Kind::Git).map(|item| (work.scratch.clone(), item.size()));
    for (place, bytes) in items.iter().filter_map(Item::writes).chain(scratch) {
        let Ok(device) = place::device(&place) else { continue };
        let entry = needed.entry(device).or_insert_with(|| (0, place.display().to_string()));
        entry.0 = entry.0.saturating_add(bytes);
    }
    for (bytes, place) in needed.into_values() {
        match place::free(Path::new(&place)) {
            Ok(free) if free < bytes => faults.push(format!(
                "the restore writes {} to the file system of {place} and {} are free; free some space",
                size::display(bytes),
                size::display(free)
            )),
            Ok(_) => {}
            Err(error) => faults.push(format!("{place}: {error}")),
        }
    }
}
