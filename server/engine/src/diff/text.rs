//! Bytes that may be text, and the lines that two texts do not share.

use std::time::Instant;

use holdfast_model::diff::Lines;
use similar::{Algorithm, DiffOp, TextDiff, TextDiffConfig};

/// A text, and how it was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub text: String,
    /// Where it is not UTF-8.
    pub encoding: Option<&'static str>,
}

/// Reads bytes as text; none where they are not text.
///
/// UTF-16 is known by its mark. What is not UTF-8 is taken for Latin-1 if it has no NUL and no more than the control
/// characters that texts have, and half of it at least is ASCII.
pub(super) fn decode(bytes: Vec<u8>) -> Option<Decoded> {
    let utf16 = |bytes: &[u8], one: fn([u8; 2]) -> u16| -> String {
        let units = bytes.chunks(2).map(|pair| one([pair[0], pair.get(1).copied().unwrap_or(0)]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => {
            return Some(Decoded { text: utf16(rest, u16::from_le_bytes), encoding: Some("UTF-16LE") });
        }
        [0xFE, 0xFF, rest @ ..] => {
            return Some(Decoded { text: utf16(rest, u16::from_be_bytes), encoding: Some("UTF-16BE") });
        }
        _ => {}
    }
    if bytes.contains(&0) {
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(Decoded { text, encoding: None }),
        Err(error) => {
            let bytes = error.into_bytes();
            let odd = |byte: &u8| (*byte < 0x20 && !matches!(byte, 8..=13 | 27)) || (0x7F..0xA0).contains(byte);
            let ascii = bytes.iter().filter(|byte| byte.is_ascii()).count();
            let is_text = ascii >= bytes.len() / 2 && !bytes.iter().any(odd);
            is_text.then(|| Decoded { text: bytes.into_iter().map(char::from).collect(), encoding: Some("Latin-1") })
        }
    }
}

/// Whether the start of a long file looks like text; its last character may be cut.
pub(super) fn begins_as_text(start: &[u8]) -> bool {
    let whole = start.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    let cut = start.len() - whole < 4;
    decode(if cut { start[..whole].to_vec() } else { start.to_vec() }).is_some()
}

/// The lines of a text with their ends, split as git does: at line feeds only.
pub(super) fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Compares two lists of lines; none if the time was over before the end.
pub(super) fn compare<'a>(before: &[&'a str], after: &[&'a str], end: Instant) -> Option<TextDiff<'a, 'a, str>> {
    let mut how = TextDiffConfig::default();
    how.algorithm(Algorithm::Myers).deadline(end);
    let diff = how.diff_slices(before, after);
    // A comparison that ran out of time ends with a guess.
    (Instant::now() < end).then_some(diff)
}

/// How many lines only one of them has.
pub(super) fn count(before: &str, after: &str, end: Instant) -> Option<Lines> {
    let (before, after) = (lines(before), lines(after));
    let diff = compare(&before, &after, end)?;
    let mut found = Lines { added: 0, removed: 0 };
    let long = |lines: usize| u64::try_from(lines).unwrap_or(u64::MAX);
    for op in diff.ops() {
        match *op {
            DiffOp::Equal { .. } => {}
            DiffOp::Delete { old_len, .. } => found.removed += long(old_len),
            DiffOp::Insert { new_len, .. } => found.added += long(new_len),
            DiffOp::Replace { old_len, new_len, .. } => {
                found.removed += long(old_len);
                found.added += long(new_len);
            }
        }
    }
    Some(found)
}
