//! Pieces of two files that are the same blobs in the same order: their rows are equal, and most of them need not be read.

use std::ops::Range;

use holdfast_vault::Id;
use memchr::{memchr, memchr_iter};

/// The shortest run of blobs that is worth it: its first and its last blob are read.
const SHORTEST: usize = 3;

/// Equal blobs that are looked at before one is taken as not found.
const LOOKED_AT: usize = 256;

/// Runs that both lists of blobs have, each blob used once, as places in the first and in the second; none if their
/// table would take more than `memory` bytes.
pub(super) fn common(first: &[Id], second: &[Id], memory: u64) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut in_first, mut in_second) = (Vec::new(), Vec::new());
    if u64::try_from(second.len()).unwrap_or(u64::MAX).saturating_mul(17) > memory {
        return (in_first, in_second);
    }
    let short = |id: &Id| id.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let mut sorted: Vec<(u64, usize)> = second.iter().enumerate().map(|(at, id)| (short(id), at)).collect();
    sorted.sort_unstable();
    let mut used = vec![false; second.len()];
    let mut expected = 0;
    let mut at = 0;
    while at < first.len() {
        // The nearest one behind the last run, else the first one before it.
        let from = sorted.partition_point(|entry| entry.0 < short(&first[at]));
        let equal =
            sorted[from..].iter().take_while(|entry| entry.0 == short(&first[at])).map(|entry| entry.1).take(LOOKED_AT);
        let free = |to: &usize| !used[*to] && second[*to] == first[at];
        let mut before = None;
        let found = equal.filter(free).find(|to| {
            before = before.or(Some(*to));
            *to >= expected
        });
        let Some(begin) = found.or(before) else {
            at += 1;
            continue;
        };
        let length = first[at..]
            .iter()
            .zip(second[begin..].iter().zip(&used[begin..]))
            .take_while(|(one, (other, used))| one == other && !**used)
            .count();
        used[begin..begin + length].fill(true);
        if length >= SHORTEST {
            in_first.push(at..at + length);
            in_second.push(begin..begin + length);
        }
        expected = begin + length;
        at += length;
    }
    in_second.sort_unstable_by_key(|run| run.start);
    (in_first, in_second)
}

/// The first place in a piece of a table's data that is certainly the beginning of a line, wherever the piece was cut
/// out, and the bytes from there to the end of its chunk.
///
/// A chunk's header is a sign byte of zero and `size` bytes of length, and text holds no zero: so a zero behind as many
/// other bytes as a header has is a sign byte.
pub(super) fn line_start(piece: &[u8], size: usize) -> Option<(usize, u64)> {
    let header = size + 1;
    let is_sign = |at: &usize| *at >= header && piece[at - header..*at].iter().all(|byte| *byte != 0);
    let mut at = memchr_iter(0, piece).find(is_sign)?;
    loop {
        let head = piece.get(at..at + header)?;
        let length = head[1..].iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        if head[0] != 0 || length == 0 {
            return None;
        }
        let rest = &piece[at + header..];
        let data = &rest[..rest.len().min(usize::try_from(length).unwrap_or(usize::MAX))];
        if let Some(end) = memchr(b'\n', data) {
            return Some((at + header + end + 1, length - end as u64 - 1));
        }
        at = at.checked_add(header)?.checked_add(usize::try_from(length).ok()?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::{common, line_start};
    use holdfast_vault::Id;

    fn ids(text: &str) -> Vec<Id> {
        text.bytes().map(|byte| Id::of(&[byte])).collect()
    }

    #[test]
    fn runs_are_found_wherever_they_went() {
        let found = |one: &str, other: &str| common(&ids(one), &ids(other), 1 << 20);
        assert_eq!(found("abcdefgh", "abcXefgh"), (vec![0..3, 4..8], vec![0..3, 4..8]));
        assert_eq!(found("abcdef", "defabc"), (vec![0..3, 3..6], vec![0..3, 3..6]));
        let (one, other) = found("aaaaaa", "aaa");
        assert_eq!((one.first(), other.first(), one.len()), (Some(&(0..3)), Some(&(0..3)), 1));
        assert!(found("ab", "ab").0.is_empty());
        assert!(common(&ids("abcd"), &ids("abcd"), 8).0.is_empty());
    }

    #[test]
    fn a_line_begins_only_where_it_must() {
        let mut piece = b"tail of a row\n".to_vec();
        for row in ["1\tone\n", "2\ttwo\n"] {
            piece.push(0);
            piece.extend(u32::try_from(row.len()).unwrap_or_default().to_le_bytes());
            piece.extend(row.bytes());
        }
        // The line in the first whole chunk is passed over: the chunk need not begin where it does.
        assert_eq!(line_start(&piece, 4), Some((14 + 5 + 6, 0)));
        // Cut within a header: the next one is found.
        assert_eq!(line_start(&piece[16..], 4), Some((3 + 6 + 5 + 6, 0)));
        assert_eq!(line_start(b"no chunk at all", 4), None);
        assert_eq!(line_start(&[0; 40], 4), None);
    }
}
