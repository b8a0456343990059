//! A comparison in one sentence.

use holdfast_model::{
    diff::{Changes, Diff, FileCounts, RowChanges, Sizes},
    size,
};

use crate::{components::word::Tone, sentence::Sentence, text};

/// How much changed, in the order in which it is shown.
pub fn of(diff: &Diff) -> Sentence {
    let counts = Counts::of(diff);
    let parts = counts.parts();
    let size = format!(
        "Size {} ({} → {}).",
        step(&diff.size.logical),
        size::display(diff.size.logical.before),
        size::display(diff.size.logical.after)
    );
    if counts.unknown > 0 {
        let text = if parts.is_empty() { "Not all of it could be compared.".to_owned() } else { sentence(&parts) };
        let reason = format!("{} could not be compared, see below. {size}", text::counted(counts.unknown, "component"));
        return Sentence { tone: Tone::Warn, text, reason };
    }
    if parts.is_empty() {
        return Sentence { tone: Tone::Good, text: "Nothing differs.".to_owned(), reason: size };
    }
    Sentence { tone: Tone::Plain, text: sentence(&parts), reason: size }
}

/// `+40 MB`, `−3 kB`, `no change`.
pub fn step(sizes: &Sizes) -> String {
    match sizes.after.cmp(&sizes.before) {
        std::cmp::Ordering::Greater => format!("+{}", size::display(sizes.after - sizes.before)),
        std::cmp::Ordering::Less => format!("−{}", size::display(sizes.before - sizes.after)),
        std::cmp::Ordering::Equal => "no change".to_owned(),
    }
}

fn sentence(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => format!("{only} changed."),
        [most @ .., last] => format!("{} and {last} changed.", most.join(", ")),
    }
}

/// Files of every kind of change.
pub fn files(counts: &FileCounts) -> u64 {
    counts.modified + counts.added + counts.deleted + counts.renamed + counts.metadata + counts.directories
}

#[derive(Default)]
struct Counts {
    variables: u64,
    files: u64,
    commits: u64,
    objects: u64,
    tables: u64,
    rows: Option<(u64, u64, u64)>,
    unknown: u64,
}

impl Counts {
    fn of(diff: &Diff) -> Self {
        let mut counts = Self::default();
        let many = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        for component in &diff.components {
            match &component.changes {
                Changes::Same => {}
                Changes::Configuration(changes) => counts.variables += many(changes.variables.len()),
                Changes::Files(changes) => counts.files += files(&changes.counts),
                Changes::Git(changes) => {
                    counts.commits += many(changes.added.len() + changes.removed.len()) + changes.more;
                    counts.files += files(&changes.worktree.counts);
                }
                Changes::Database(changes) => {
                    counts.objects += many(changes.schema.len());
                    counts.tables += many(changes.tables.len());
                    for table in &changes.tables {
                        if let RowChanges::Counted { added, removed, changed, .. } = &table.rows {
                            let rows = counts.rows.get_or_insert_default();
                            *rows = (rows.0 + added, rows.1 + removed, rows.2 + changed);
                        }
                    }
                }
                Changes::Unknown { .. } => counts.unknown += 1,
            }
        }
        counts
    }

    fn parts(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let mut say = |n: u64, noun: &str| {
            if n > 0 {
                parts.push(text::counted(n, noun));
            }
        };
        say(self.variables, "variable");
        say(self.files, "file");
        say(self.commits, "commit");
        say(self.objects, "schema object");
        if self.tables > 0 {
            let rows = self.rows.map_or_else(String::new, |(added, removed, changed)| {
                format!(" (rows +{} −{} ~{})", text::count(added), text::count(removed), text::count(changed))
            });
            parts.push(format!("{}{rows}", text::counted(self.tables, "table")));
        }
        parts
    }
}
