//! Files that differ, folder by folder, each with its sign and a link to its lines.

use std::collections::BTreeMap;

use holdfast_model::{
    diff::{Change, Changes, ComponentDiff, FileChange, FileChangeKind, FileChanges},
    name::Name,
    size,
};
use leptos::prelude::*;

use crate::{backend::Pair, text};

/// Up to so many files all folders stand open.
const OPEN: usize = 60;

/// The files of one component. Without a pair nothing leads to their content.
pub fn draw(pair: Option<&Pair>, component: &ComponentDiff) -> AnyView {
    let Changes::Files(changes) = &component.changes else { return ().into_any() };
    changes_of(pair, &component.name, changes)
}

/// Counts, then the files by folder.
pub fn changes_of(pair: Option<&Pair>, component: &Name, changes: &FileChanges) -> AnyView {
    let c = &changes.counts;
    let counts: Vec<String> = [
        (c.modified, "modified"),
        (c.added, "added"),
        (c.deleted, "deleted"),
        (c.renamed, "renamed"),
        (c.metadata, "mode or owner only"),
        (c.directories, "folders"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{} {what}", text::count(count)))
    .collect();
    let open = changes.entries.len() <= OPEN;
    let folders: Vec<_> = folders(&changes.entries)
        .into_iter()
        .map(|(folder, entries)| {
            let count = text::counted(u64::try_from(entries.len()).unwrap_or(0), "entry");
            let lines: Vec<_> = entries.into_iter().map(|entry| line(pair, component, entry)).collect();
            let folder = if folder.is_empty() { "/".to_owned() } else { format!("{folder}/") };
            view! {
                <details class="folder" open=open>
                    <summary><code class="path">{folder}</code> " " <span class="dim">{count}</span></summary>
                    <ul class="changes">{lines}</ul>
                </details>
            }
        })
        .collect();
    let more = (changes.more > 0).then(|| {
        let more = text::counted(changes.more, "entry");
        view! { <p class="note">{format!("{more} more are counted above and not listed.")}</p> }
    });
    view! { <p class="prose">{counts.join(", ")}</p> {folders} {more} }.into_any()
}

/// Entries by the folder that they lie in.
fn folders(entries: &[FileChange]) -> BTreeMap<&str, Vec<&FileChange>> {
    let mut folders: BTreeMap<&str, Vec<&FileChange>> = BTreeMap::new();
    for entry in entries {
        let folder = entry.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(entry);
    }
    folders
}

fn line(pair: Option<&Pair>, component: &Name, entry: &FileChange) -> AnyView {
    let name = entry.path.rsplit_once('/').map_or(entry.path.as_str(), |(_, name)| name).to_owned();
    let (letter, class, what) = match &entry.change {
        FileChangeKind::Modified => ("M", "changed", "modified"),
        FileChangeKind::Added => ("A", "added", "added"),
        FileChangeKind::Deleted => ("D", "removed", "deleted"),
        FileChangeKind::Renamed { .. } => ("R", "changed", "renamed"),
        FileChangeKind::Metadata => ("*", "changed", "mode or owner"),
    };
    let note = match &entry.change {
        FileChangeKind::Renamed { from } => format!("from {from}"),
        FileChangeKind::Metadata => String::new(),
        _ => amount(entry),
    };
    let note = entry
        .what
        .iter()
        .fold(note, |note, what| if note.is_empty() { what.clone() } else { format!("{note}, {what}") });
    let opens = matches!(entry.kind.as_str(), "file" | "symlink") && entry.change != FileChangeKind::Metadata;
    let name = if let Some(pair) = pair.filter(|_| opens) {
        let href = pair.file(component.as_str(), &entry.path, entry.raw.as_deref());
        view! { <a href=href><code class="path">{name}</code></a> }.into_any()
    } else {
        view! { <code class="path">{name}</code> }.into_any()
    };
    let kind = (entry.kind != "file").then(|| format!(" {}", entry.kind));
    view! {
        <li class=class>
            <span class="sign" title=what><span aria-hidden="true">{letter}</span><span class="unseen">{what}</span></span>
            {name}
            <span class="dim">{kind} " " {note}</span>
        </li>
    }
    .into_any()
}

/// `+45 −12` where lines were counted, else the sizes.
fn amount(entry: &FileChange) -> String {
    match (&entry.lines, entry.before, entry.after) {
        (Some(lines), _, _) => format!("+{} −{}", text::count(lines.added), text::count(lines.removed)),
        (None, Some(before), Some(after)) => format!("{} → {}", size::display(before), size::display(after)),
        (None, Some(only), None) | (None, None, Some(only)) => size::display(only),
        (None, None, None) => String::new(),
    }
}

/// `+`, `−` or `~`, with its word for those who do not see it.
pub fn sign(change: Change) -> AnyView {
    let (sign, class, word) = match change {
        Change::Added => ("+", "sign added", "added"),
        Change::Removed => ("−", "sign removed", "removed"),
        Change::Changed => ("~", "sign changed", "changed"),
    };
    view! { <span class=class title=word><span aria-hidden="true">{sign}</span><span class="unseen">{word}</span></span> }
        .into_any()
}
