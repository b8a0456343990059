//! A comparison as lines: configuration, files, git, database, size; `+ ~ -`, and `M A D R *` for files.

use holdfast_model::{
    diff::{
        Change, Changes, ComponentDiff, ConfigChanges, DatabaseChanges, Diff, FileChange, FileChangeKind, FileChanges,
        GitChanges, Presence, RowChanges, Side, Sizes,
    },
    size,
};

use super::{
    text::{count, counted, plain},
    times,
};

pub mod lines;
pub mod rows;

/// Entries of one list; `--json` has all.
const SHOWN: usize = 40;

/// The whole comparison, without a newline at the end.
pub fn page(diff: &Diff) -> String {
    let mut sections =
        vec![format!("Checkpoint Comparison\nFrom: {}\nTo:   {}", side(&diff.first), side(&diff.second))];
    let mut parts: Vec<&ComponentDiff> = diff.components.iter().collect();
    parts.sort_by_key(|part| order(&part.changes));
    sections.extend(parts.into_iter().filter_map(component));
    if diff.is_same() {
        sections.push("Nothing differs.".into());
    }
    sections.extend(not_compared(diff));
    sections.push(format!(
        "Size Difference: {}\nStored:          {}",
        step(&diff.size.logical),
        step(&diff.size.stored)
    ));
    sections.join("\n\n")
}

fn side(side: &Side) -> String {
    let name = side.name.as_deref().map(|name| format!(" ({})", plain(name))).unwrap_or_default();
    let (project, environment) = (&side.environment.project, &side.environment.name);
    format!("{}{name} of {project}/{environment}, {}", side.checkpoint, times::moment(side.created_at))
}

/// `+40 MB (2.71 GB -> 2.75 GB)`.
fn step(sizes: &Sizes) -> String {
    let by = if sizes.after < sizes.before {
        format!("-{}", size::display(sizes.before - sizes.after))
    } else {
        format!("+{}", size::display(sizes.after - sizes.before))
    };
    format!("{by} ({} -> {})", size::display(sizes.before), size::display(sizes.after))
}

/// Configuration first, databases last.
const fn order(changes: &Changes) -> u8 {
    match changes {
        Changes::Configuration(_) => 0,
        Changes::Files(_) => 1,
        Changes::Git(_) => 2,
        Changes::Database(_) => 3,
        Changes::Same | Changes::Unknown { .. } => 4,
    }
}

fn component(part: &ComponentDiff) -> Option<String> {
    let (title, lines) = match &part.changes {
        Changes::Same | Changes::Unknown { .. } if part.presence == Presence::Both => return None,
        Changes::Same | Changes::Unknown { .. } => ("Component", Vec::new()),
        Changes::Configuration(changes) => ("Configuration Changes", configuration(changes)),
        Changes::Files(changes) => ("File Changes", files(changes)),
        Changes::Git(changes) => ("Git Changes", git(changes)),
        Changes::Database(changes) => ("Database Changes", database(changes)),
    };
    let only = match part.presence {
        Presence::Both => "",
        Presence::First => ", only in the first",
        Presence::Second => ", only in the second",
    };
    let mut text = format!("{title}: {}{only}", part.name);
    for line in lines {
        text.push('\n');
        if !line.trim().is_empty() {
            text.push_str("  ");
            text.push_str(&line);
        }
    }
    Some(text)
}

/// The first of a list, and how many more there are.
fn first<T>(all: &[T], line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = all.iter().take(SHOWN).map(line).collect();
    if all.len() > SHOWN {
        lines.push(format!("… and {} more; --json has them all", count((all.len() - SHOWN) as u64)));
    }
    lines
}

fn configuration(changes: &ConfigChanges) -> Vec<String> {
    let mut lines = first(&changes.variables, |variable| {
        let name = plain(&variable.name);
        let print = |value: &Option<String>| value.clone().unwrap_or_default();
        match variable.change {
            Change::Added => format!("+ {name} (value #{})", print(&variable.after)),
            Change::Removed => format!("- {name}"),
            Change::Changed => {
                format!("~ {name} (value #{}, was #{})", print(&variable.after), print(&variable.before))
            }
        }
    });
    lines.extend(changes.file.iter().map(|what| format!("~ the file: {}", plain(what))));
    lines
}

fn files(changes: &FileChanges) -> Vec<String> {
    let c = &changes.counts;
    let mut lines: Vec<String> = [
        ("Modified:", c.modified),
        ("Added:", c.added),
        ("Deleted:", c.deleted),
        ("Renamed:", c.renamed),
        ("Mode, owner:", c.metadata),
    ]
    .into_iter()
    .filter(|(_, number)| *number > 0)
    .map(|(word, number)| format!("{word:<13}{}", counted(number, "file", "files")))
    .collect();
    if c.directories > 0 {
        lines.push(format!("{:<13}{}", "Folders:", count(c.directories)));
    }
    lines.push(String::new());
    lines.extend(first(&changes.entries, file));
    if changes.more > 0 {
        lines.push(format!("… and {} that are not listed", count(changes.more)));
    }
    lines
}

