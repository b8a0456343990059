//! Holding what a snapshot needs for longer, in a bucket with object lock.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::backend::FileKind;
use crate::check::{Findings, Layout, Reach};
use crate::id::IdSet;
use crate::vault::Opened;
use crate::{Cancel, Error, Meter, SnapshotId, Vault};

/// What was done to hold a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retained {
    /// Files that are held for longer now: until when. Remember it, and the next time nobody has to be asked.
    pub extended: Vec<(FileKind, String, OffsetDateTime)>,
    /// Files that the store was asked about and that are held for long enough: until when, worth remembering too.
    pub asked: Vec<(FileKind, String, OffsetDateTime)>,
    /// Files that were held for long enough, those that were asked about among them.
    pub untouched: u64,
}

impl Vault {
    /// Holds everything that a snapshot needs against being removed, until then at least: `config`, the keys, the
    /// snapshot, the index files that name its packs, and every pack that holds a blob of it.
    ///
    /// Only what is held for less long is touched. `known` saves questions: what it says of a file is believed, of
    /// which it says nothing the store is asked. A period never becomes shorter.
    ///
    /// Beside the walk down the snapshot's trees it costs one request for each file whose period is not known, and one
    /// for each that is extended, [`crate::S3Options::connections`] at a time. So 1,000 files cost 1,000 short requests
    /// and 2.2 s, and as many and 3.0 s more where the store must be asked; over a link with 20 ms of delay 3.5 and 3.4 s
    /// (8 connections, SeaweedFS 4.48 on the same machine, 2 busy cores of an AMD EPYC, build without optimisation,
    /// 2026-11-21; `cargo run --example vault hold`). [`Meter::files`] counts the files.
    ///
    /// # Errors
    /// [`Error::Refused`] where nothing is ever held, [`Error::NoSuchSnapshot`], [`Error::Damaged`] if the snapshot is
    /// not whole, [`Error::Cancelled`] and failures of the backend. What was extended by then stays so.
    pub fn retain(
        &self,
        snapshot: &SnapshotId,
        until: OffsetDateTime,
        known: &dyn Fn(FileKind, &str) -> Option<OffsetDateTime>,
        cancel: &Cancel,
        meter: &Meter,
    ) -> Result<Retained, Error> {
        let vault = &self.0;
        if vault.backend.retention().is_none() {
            let what = format!("{} holds nothing against being removed: it has no retention", vault.backend.location());
            return Err(Error::Refused(what));
        }
        let until = whole_second(until);
        let (mut retained, mut short) = (Retained::default(), Vec::new());
        for (kind, name) in needed(vault, snapshot, cancel)? {
            match known(kind, &name) {
                Some(held) if held >= until => retained.untouched += 1,
                Some(_) => short.push((kind, name, true)),
                None => short.push((kind, name, false)),
            }
        }
        meter.add_files(retained.untouched);
        let done = vault.in_parallel(&short, |(kind, name, is_short)| {
            cancel.check()?;
            let held = if *is_short { None } else { vault.backend.held_until(*kind, name)? };
            let held = held.filter(|held| *held >= until);
            if held.is_none() {
                vault.backend.retain(*kind, name, until)?;
            }
            meter.add_files(1);
            Ok((*kind, name.clone(), held))
        })?;
        for (kind, name, held) in done {
            match held {
                Some(held) => retained.asked.push((kind, name, held)),
                None => retained.extended.push((kind, name, until)),
            }
        }
        retained.untouched += retained.asked.len() as u64;
        Ok(retained)
    }
}

/// Stores count whole seconds.
fn whole_second(time: OffsetDateTime) -> OffsetDateTime {
    let next = time::Duration::seconds(i64::from(time.nanosecond() > 0));
    time.checked_add(next).and_then(|time| time.replace_nanosecond(0).ok()).unwrap_or(time)
}

/// Every file without which the snapshot could not be restored.
fn needed(vault: &Arc<Opened>, id: &SnapshotId, cancel: &Cancel) -> Result<BTreeSet<(FileKind, String)>, Error> {
    let snapshot = vault.snapshot(id)?;
    let nothing = Meter::new();
    let findings = Findings::new(vault, cancel, &nothing);
    let layout = Layout::load(&findings)?;
    let reach = Reach::walk(&findings, &layout, &[(Some(*id), snapshot.tree)])?;
    if let Some(problem) = findings.into_problems().into_iter().next() {
        return Err(Error::damaged(format!("snapshot {id}: {}", problem.what)));
    }
    let packs: IdSet = reach.packs;
    let mut needed = BTreeSet::from([(FileKind::Config, "config".to_owned()), (FileKind::Snapshot, id.to_string())]);
    needed.extend(vault.backend.list(FileKind::Key)?.into_iter().map(|(name, _)| (FileKind::Key, name)));
    let names_one = |named: &&(crate::Id, Vec<crate::PackId>)| named.1.iter().any(|pack| packs.contains(pack));
    needed.extend(layout.files.iter().filter(names_one).map(|(file, _)| (FileKind::Index, file.to_string())));
    needed.extend(packs.iter().map(|pack| (FileKind::Pack, pack.to_string())));
    Ok(needed)
}
