//! Two texts as hunks: lines with their numbers on both sides, words marked, colours given.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use holdfast_model::diff::{DiffLine, FileBody, Hunk, LineChange, LineEnd};
use similar::{DiffOp, TextDiff};

use super::super::{DiffLimits, syntax::Language, text, words};

mod spans;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Lines that are shown of one file.
const SHOWN: usize = 20_000;

/// Compares two texts, and gives up when the patience is at its end.
pub(super) fn body(path: &Path, before: &str, after: &str, limits: &DiffLimits) -> FileBody {
    let begun = Instant::now();
    let (old, new) = (text::lines(before), text::lines(after));
    let Some(diff) = text::compare(&old, &new, begun + limits.patience) else {
        let after_ms = u64::try_from(limits.patience.as_millis()).unwrap_or(u64::MAX);
        return FileBody::TimedOut { after_ms };
    };
    let groups = diff.grouped_ops(CONTEXT);
    let language = Language::of(path, new.first().or(old.first()).copied().unwrap_or_default());
    let (lines, more) = expand(&diff, &groups, Instant::now() + limits.patience);
    let colours = Colours::of(language, &old, &new, &lines, limits.patience);
    let hunks = groups.iter().zip(lines).filter(|(_, lines)| !lines.is_empty()).map(|(group, lines)| Hunk {
        before_start: start(group.first().map(DiffOp::old_range), group.last().map(DiffOp::old_range)),
        after_start: start(group.first().map(DiffOp::new_range), group.last().map(DiffOp::new_range)),
        lines: lines.iter().map(|line| drawn(line, &colours)).collect(),
    });
    FileBody::Text { language: language.map(|language| language.name().to_owned()), hunks: hunks.collect(), more }
}

/// The lines of each group, and how many there are beyond the most.
fn expand<'a>(
    diff: &'a TextDiff<'_, '_, str>,
    groups: &[Vec<DiffOp>],
    end: Instant,
) -> (Vec<Vec<words::Line<'a>>>, u64) {
    let (mut room, mut more) = (SHOWN, 0_u64);
    let lines = groups.iter().map(|group| {
        let mut lines = Vec::new();
        for op in group {
            let all = match op {
                DiffOp::Equal { len, .. } => *len,
                _ => op.old_range().len() + op.new_range().len(),
            };
            let taken = words::lines(diff, op, end, room);
            more += u64::try_from(all - taken.len().min(all)).unwrap_or(u64::MAX);
            room -= taken.len();
            lines.extend(taken);
        }
        lines
    });
    let lines = lines.collect();
    (lines, more)
}

/// The number of a hunk's first line on one side; of the line before it where the hunk has none there.
fn start(first: Option<std::ops::Range<usize>>, last: Option<std::ops::Range<usize>>) -> u32 {
    let (start, end) = (first.map_or(0, |range| range.start), last.map_or(0, |range| range.end));
    number(if start == end { start } else { start + 1 })
}

fn number(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

/// The classes of both texts' lines, as far as they were found.
struct Colours {
    before: Vec<super::super::syntax::Classes>,
    after: Vec<super::super::syntax::Classes>,
}

impl Colours {
    fn of(
        language: Option<Language>,
        old: &[&str],
        new: &[&str],
        lines: &[Vec<words::Line<'_>>],
        patience: Duration,
    ) -> Self {
        let Some(language) = language else { return Self { before: Vec::new(), after: Vec::new() } };
        let (mut before, mut after) = (vec![false; old.len()], vec![false; new.len()]);
        for line in lines.iter().flatten() {
            // A line of both sides is drawn as the second one has it.
            let (wanted, place) =
                if line.change == LineChange::Removed { (&mut before, line.before) } else { (&mut after, line.after) };
            if let Some(wanted) = place.and_then(|place| wanted.get_mut(place)) {
                *wanted = true;
            }
        }
        let end = Instant::now() + patience;
        Self { after: language.classes(new, &after, end), before: language.classes(old, &before, end) }
    }
}

fn drawn(line: &words::Line<'_>, colours: &Colours) -> DiffLine {
    let classes = match line.change {
        LineChange::Removed => line.before.and_then(|place| colours.before.get(place)),
        LineChange::Added | LineChange::Equal => line.after.and_then(|place| colours.after.get(place)),
    };
    let whole: String = line.pieces.iter().map(|(_, piece)| *piece).collect();
    let end = match whole.as_bytes() {
        [.., b'\r', b'\n'] => LineEnd::Crlf,
        [.., b'\n'] => LineEnd::Lf,
        _ => LineEnd::None,
    };
    let length = whole.len()
        - match end {
            LineEnd::Crlf => 2,
            LineEnd::Lf => 1,
            LineEnd::None => 0,
        };
    let numbered = |place: Option<usize>| place.map(|place| number(place + 1));
    DiffLine {
        change: line.change,
        before: numbered(line.before),
        after: numbered(line.after),
        spans: spans::of(&line.pieces, classes.map_or(&[], Vec::as_slice), length),
        end,
    }
}