fn file(entry: &FileChange) -> String {
    let mut notes = Vec::new();
    if let FileChangeKind::Renamed { from } = &entry.change {
        notes.push(format!("from {}", plain(from)));
    }
    match (&entry.lines, entry.before, entry.after) {
        (Some(lines), _, _) => notes.push(format!("+{}, -{}", count(lines.added), count(lines.removed))),
        (None, Some(before), Some(after)) if before != after => {
            notes.push(format!("{} -> {}", size::display(before), size::display(after)));
        }
        _ => {}
    }
    notes.extend(entry.what.iter().map(|what| plain(what).into_owned()));
    let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
    format!("{} {}{notes}", entry.change.letter(), plain(&entry.path))
}

fn git(changes: &GitChanges) -> Vec<String> {
    let mut lines = Vec::new();
    for (sign, commits) in [('+', &changes.added), ('-', &changes.removed)] {
        lines.extend(first(commits, |commit| {
            let id: String = commit.id.chars().take(10).collect();
            format!("{sign} {id} {} ({})", plain(&commit.title), plain(&commit.author))
        }));
    }
    if changes.more > 0 {
        lines.push(format!("… and {} more", counted(changes.more, "commit", "commits")));
    }
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "no branch".into());
    if changes.branch.before != changes.branch.after {
        let (before, after) = (name(&changes.branch.before), name(&changes.branch.after));
        lines.push(format!("~ HEAD {} -> {}", plain(&before), plain(&after)));
    }
    lines.extend(first(&changes.refs, |moved| {
        let short = |id: &Option<String>| id.as_deref().map_or("none".to_owned(), |id| id.chars().take(10).collect());
        format!("~ {} {} -> {}", plain(&moved.name), short(&moved.before), short(&moved.after))
    }));
    if !changes.worktree.is_empty() {
        lines.push("Work tree:".into());
        lines.extend(files(&changes.worktree).into_iter().map(|line| format!("  {line}")));
    }
    lines
}

fn database(changes: &DatabaseChanges) -> Vec<String> {
    let mut lines = Vec::new();
    if !changes.tables.is_empty() {
        lines.push("Tables:".into());
        lines.extend(first(&changes.tables, |table| {
            let rows = |rows: Option<u64>| rows.map_or_else(|| "not there".to_owned(), count);
            let what = match &table.rows {
                RowChanges::Counted { added, removed, changed, .. } => {
                    format!("rows +{} -{} ~{}", count(*added), count(*removed), count(*changed))
                }
                RowChanges::NotRead => format!("rows {} -> {}", rows(table.before), rows(table.after)),
                RowChanges::Unreadable { why } => format!("rows not compared: {}", plain(why)),
            };
            format!("  ~ {}.{}: {what}", plain(&table.schema), plain(&table.name))
        }));
    }
    if !changes.schema.is_empty() {
        lines.push("Schema:".into());
        lines.extend(first(&changes.schema, |object| {
            let details = object.details.iter().map(|line| plain(line).into_owned()).collect::<Vec<_>>().join("; ");
            let details = if details.is_empty() { String::new() } else { format!(": {details}") };
            let place = if object.schema.is_empty() { String::new() } else { format!("{}.", plain(&object.schema)) };
            format!("  {} {} {place}{}{details}", object.change.sign(), plain(&object.kind), plain(&object.name))
        }));
    }
    lines.extend(first(&changes.sequences, |sequence| {
        let value = |value: Option<i64>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
        format!("~ sequence {}: {} -> {}", plain(&sequence.name), value(sequence.before), value(sequence.after))
    }));
    lines
}

/// What could not be compared. Never left out in silence.
fn not_compared(diff: &Diff) -> Option<String> {
    let unknown = diff.components.iter().filter_map(|part| match &part.changes {
        Changes::Unknown { why } => Some(format!("  {}: {}", part.name, plain(why))),
        _ => None,
    });
    let skipped = diff.components.iter().flat_map(|part| {
        let line = |skipped: &holdfast_model::manifest::Skipped| {
            format!("  {} {}: {}", part.name, plain(&skipped.name), plain(&skipped.message))
        };
        part.skipped.iter().map(line).collect::<Vec<_>>()
    });
    let lines: Vec<String> = unknown.chain(skipped).collect();
    (!lines.is_empty()).then(|| format!("Not compared:\n{}", lines.join("\n")))
}
