//! Pairing the rows of two tables in bounded memory: a row waits for its partner, equal ones cancel each other out, and
//! what waits too long goes to files, divided by key, which are then paired one after the other in the same way.

use std::{
    collections::{BinaryHeap, HashMap, hash_map::Entry},
    fs::File,
    hash::{BuildHasherDefault, Hasher},
    io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::failure::Failure;

/// The first half of a SHA-256.
pub(crate) type Digest = [u8; 16];

/// Files that one overflow is divided into.
const FILES: usize = 64;
const BUFFER: usize = 16 * 1024;
/// Bytes of one entry of the map, its key and the map's own byte with it; half as much again while the map grows.
const ENTRY: u64 = 74;
/// Side, key, content, place, count.
const RECORD: usize = 1 + 16 + 16 + 8 + 4 + 4;

/// Why rows could not be compared.
#[derive(Debug)]
pub(crate) enum Stop {
    /// This table cannot be; the text says why.
    Unreadable(String),
    /// Nothing can go on.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Said(why) => Self::Unreadable(why),
            other => Self::Failed(other),
        }
    }
}

/// One of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

/// Where a row stands, for it to be found again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Its first byte in the file, or its number.
    pub(crate) at: u64,
    /// Bytes from there to the end of the piece that it begins in.
    pub(crate) left: u32,
}

/// One row, as it is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Of its key; where there is none, of its content.
    pub(crate) key: Digest,
    /// Of all that is compared.
    pub(crate) content: Digest,
    pub(crate) place: Place,
}

/// A difference: the row's places in the first and the second table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// How far from its table's beginning the row stands; these are kept in this order.
    rank: u64,
    pub(crate) first: Option<Place>,
    pub(crate) second: Option<Place>,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) added: u64,
    pub(crate) removed: u64,
    pub(crate) changed: u64,
    /// The differences that stand nearest to their table's beginning.
    pub(crate) kept: BinaryHeap<Difference>,
    /// How many are kept.
    most: usize,
    /// Where the tables begin.
    starts: (u64, u64),
}

impl Tally {
    /// Keeps `most` differences.
    pub(crate) fn keeping(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The tables begin there.
    pub(crate) const fn begin(&mut self, starts: (u64, u64)) {
        self.starts = starts;
    }

    /// All differences.
    pub(crate) const fn total(&self) -> u64 {
        self.added + self.removed + self.changed
    }

    fn told(&mut self, first: Option<Place>, second: Option<Place>, count: u32) {
        let sum = match (first, second) {
            (Some(_), Some(_)) => &mut self.changed,
            (Some(_), None) => &mut self.removed,
            _ => &mut self.added,
        };
        *sum += u64::from(count);
        let rank = match (second, first) {
            (Some(place), _) => place.at.saturating_sub(self.starts.1),
            (None, Some(place)) => place.at.saturating_sub(self.starts.0),
            (None, None) => 0,
        };
        let difference = Difference { rank, first, second };
        for _ in 0..self.most.min(usize::try_from(count).unwrap_or(usize::MAX)) {
            if self.kept.len() >= self.most && self.kept.peek().is_some_and(|last| *last <= difference) {
                break;
            }
            self.kept.push(difference);
            if self.kept.len() > self.most {
                self.kept.pop();
            }
        }
    }
}

/// A row without a partner as yet.
struct Waiting {
    content: Digest,
    at: u64,
    left: u32,
    /// More than one only where there is no key; the highest bit says that it is of the second table.
    count: u32,
}

const SECOND: u32 = 1 << 31;

impl Waiting {
    const fn side(&self) -> Side {
        if self.count & SECOND == 0 { Side::First } else { Side::Second }
    }

    const fn count(&self) -> u32 {
        self.count & !SECOND
    }

    const fn place(&self) -> Place {
        Place { at: self.at, left: self.left }
    }
}

/// The keys are hashes already. Their first half divides them into files, so the second places them in the map.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        if let Some(half) = bytes.last_chunk() {
            self.0 = u64::from_le_bytes(*half);
        }
    }
    // An array begins with its length, which says nothing.
    fn write_usize(&mut self, _: usize) {}
}

/// Pairs rows.
pub(crate) struct Window {
    keyed: bool,
    room: usize,
    depth: usize,
    folder: PathBuf,
    waiting: HashMap<Digest, Waiting, BuildHasherDefault<AsItIs>>,
    overflow: Option<Vec<BufWriter<File>>>,
    tally: Tally,
}

impl Window {
    /// A window over rows with a key (or compared as a whole) that takes about `memory` bytes and writes to `folder`
    /// what does not fit.
    pub(crate) fn new(keyed: bool, memory: u64, folder: &Path, tally: Tally) -> Self {
        let buckets = (memory / ENTRY).max(1024);
        let buckets = 1_u64 << (63 - buckets.leading_zeros());
        let room = usize::try_from(buckets / 8 * 7).unwrap_or(usize::MAX);
        Self { keyed, room, depth: 0, folder: folder.to_path_buf(), waiting: HashMap::default(), overflow: None, tally }
    }

