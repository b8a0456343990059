//! What becomes of each pack.

use time::OffsetDateTime;

use super::census::{Census, Pack};
use super::survey::Survey;
use super::{PruneOptions, PruneReport};
use crate::id::IdMap;
use crate::pack::BlobKind;
use crate::{Id, PackId};

/// What becomes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is used.
    Keep,
    /// Nothing in it is needed: it leaves the index.
    Mark,
    /// The index names it, nobody needs it, and there is no such file: its entry goes.
    Gone,
    /// It had left the index, but something in it is needed: it comes back.
    Return,
    /// It has left the index; its grace is not over.
    Wait,
    /// Its grace is over: it is removed, and its entry goes.
    Remove,
    /// It has left the index, and there is no such file: its entry goes.
    Forget,
}

/// The decisions of one moment.
pub(super) struct Plan {
    /// By the packs' numbers.
    pub fates: Vec<Fate>,
    /// Numbers of packs in use of which so much is unused that the rest should move; the worst first.
    pub repack: Vec<u32>,
}

impl Plan {
    /// Decides by what the survey found. Of several copies of a blob, the one to keep is chosen and noted there.
    pub(super) fn make(survey: &mut Survey, options: &PruneOptions, now: OffsetDateTime) -> Plan {
        count(survey);
        let packs = &survey.census.packs;
        let fates: Vec<Fate> = packs.iter().map(|pack| fate(pack, options, now)).collect();
        let mut repack = Vec::new();
        if options.unused_share < 1.0 {
            let (mut used, mut unused) = (0, 0);
            for (number, (pack, fate)) in packs.iter().zip(&fates).enumerate() {
                if !matches!(fate, Fate::Keep | Fate::Return) {
                    continue;
                }
                used += pack.needed;
                unused += pack.total - pack.needed;
                if let (Fate::Keep, true, Ok(number)) = (fate, pack.needed < pack.total, u32::try_from(number)) {
                    repack.push(number);
                }
            }
            let share = |number: &u32| packs.get(*number as usize).map_or(0.0, unused_share);
            repack.sort_by(|a, b| share(b).total_cmp(&share(a)));
            // The worst ones, until what stays is little enough.
            let most = as_float(used) * options.unused_share.max(0.0) / (1.0 - options.unused_share.max(0.0));
            let worst = repack.iter().take_while(|number| {
                let worth_it = as_float(unused) > most;
                unused -= packs.get(**number as usize).map_or(0, |pack| pack.total - pack.needed);
                worth_it
            });
            let count = worst.count();
            repack.truncate(count);
        }
        Plan { fates, repack }
    }

    pub(super) fn fate(&self, number: u32) -> Fate {
        self.fates.get(number as usize).copied().unwrap_or(Fate::Keep)
    }

    /// The packs that are to be removed now.
    pub(super) fn due<'a>(&'a self, survey: &'a Survey) -> impl Iterator<Item = PackId> + 'a {
        survey.census.packs.iter().zip(&self.fates).filter(|(_, fate)| **fate == Fate::Remove).map(|(pack, _)| pack.id)
    }

    /// These are not removed yet.
    pub(super) fn wait_for(&mut self, survey: &Survey, held: &IdMap<OffsetDateTime>) {
        for (pack, fate) in survey.census.packs.iter().zip(&mut self.fates) {
            if *fate == Fate::Remove && held.contains_key(&pack.id) {
                *fate = Fate::Wait;
            }
        }
    }

