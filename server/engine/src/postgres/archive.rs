//! Reading a `pg_dump -Fc` archive while it streams by: what it holds, and which bytes belong to which table.
//!
//! The format is PostgreSQL's own (`src/bin/pg_dump/pg_backup_archiver.c`, `pg_backup_custom.c`); versions 1.14 (PostgreSQL
//! 12 to 15), 1.15 (16) and 1.16 (17, 18) are read. Behind the header and the table of contents stand the data
//! blocks: a type byte, the entry's id, chunks of a length and bytes until a length of 0; large objects add
//! their own ids. Nothing marks the end, so the reader is the end marker: every entry that has data was seen, and the
//! stream ends exactly there.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
};

use serde::{Deserialize, Serialize};

mod wire;
use wire::{Tee, Wire};

const DATA: u8 = 1;
const BLOBS: u8 = 3;
/// Minor versions of the format that are read.
const KNOWN_FROM: u8 = 14;
const KNOWN_TO: u8 = 16;

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It does not begin like an archive.
    #[error("it is not an archive in pg_dump's custom format")]
    NotAnArchive,
    /// It ends before it is whole.
    #[error("it ends after {at} bytes, in the middle of {within}")]
    Truncated {
        /// Bytes read.
        at: u64,
        /// What was being read.
        within: String,
    },
    /// Something in it cannot be.
    #[error("{0}")]
    Malformed(String),
    /// It could not be read.
    #[error("it could not be read: {0}")]
    Source(io::Error),
    /// What was read could not be written on.
    #[error("it could not be written: {0}")]
    Sink(io::Error),
}

/// Where the bytes go on to.
pub trait Sink: Write {
    /// Called before the first byte of each entry's data.
    ///
    /// # Errors
    /// What the sink says.
    fn cut(&mut self) -> io::Result<()>;
}

impl Sink for holdfast_vault::Stream {
    fn cut(&mut self) -> io::Result<()> {
        Self::cut(self)
    }
}

/// One line of the table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id within the archive.
    pub id: i64,
    /// What it is: `TABLE`, `TABLE DATA`, `FK CONSTRAINT`, …
    pub tag: String,
    /// Its schema; empty where it has none.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its owner; empty where it has none.
    pub owner: String,
    /// The SQL that makes it; empty for data.
    pub sql: String,
    /// The statement that takes its data back: `COPY schema.table (a, b) FROM stdin;`; empty where there is none.
    pub copy: String,
    /// Entries that must be restored before it.
    pub needs: Vec<i64>,
    /// Whether data belongs to it.
    pub has_data: bool,
    /// Where its place is noted in the archive: the offset of a state byte, which a position follows.
    pub note_at: u64,
}

/// `dump.idx.json`: which bytes of `dump.pgc` belong to which entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// The archive's own version, `1.14`.
    pub archive: String,
    /// Whether that version is known; if not, there are no entries.
    pub known: bool,
    /// Bytes of the whole archive.
    pub length: u64,
    /// In the order of the archive.
    pub entries: Vec<IndexEntry>,
}

/// The bytes of one entry's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEntry {
    /// The entry's id within the archive.
    pub id: i64,
    /// `TABLE DATA` or `BLOBS`.
    pub tag: String,
    /// Its schema.
    pub schema: String,
    /// The table's name.
    pub name: String,
    /// The first byte, which is the block's type.
    pub offset: u64,
    /// Bytes up to and with the block's end.
    pub length: u64,
}

/// An archive that has streamed by, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where the data are.
    pub index: Index,
    /// The table of contents; empty where the version is not known.
    pub entries: Vec<Entry>,
    /// Bytes of a position.
    pub position_size: u8,
}

/// Copies an archive from `input` to `output` and reads it on the way.
///
/// # Errors
/// When it is not whole, or cannot be read or written. An unknown version is none: it is copied and says so.
pub fn copy(input: impl Read, output: &mut impl Sink) -> Result<Archive, ArchiveError> {
    let mut tee = Tee::new(input, output);
    let (major, minor) = begin(&mut tee)?;
    let version = format!("{major}.{minor}");
    if major != 1 || !(KNOWN_FROM..=KNOWN_TO).contains(&minor) {
        let length = tee.rest()?;
        let index = Index { archive: version, known: false, length, entries: Vec::new() };
        return Ok(Archive { index, entries: Vec::new(), position_size: 0 });
    }
    let mut wire = Wire::open(tee, minor)?;
    let entries = wire.contents()?;
    let blocks = blocks(&mut wire, &entries)?;
    let (length, position_size) = (wire.tee.at(), wire.position_size());
    wire.tee.finish()?;
    let index = Index { archive: version, known: true, length, entries: blocks };
    Ok(Archive { index, entries, position_size })
}

