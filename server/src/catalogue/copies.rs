//! Copies of the catalogue in a vault: small snapshots of a tag of their own, which stock restic lists like any other.
//! All functions here block.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use holdfast_vault::{
    BackendError, Cancel, Chunking, Error as VaultError, Meter, Node, Sealed, Snapshot, SnapshotDraft, SnapshotId,
    Vault,
};
use time::OffsetDateTime;

use crate::vaults::tags;

/// The folder of a copy's tree.
const FOLDER: &str = "catalogue";
/// The file in it: a SQLite database.
pub(crate) const FILE: &str = "catalogue.db";
/// Of so many days the newest copy stays.
const DAYS: usize = 7;
/// So many of the newest stay in any case, so that a damaged one has another one before it.
const NEWEST: usize = 2;

/// Writes an image as a copy that was taken at `at`; `mark` says to which server key it belongs.
pub(crate) fn write(
    vault: &Vault,
    image: &Path,
    mark: &str,
    at: OffsetDateTime,
    hostname: String,
) -> Result<Sealed, VaultError> {
    let writer = vault.writer(Cancel::new())?;
    let mut stream = writer.stream(Chunking::Dump, &Meter::new());
    let mut file = File::open(image).map_err(|error| said(&error))?;
    std::io::copy(&mut file, &mut stream).map_err(|error| said(&error))?;
    let streamed = stream.finish()?;
    let node = Node::file(FILE, streamed.content, streamed.bytes, at);
    let folder = Node::dir(FOLDER, writer.put_tree(vec![node])?, at);
    let tree = writer.put_tree(vec![folder])?;
    writer.seal(SnapshotDraft {
        tree,
        time: at,
        paths: vec![format!("/{FOLDER}")],
        tags: vec![tags::CATALOGUE.into(), tags::key(mark)],
        parent: None,
        hostname,
        username: "holdfast".into(),
        program_version: format!("holdfast {}", env!("CARGO_PKG_VERSION")),
    })
}

fn said(error: &std::io::Error) -> VaultError {
    VaultError::from_io(error)
        .cloned()
        .unwrap_or_else(|| VaultError::Refused(format!("the copy of the catalogue: {error}")))
}

/// The copies that a vault holds.
pub(crate) struct Found {
    /// Those of this server key, newest first.
    pub(crate) ours: Vec<Snapshot>,
    /// How many belong to other keys.
    pub(crate) others: usize,
    /// Snapshots that cannot be read: one of them may be a copy.
    pub(crate) unread: Vec<String>,
}

/// Looks for the copies that belong to a server key.
pub(crate) fn find(vault: &Vault, mark: &str) -> Result<Found, VaultError> {
    let mut found = Found { ours: Vec::new(), others: 0, unread: Vec::new() };
    let key = tags::key(mark);
    for id in vault.snapshot_ids()? {
        match vault.snapshot(&id) {
            Ok(snapshot) if !snapshot.tags.iter().any(|tag| tag == tags::CATALOGUE) => {}
            Ok(snapshot) if snapshot.tags.contains(&key) => found.ours.push(snapshot),
            Ok(_) => found.others += 1,
            Err(error) => found.unread.push(format!("snapshot {id}: {error}")),
        }
    }
    found.ours.sort_by_key(|snapshot| std::cmp::Reverse((snapshot.time, snapshot.id)));
    Ok(found)
}

/// Writes a copy's image into a new file for this user alone.
pub(crate) fn read(vault: &Vault, snapshot: &Snapshot, into: &Path) -> Result<(), VaultError> {
    let node = vault.find(&snapshot.tree, &Path::new(FOLDER).join(FILE))?;
    let mut reader = vault.read(&node)?;
    let mut options = File::options();
    // SQLite gives its side files the same mode.
    let mut file = options.write(true).create_new(true).mode(0o600).open(into).map_err(|error| said(&error))?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match reader.read(&mut piece).map_err(|error| said(&error))? {
            0 => break,
            count => file.write_all(&piece[..count]).map_err(|error| said(&error))?,
        }
    }
    file.sync_all().map_err(|error| said(&error))
}

/// Holds a copy against being removed, where its bucket does that.
pub(crate) fn retain(vault: &Vault, copy: &SnapshotId, until: OffsetDateTime) -> Result<(), VaultError> {
    vault.retain(copy, until, &|_, _| None, &Cancel::new(), &Meter::new()).map(|_| ())
}

/// Forgets the copies of this server key that no day needs any more; gives how many. Those that their bucket holds go
/// when it lets go of them.
pub(crate) fn thin(vault: &Vault, mark: &str) -> Result<u64, VaultError> {
    let mut forgotten = 0;
    for id in superfluous(&find(vault, mark)?.ours).iter().rev() {
        match vault.forget(id) {
            Ok(()) => forgotten += 1,
            Err(VaultError::NoSuchSnapshot(_)) => {}
            // What is younger is held for longer.
            Err(VaultError::Backend(BackendError::Held { .. })) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(forgotten)
}

/// Of copies, newest first: all but the newest of each of the last days that have one, and the very newest.
fn superfluous(newest_first: &[Snapshot]) -> Vec<SnapshotId> {
    let mut days = BTreeSet::new();
    let mut gone = Vec::new();
    for (rank, copy) in newest_first.iter().enumerate() {
        let stands_for_its_day = days.insert(copy.time.to_offset(time::UtcOffset::UTC).date()) && days.len() <= DAYS;
        if !stands_for_its_day && rank >= NEWEST {
            gone.push(copy.id);
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn copy(number: u8, time: OffsetDateTime) -> Snapshot {
        Snapshot {
            id: format!("{number:02x}").repeat(32).parse().unwrap(),
            time,
            tree: "00".repeat(32).parse().unwrap(),
            paths: Vec::new(),
            tags: Vec::new(),
            parent: None,
            hostname: String::new(),
            username: String::new(),
            program_version: String::new(),
        }
    }

    #[test]
    fn seven_days_and_the_two_newest_stay() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let hours = [0, 1, 2, 3, 25, 26, 49, 73, 97, 121, 145, 169, 193];
        let copies: Vec<Snapshot> =
            (0_u8..).zip(hours).map(|(number, ago)| copy(number, now - time::Duration::hours(ago))).collect();
        let gone = superfluous(&copies);
        let left: Vec<i64> =
            copies.iter().filter(|copy| !gone.contains(&copy.id)).map(|copy| (now - copy.time).whole_hours()).collect();
        assert_eq!(left, [0, 1, 25, 49, 73, 97, 121, 145]);
        assert!(superfluous(&copies[..2]).is_empty());
    }
}
