//! Writing: everything between a source and a sealed snapshot.

use std::io;

use crate::*;

/// How a stream is cut into blobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Chunking {
    /// About 1 MiB on average: few blobs, for files.
    Files,
    /// Much smaller: scattered changes of a database dump store little again.
    Dump,
}

/// Writes into a vault, under restic's shared lock, until it is sealed or dropped.
pub struct Writer {}

/// What a finished [`Stream`] stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streamed {
    /// The blobs in order.
    pub content: Vec<Id>,
    /// Bytes written into it.
    pub bytes: u64,
    /// Bytes that it added to the vault's packs.
    pub stored: u64,
}

/// What a seal published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// Bytes that the whole writer added to the vault: packs, index and snapshot.
    pub stored: u64,
}

fn soon<T>() -> Result<T, Error> {
    Err(Error::Refused("not built yet".into()))
}

#[allow(missing_docs, unused_variables)]
impl Writer {
    pub fn archive(&self, source: &Source, meter: &Meter) -> Result<Archived, Error> {
        soon()
    }
    pub fn stream(&self, chunking: Chunking, meter: &Meter) -> Stream {
        Stream {}
    }
    pub fn put_tree(&self, nodes: Vec<Node>) -> Result<TreeId, Error> {
        soon()
    }
    pub fn seal(self, draft: SnapshotDraft) -> Result<Sealed, Error> {
        soon()
    }
    pub fn abandon(self) {}
}

/// A stream of unknown length into the vault.
pub struct Stream {}

#[allow(missing_docs)]
impl Stream {
    pub fn cut(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    pub fn finish(self) -> Result<Streamed, Error> {
        soon()
    }
}

impl io::Write for Stream {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
