//! The archive's integers, texts and chunks, copied onwards as they are read.

use std::io::{BufRead, BufReader, Read};

use super::{ArchiveError, Entry, Sink};

const BUFFER: usize = 256 * 1024;
/// No text of a table of contents is longer: a function's source may be long, a gigabyte is nonsense.
const LONGEST: usize = 1 << 30;

/// Reads from one side and writes the same bytes to the other.
pub(super) struct Tee<'a, R, W> {
    input: BufReader<R>,
    output: &'a mut W,
    pending: Vec<u8>,
    at: u64,
}

impl<'a, R: Read, W: Sink> Tee<'a, R, W> {
    pub(super) fn new(input: R, output: &'a mut W) -> Self {
        Self { input: BufReader::with_capacity(BUFFER, input), output, pending: Vec::with_capacity(2 * BUFFER), at: 0 }
    }

    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn is_at_end(&mut self) -> Result<bool, ArchiveError> {
        self.input.fill_buf().map(<[u8]>::is_empty).map_err(ArchiveError::Source)
    }

    pub(super) fn cut(&mut self) -> Result<(), ArchiveError> {
        self.flush()?;
        self.output.cut().map_err(ArchiveError::Sink)
    }

    pub(super) fn flush(&mut self) -> Result<(), ArchiveError> {
        self.output.write_all(&self.pending).map_err(ArchiveError::Sink)?;
        self.pending.clear();
        Ok(())
    }

    pub(super) fn finish(&mut self) -> Result<(), ArchiveError> {
        self.flush()?;
        self.output.flush().map_err(ArchiveError::Sink)
    }

    fn pass(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        self.at += bytes;
        if self.pending.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn truncated(&self, within: &str) -> ArchiveError {
        ArchiveError::Truncated { at: self.at, within: within.into() }
    }

    pub(super) fn take(&mut self, into: &mut [u8], within: &str) -> Result<(), ArchiveError> {
        self.input.read_exact(into).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => self.truncated(within),
            _ => ArchiveError::Source(error),
        })?;
        self.pending.extend_from_slice(into);
        self.pass(into.len() as u64)
    }

    pub(super) fn byte(&mut self, within: &str) -> Result<u8, ArchiveError> {
        let mut byte = [0];
        self.take(&mut byte, within)?;
        Ok(byte[0])
    }

    /// Passes `left` bytes on without looking at them.
    fn skip(&mut self, mut left: u64, within: &str) -> Result<(), ArchiveError> {
        while left > 0 {
            let available = self.input.fill_buf().map_err(ArchiveError::Source)?;
            if available.is_empty() {
                return Err(self.truncated(within));
            }
            let count = available.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.pending.extend_from_slice(&available[..count]);
            self.input.consume(count);
            left -= count as u64;
            self.pass(count as u64)?;
        }
        Ok(())
    }

    /// Passes on all that is left, and gives the length of the whole.
    pub(super) fn rest(&mut self) -> Result<u64, ArchiveError> {
        while !self.is_at_end()? {
            let count = self.input.buffer().len() as u64;
            self.skip(count, "the archive")?;
        }
        self.finish()?;
        Ok(self.at)
    }
}

/// The archive's own encoding, of one version.
pub(super) struct Wire<'a, R, W> {
    pub(super) tee: Tee<'a, R, W>,
    minor: u8,
    int_size: usize,
    position_size: u8,
}

impl<'a, R: Read, W: Sink> Wire<'a, R, W> {
    /// Reads the header behind the version.
    pub(super) fn open(mut tee: Tee<'a, R, W>, minor: u8) -> Result<Self, ArchiveError> {
        const CUSTOM: u8 = 1;
        let within = "the header";
        let (int_size, position_size, format) = (tee.byte(within)?, tee.byte(within)?, tee.byte(within)?);
        if !(1..=8).contains(&int_size) || position_size > 16 || format != CUSTOM {
            return Err(ArchiveError::NotAnArchive);
        }
        let mut wire = Self { tee, minor, int_size: int_size.into(), position_size };
        if minor >= 15 {
            wire.tee.byte(within)?; // compression
        } else {
            wire.int(within)?;
        }
        for _ in ["second", "minute", "hour", "day", "month", "year", "daylight saving"] {
            wire.int(within)?;
        }
        for _ in ["database", "server version", "pg_dump version"] {
            wire.text(within)?;
        }
        Ok(wire)
    }

    pub(super) const fn position_size(&self) -> u8 {
        self.position_size
    }

    pub(super) const fn int_size(&self) -> usize {
        self.int_size
    }

    /// A sign byte, then bytes from low to high.
    pub(super) fn int(&mut self, within: &str) -> Result<i64, ArchiveError> {
        let mut bytes = [0_u8; 9];
        self.tee.take(&mut bytes[..=self.int_size], within)?;
        let value = bytes[1..=self.int_size].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        let value =
            i64::try_from(value).map_err(|_| ArchiveError::Malformed(format!("a number too large in {within}")))?;
        Ok(if bytes[0] == 0 { value } else { -value })
    }

    /// A length, -1 for no text, then bytes.
    fn text(&mut self, within: &str) -> Result<Option<String>, ArchiveError> {
        let length = self.int(within)?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= LONGEST);
        let length =
            length.ok_or_else(|| ArchiveError::Malformed(format!("a text of impossible length in {within}")))?;
        // Grown as it is read: a length that is a lie costs no memory.
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let from = bytes.len();
            bytes.resize(length.min(from + BUFFER), 0);
            self.tee.take(&mut bytes[from..], within)?;
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn plain(&mut self, within: &str) -> Result<String, ArchiveError> {
        Ok(self.text(within)?.unwrap_or_default())
    }

    /// The table of contents.
    pub(super) fn contents(&mut self) -> Result<Vec<Entry>, ArchiveError> {
        let within = "the table of contents";
        let count = self.int(within)?;
        let mut entries = Vec::new();
        for _ in 0..count {
            let id = self.int(within)?;
            let has_data = self.int(within)? != 0;
            let _catalogue = (self.text(within)?, self.text(within)?);
            let (name, tag) = (self.plain(within)?, self.plain(within)?);
            let _section = self.int(within)?;
            let sql = self.plain(within)?;
            let _drop = self.text(within)?;
            let copy = self.plain(within)?;
            let schema = self.plain(within)?;
            let _tablespace_and_method = (self.text(within)?, self.text(within)?);
            if self.minor >= 16 {
                self.int(within)?; // relkind
            }
            let owner = self.plain(within)?;
            let _with_oids = self.text(within)?;
            let mut needs = Vec::new();
            while let Some(need) = self.text(within)? {
                needs.extend(need.trim().parse::<i64>());
            }
            let note_at = self.tee.at();
            self.tee.skip(1 + u64::from(self.position_size), within)?;
            entries.push(Entry { id, tag, schema, name, owner, sql, copy, needs, has_data, note_at });
        }
        Ok(entries)
    }

    /// Chunks of data until one of length 0.
    pub(super) fn chunks(&mut self, within: &str) -> Result<(), ArchiveError> {
        loop {
            match u64::try_from(self.int(within)?) {
                Ok(0) => return Ok(()),
                Ok(length) => self.tee.skip(length, within)?,
                Err(_) => return Err(ArchiveError::Malformed(format!("a chunk of negative length in {within}"))),
            }
        }
    }
}
