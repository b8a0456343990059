//! `+lines -lines` of many texts, side by side, until their common time is over.

use std::time::Instant;

use holdfast_model::diff::Lines;
use holdfast_vault::Cancel;

use super::{
    super::{DiffLimits, text},
    Read,
};

/// Texts that are read at once: one that lies far away is waited for, not worked at.
const ABREAST: usize = 8;
/// How often the patience for one text the whole list may take.
const ALL: u32 = 4;

/// The lines of each, in the same order; none where there is no text, or no time.
pub(super) fn count<T: Sync>(
    of: &[Option<&T>],
    limits: &DiffLimits,
    cancel: &Cancel,
    read: Read<'_, T>,
) -> Vec<Option<Lines>> {
    let end = Instant::now() + limits.patience * ALL;
    let one = |texts: &T| -> Option<Lines> {
        if cancel.is_cancelled() || Instant::now() >= end {
            return None;
        }
        let (before, after) = read(texts)?;
        let (before, after) = (text::decode(before)?, text::decode(after)?);
        text::count(&before.text, &after.text, end.min(Instant::now() + limits.patience))
    };
    let mut jobs: Vec<(usize, &T)> = of.iter().enumerate().filter_map(|(place, of)| Some((place, (*of)?))).collect();
    let mut found = vec![None; of.len()];
    // Dealt out in turn, for neighbours are often alike in size.
    jobs.sort_by_key(|(place, _)| place % ABREAST);
    let share = jobs.len().div_ceil(ABREAST).max(1);
    std::thread::scope(|scope| {
        let hands: Vec<_> = jobs
            .chunks(share)
            .map(|jobs| scope.spawn(|| jobs.iter().map(|(place, of)| (*place, one(of))).collect::<Vec<_>>()))
            .collect();
        for (place, lines) in hands.into_iter().filter_map(|hand| hand.join().ok()).flatten() {
            found[place] = lines;
        }
    });
    found
}
