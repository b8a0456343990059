//! Lines of one change, with marks on the words that differ.

use std::time::Instant;

use holdfast_model::diff::LineChange;
use similar::{ChangeTag, DiffOp, InlineChangeOptions, TextDiff};

/// A block of more bytes than this, or with more lines on a side, is shown without marks: nobody reads words there.
const BYTES: usize = 64 << 10;
const LINES: usize = 200;
/// Lines that share less than this are two lines and not one that was changed.
const ALIKE: f32 = 0.4;

/// One line of either side; places count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub change: LineChange,
    pub before: Option<usize>,
    pub after: Option<usize>,
    /// All of it, its end included; whether each piece is marked.
    pub pieces: Vec<(bool, &'a str)>,
}

/// At most `most` lines of an operation, the first one's before the second one's.
pub(super) fn lines<'a>(diff: &'a TextDiff<'_, '_, str>, op: &DiffOp, end: Instant, most: usize) -> Vec<Line<'a>> {
    let change = |tag: ChangeTag| match tag {
        ChangeTag::Equal => LineChange::Equal,
        ChangeTag::Delete => LineChange::Removed,
        ChangeTag::Insert => LineChange::Added,
    };
    if !worth_marking(diff, op) {
        let all = diff.iter_changes(op).take(most);
        return all
            .map(|line| Line {
                change: change(line.tag()),
                before: line.old_index(),
                after: line.new_index(),
                pieces: vec![(false, line.value())],
            })
            .collect();
    }
    let mut how = InlineChangeOptions::new();
    how.min_ratio(ALIKE).semantic_cleanup(true);
    let all = diff.iter_inline_changes_with_options_deadline(op, how, Some(end)).take(most);
    all.map(|line| Line {
        change: change(line.tag()),
        before: line.old_index(),
        after: line.new_index(),
        pieces: line.values().to_vec(),
    })
    .collect()
}

fn worth_marking(diff: &TextDiff<'_, '_, str>, op: &DiffOp) -> bool {
    let DiffOp::Replace { old_index, old_len, new_index, new_len } = *op else { return false };
    if old_len.max(new_len) > LINES {
        return false;
    }
    let old = (old_index..old_index + old_len).filter_map(|at| diff.old_slice(at));
    let new = (new_index..new_index + new_len).filter_map(|at| diff.new_slice(at));
    old.chain(new).map(str::len).sum::<usize>() <= BYTES
}
