//! A stream of unknown length into the vault.

use std::io;
use std::sync::Arc;

use super::Chunking;
use super::assembly::Assembly;
use super::core::{Core, Cruncher, Tally};
use crate::chunk::Cutter;
use crate::{Error, Id, Meter};

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

/// Takes bytes, cuts them into chunks and has these stored. Dropped without [`Stream::finish`], it leaves nothing that
/// any snapshot refers to.
///
/// The errors of [`io::Write`] carry the vault's own ([`Error::from_io`]).
pub struct Stream {
    core: Arc<Core>,
    cutter: Arc<Cutter>,
    assembly: Assembly,
    tally: Arc<Tally>,
    meter: Meter,
    cruncher: Option<Cruncher>,
    buffer: Vec<u8>,
    /// Where in the buffer the next chunk starts.
    start: usize,
    /// From how many bytes on it is worth looking for a cut.
    enough: usize,
    bytes: u64,
}

impl Stream {
    pub(crate) fn new(core: Arc<Core>, chunking: Chunking, meter: &Meter) -> Stream {
        let cutter = core.vault.cutters.get(chunking);
        let tally = Arc::new(Tally::new(meter));
        Stream {
            enough: 2 * cutter.avg,
            assembly: Assembly::new(tally.clone()),
            buffer: Vec::with_capacity(4 * cutter.avg),
            core,
            cutter,
            tally,
            meter: meter.clone(),
            cruncher: None,
            start: 0,
            bytes: 0,
        }
    }

    /// Forces a chunk boundary here: what follows can be read without what stands before.
    ///
    /// # Errors
    /// As for writing.
    pub fn cut(&mut self) -> io::Result<()> {
        self.drain(true).map_err(io::Error::from)
    }

    /// Stores what is left and gives the blobs.
    ///
    /// # Errors
    /// The writer's first error.
    pub fn finish(mut self) -> Result<Streamed, Error> {
        self.drain(true)?;
        let mut cruncher = Stream::cruncher(&self.core, self.cruncher.take())?;
        let content = self.assembly.finish(&self.core, &mut cruncher)?;
        Ok(Streamed { content, bytes: self.bytes, stored: self.tally.stored() })
    }

    fn cruncher(core: &Core, kept: Option<Cruncher>) -> Result<Cruncher, Error> {
        kept.map_or_else(|| Cruncher::new(core), Ok)
    }

    /// Gives away all chunks that are whole; with `last`, everything.
    fn drain(&mut self, last: bool) -> Result<(), Error> {
        let mut cruncher = Stream::cruncher(&self.core, self.cruncher.take())?;
        let left = loop {
            let rest = &self.buffer[self.start..];
            if rest.is_empty() {
                break 0;
            }
            let Some(length) = self.cutter.cut(rest, last) else { break rest.len() };
            self.assembly.push(&self.core, &mut cruncher, &rest[..length])?;
            self.start += length;
        };
        self.cruncher = Some(cruncher);
        self.buffer.drain(..self.start);
        self.start = 0;
        // Looking again at each small write would cost more than all else.
        self.enough = (left + self.cutter.avg).max(2 * self.cutter.avg);
        Ok(())
    }
}

impl io::Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.core.check()?;
        let count = bytes.len().min(4 << 20);
        self.buffer.extend_from_slice(&bytes[..count]);
        self.bytes += count as u64;
        self.meter.add_bytes(count as u64);
        if self.buffer.len() >= self.enough {
            self.drain(false)?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.core.check()?)
    }
}