    /// Takes a row.
    pub(crate) fn feed(&mut self, side: Side, row: &Row) -> Result<(), Stop> {
        self.take(side, row, 1)
    }

    fn take(&mut self, side: Side, row: &Row, count: u32) -> Result<(), Stop> {
        let bit = if side == Side::Second { SECOND } else { 0 };
        let waiting =
            |count: u32| Waiting { content: row.content, at: row.place.at, left: row.place.left, count: count | bit };
        match self.waiting.entry(row.key) {
            Entry::Vacant(free) => {
                free.insert(waiting(count));
            }
            Entry::Occupied(mut there) if there.get().side() == side => {
                if self.keyed {
                    return Err(Stop::Unreadable("two of its rows have the same primary key".to_owned()));
                }
                let sum = there.get().count().saturating_add(count).min(SECOND - 1);
                there.get_mut().count = sum | bit;
            }
            Entry::Occupied(there) if self.keyed => {
                let there = there.remove();
                if there.content != row.content {
                    let (first, second) = match side {
                        Side::First => (row.place, there.place()),
                        Side::Second => (there.place(), row.place),
                    };
                    self.tally.told(Some(first), Some(second), 1);
                }
            }
            Entry::Occupied(mut there) => match there.get().count() {
                more if more > count => there.get_mut().count -= count,
                same if same == count => {
                    there.remove();
                }
                fewer => *there.get_mut() = waiting(count - fewer),
            },
        }
        // At the last depth there is nothing left to divide by: that many equal halves of a hash there cannot be.
        if self.waiting.len() >= self.room && self.depth < 8 { self.make_room() } else { Ok(()) }
    }

    /// Writes all that waits to files.
    fn make_room(&mut self) -> Result<(), Stop> {
        let failed = |error: std::io::Error| Stop::Failed(Failure::io(&self.folder, &error));
        let files = match &mut self.overflow {
            Some(files) => files,
            none => {
                // They have no name: whatever happens, nothing of them stays.
                let file = || tempfile::tempfile_in(&self.folder).map(|file| BufWriter::with_capacity(BUFFER, file));
                let files: Result<Vec<_>, _> = (0..FILES).map(|_| file()).collect();
                none.insert(files.map_err(failed)?)
            }
        };
        for (key, waiting) in self.waiting.drain() {
            let mut record = [0; RECORD];
            record[0] = u8::from(waiting.side() == Side::Second);
            record[1..17].copy_from_slice(&key);
            record[17..33].copy_from_slice(&waiting.content);
            record[33..41].copy_from_slice(&waiting.at.to_le_bytes());
            record[41..45].copy_from_slice(&waiting.left.to_le_bytes());
            record[45..].copy_from_slice(&waiting.count().to_le_bytes());
            let file = usize::from(key[self.depth]) % FILES;
            files[file].write_all(&record).map_err(failed)?;
        }
        Ok(())
    }

    /// No more rows will come.
    pub(crate) fn finish(mut self) -> Result<Tally, Stop> {
        if self.overflow.is_some() {
            self.make_room()?;
        }
        let Some(files) = self.overflow.take() else {
            for waiting in self.waiting.into_values() {
                let place = Some(waiting.place());
                match waiting.side() {
                    Side::First => self.tally.told(place, None, waiting.count()),
                    Side::Second => self.tally.told(None, place, waiting.count()),
                }
            }
            return Ok(self.tally);
        };
        drop(std::mem::take(&mut self.waiting));
        for file in files {
            let failed = |error: std::io::Error| Stop::Failed(Failure::io(&self.folder, &error));
            let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
            let records = file.stream_position().map_err(failed)? / RECORD as u64;
            file.seek(SeekFrom::Start(0)).map_err(failed)?;
            let mut input = BufReader::with_capacity(4 * BUFFER, file);
            let mut part = Self {
                keyed: self.keyed,
                room: self.room,
                depth: self.depth + 1,
                folder: self.folder.clone(),
                waiting: HashMap::default(),
                overflow: None,
                tally: self.tally,
            };
            for _ in 0..records {
                let mut record = [0; RECORD];
                input.read_exact(&mut record).map_err(failed)?;
                let (side, row, count) = parsed(&record);
                part.take(side, &row, count)?;
            }
            self.tally = part.finish()?;
        }
        Ok(self.tally)
    }
}

fn parsed(record: &[u8; RECORD]) -> (Side, Row, u32) {
    let part = |from: usize| record.get(from..).unwrap_or_default();
    let key = part(1).first_chunk().copied().unwrap_or_default();
    let content = part(17).first_chunk().copied().unwrap_or_default();
    let at = u64::from_le_bytes(part(33).first_chunk().copied().unwrap_or_default());
    let left = u32::from_le_bytes(part(41).first_chunk().copied().unwrap_or_default());
    let count = u32::from_le_bytes(part(45).first_chunk().copied().unwrap_or_default());
    let side = if record[0] == 0 { Side::First } else { Side::Second };
    (side, Row { key, content, place: Place { at, left } }, count)
}