/// What stands before an archive's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The archive's own version, `1.14`.
    pub version: String,
    /// Whether that version is known; if not, there are no entries.
    pub known: bool,
    /// Bytes of a number, without its sign byte.
    pub int_size: usize,
    /// The table of contents.
    pub entries: Vec<Entry>,
}

/// Reads all that stands before the data.
///
/// # Errors
/// When it is not whole, or cannot be read.
pub fn open(input: impl Read) -> Result<Contents, ArchiveError> {
    let mut nowhere = Nowhere;
    let mut tee = Tee::new(input, &mut nowhere);
    let (major, minor) = begin(&mut tee)?;
    let version = format!("{major}.{minor}");
    if major != 1 || !(KNOWN_FROM..=KNOWN_TO).contains(&minor) {
        return Ok(Contents { version, known: false, int_size: 0, entries: Vec::new() });
    }
    let mut wire = Wire::open(tee, minor)?;
    let entries = wire.contents()?;
    Ok(Contents { version, known: true, int_size: wire.int_size(), entries })
}

/// Reads the table of contents alone; empty for an unknown version.
///
/// # Errors
/// When it is not whole, or cannot be read.
pub fn contents(input: impl Read) -> Result<Vec<Entry>, ArchiveError> {
    open(input).map(|contents| contents.entries)
}

struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Nowhere {
    fn cut(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The magic word and the version.
fn begin<R: Read, W: Sink>(tee: &mut Tee<'_, R, W>) -> Result<(u8, u8), ArchiveError> {
    let mut head = [0_u8; 8];
    tee.take(&mut head, "the header").map_err(|error| match error {
        ArchiveError::Truncated { .. } => ArchiveError::NotAnArchive,
        other => other,
    })?;
    if &head[..5] != b"PGDMP" {
        return Err(ArchiveError::NotAnArchive);
    }
    Ok((head[5], head[6]))
}

fn blocks<R: Read, W: Sink>(wire: &mut Wire<'_, R, W>, entries: &[Entry]) -> Result<Vec<IndexEntry>, ArchiveError> {
    let mut waiting: HashMap<i64, &Entry> = entries.iter().filter(|e| e.has_data).map(|e| (e.id, e)).collect();
    let mut found = Vec::with_capacity(waiting.len());
    while !wire.tee.is_at_end()? {
        let offset = wire.tee.at();
        wire.tee.cut()?;
        let kind = wire.tee.byte("a data block")?;
        let id = wire.int("a data block")?;
        let entry = waiting.remove(&id).ok_or_else(|| {
            ArchiveError::Malformed(format!("data of entry {id} at byte {offset}, which is not expected there"))
        })?;
        match kind {
            DATA => wire.chunks(&entry.name)?,
            BLOBS => {
                while wire.int("the large objects")? != 0 {
                    wire.chunks("a large object")?;
                }
            }
            other => return Err(ArchiveError::Malformed(format!("a data block of type {other} at byte {offset}"))),
        }
        found.push(IndexEntry {
            id,
            tag: entry.tag.clone(),
            schema: entry.schema.clone(),
            name: entry.name.clone(),
            offset,
            length: wire.tee.at() - offset,
        });
    }
    match waiting.into_values().min_by_key(|entry| entry.id) {
        None => Ok(found),
        Some(entry) => Err(ArchiveError::Truncated {
            at: wire.tee.at(),
            within: format!("the data, before {} {}.{}", entry.tag, entry.schema, entry.name),
        }),
    }
}

impl Archive {
    /// Every owner that the table of contents names.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.owner.as_str()).filter(|owner| !owner.is_empty())
    }

    /// What to write where, so that a copy in a file tells `pg_restore` the place of each entry's data: an archive
    /// from a pipe does not, and parallel restore would search for it from the beginning, each time.
    #[must_use]
    pub fn positions(&self) -> Vec<(u64, Vec<u8>)> {
        const SET: u8 = 2;
        let notes: HashMap<i64, u64> = self.entries.iter().map(|entry| (entry.id, entry.note_at)).collect();
        let patch = |block: &IndexEntry| {
            let mut bytes = vec![SET];
            bytes.extend(block.offset.to_le_bytes().into_iter().chain([0; 8]).take(self.position_size.into()));
            notes.get(&block.id).map(|at| (*at, bytes))
        };
        self.index.entries.iter().filter_map(patch).collect()
    }

    /// The ids of the entries for which `drop` says so, and of all that need them.
    #[must_use]
    pub fn closure(&self, drop: impl Fn(&Entry) -> bool) -> Vec<i64> {
        let mut gone: Vec<i64> = self.entries.iter().filter(|entry| drop(entry)).map(|entry| entry.id).collect();
        loop {
            let more =
                self.entries.iter().filter(|e| !gone.contains(&e.id) && e.needs.iter().any(|n| gone.contains(n)));
            let more: Vec<i64> = more.map(|entry| entry.id).collect();
            if more.is_empty() {
                return gone;
            }
            gone.extend(more);
        }
    }
}