    /// Writes into the report how things stand. Some packs are held by the storage.
    pub(super) fn describe(
        &self,
        survey: &Survey,
        options: &PruneOptions,
        held: &IdMap<OffsetDateTime>,
        report: &mut PruneReport,
    ) {
        (report.bytes_used, report.bytes_unused) = (0, 0);
        (report.packs_waiting, report.bytes_waiting, report.next_removal) = (0, 0, None);
        for (pack, fate) in survey.census.packs.iter().zip(&self.fates) {
            match fate {
                Fate::Keep | Fate::Return => {
                    report.bytes_used += pack.needed;
                    report.bytes_unused += pack.total - pack.needed;
                }
                Fate::Wait => {
                    report.packs_waiting += 1;
                    report.bytes_waiting += pack.size;
                    match held.get(&pack.id) {
                        Some(until) => report.waits_until(*until),
                        None => {
                            let since = pack.marked.flatten().unwrap_or_else(OffsetDateTime::now_utc);
                            report.waits_since(since, options);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

impl PruneReport {
    /// A pack waits since then.
    pub(super) fn waits_since(&mut self, since: OffsetDateTime, options: &PruneOptions) {
        let due = time::Duration::try_from(options.grace).ok().and_then(|grace| since.checked_add(grace));
        if let Some(due) = due {
            self.waits_until(due);
        }
    }

    /// A pack waits until then.
    pub(super) fn waits_until(&mut self, due: OffsetDateTime) {
        self.next_removal = Some(self.next_removal.map_or(due, |known| known.min(due)));
    }
}

fn fate(pack: &Pack, options: &PruneOptions, now: OffsetDateTime) -> Fate {
    if pack.indexed {
        return match (pack.needed, pack.exists) {
            (0, true) => Fate::Mark,
            (0, false) => Fate::Gone,
            _ => Fate::Keep,
        };
    }
    if !pack.exists {
        return Fate::Forget;
    }
    if pack.needed > 0 {
        return Fate::Return;
    }
    // A mark without a time is as good as a new one.
    let over = pack.marked.flatten().is_some_and(|since| now - since > options.grace);
    if over { Fate::Remove } else { Fate::Wait }
}

/// Counts what is used and needed in each pack.
fn count(survey: &mut Survey) {
    let Survey { census, data, trees, .. } = survey;
    for pack in &mut census.packs {
        (pack.used, pack.needed) = (0, 0);
    }
    let mut copied: IdMap<()> = IdMap::default();
    for kind in [BlobKind::Data, BlobKind::Tree] {
        let used = if kind == BlobKind::Data { &*data } else { &*trees };
        for id in used {
            if let Some(spot) = census.get(kind, id).copied()
                && let Some(pack) = census.packs.get_mut(spot.pack as usize)
            {
                pack.used += u64::from(spot.length);
            }
        }
        for (_, id, spot) in census.copies.iter().filter(|(of, id, _)| *of == kind && used.contains(id)) {
            copied.insert(*id, ());
            if let Some(pack) = census.packs.get_mut(spot.pack as usize) {
                pack.used += u64::from(spot.length);
            }
        }
    }
    if !copied.is_empty() {
        choose(census, &copied);
    }
    for kind in [BlobKind::Data, BlobKind::Tree] {
        for id in if kind == BlobKind::Data { &*data } else { &*trees } {
            if let Some(spot) = census.get(kind, id).copied()
                && let Some(pack) = census.packs.get_mut(spot.pack as usize)
            {
                pack.needed += u64::from(spot.length);
            }
        }
    }
}

/// The copy to keep is the one in the pack that is in the index and the most used: so what was repacked before a prune
/// was stopped is not repacked again.
fn choose(census: &mut Census, used: &IdMap<()>) {
    let mut copies = std::mem::take(&mut census.copies);
    for (kind, id, copy) in &mut copies {
        let Some(kept) = census.get(*kind, id).copied().filter(|_| used.contains_key(id)) else { continue };
        let better = match (census.pack(copy), census.pack(&kept)) {
            (Some(a), Some(b)) => rank(a, &a.id).gt(&rank(b, &b.id)),
            _ => false,
        };
        if better {
            census.table(*kind).insert(*id, *copy);
            *copy = kept;
        }
    }
    census.copies = copies;
}

fn rank<'a>(pack: &Pack, id: &'a Id) -> (bool, u64, &'a Id) {
    // The used share in billionths.
    let share = u128::from(pack.used) * 1_000_000_000 / u128::from(pack.total.max(1));
    (pack.indexed, u64::try_from(share).unwrap_or(u64::MAX), id)
}

fn unused_share(pack: &Pack) -> f64 {
    as_float(pack.total - pack.needed) / as_float(pack.total.max(1))
}

#[allow(clippy::cast_precision_loss, reason = "shares of sizes need no more than 15 digits")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}
