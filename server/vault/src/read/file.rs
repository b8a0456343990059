//! One file's content as a reader that can seek.

use std::collections::VecDeque;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::backend::{BackendError, FileKind};
use crate::pack::{Blob, BlobKind};
use crate::vault::Opened;
use crate::{Error, Id, Node, PackId};

/// Sealed bytes that one request brings at most, if the next blobs lie one after the other.
const AHEAD: u64 = 4 << 20;

/// One file's content, from any place on. Every blob is verified before a byte of it is given out; the blob in use and
/// those that came with it are all that is kept in memory.
pub struct FileReader {
    vault: Arc<Opened>,
    parts: Vec<Part>,
    length: u64,
    position: u64,
    /// Which part `plain` is of.
    current: Option<usize>,
    plain: Vec<u8>,
    ahead: VecDeque<(usize, Vec<u8>)>,
}

struct Part {
    start: u64,
    pack: PackId,
    blob: Blob,
}

impl FileReader {
    pub(crate) fn open(vault: Arc<Opened>, node: &Node) -> Result<FileReader, Error> {
        if !node.is_file() {
            return Err(Error::Refused(format!("{} is not a file", node.name.display())));
        }
        let mut parts = Vec::with_capacity(node.content.len());
        let mut length = 0;
        for id in &node.content {
            let (pack, blob) = vault.place(BlobKind::Data, id)?;
            parts.push(Part { start: length, pack, blob });
            length += u64::from(blob.raw());
        }
        Ok(FileReader { vault, parts, length, position: 0, current: None, plain: Vec::new(), ahead: VecDeque::new() })
    }

    /// Bytes of the whole file.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// The blobs that it is made of: where each begins, and which it is. Equal blobs are equal bytes.
    pub fn blobs(&self) -> impl Iterator<Item = (u64, Id)> + '_ {
        self.parts.iter().map(|part| (part.start, part.blob.id))
    }

    /// Whether the file has no content.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn fetch(&mut self, at: usize) -> Result<(), Error> {
        let Some(part) = self.parts.get(at) else { return Ok(()) };
        let (pack, first) = (part.pack, part.blob);
        self.ahead.retain(|(kept, _)| *kept >= at);
        let sealed = match self.ahead.pop_front_if(|(kept, _)| *kept == at) {
            Some((_, sealed)) => sealed,
            None => {
                self.ahead.clear();
                match self.read_ahead(at, &pack, &first) {
                    Err(Error::Backend(BackendError::NotFound { .. })) => return self.fetch_moved(at, &first.id),
                    other => other?,
                }
            }
        };
        self.plain = match first.decode(&self.vault.key, sealed) {
            Err(Error::Damaged { .. }) => self.vault.blob(BlobKind::Data, &first.id)?,
            other => other?,
        };
        self.current = Some(at);
        Ok(())
    }

    /// The pack is gone: a prune has moved what it held.
    fn fetch_moved(&mut self, at: usize, id: &Id) -> Result<(), Error> {
        let (pack, blob) = self.vault.place_anew(BlobKind::Data, id)?;
        let sealed = self.read_ahead(at, &pack, &blob)?;
        self.plain = blob.decode(&self.vault.key, sealed)?;
        self.current = Some(at);
        if let Some(part) = self.parts.get_mut(at) {
            (part.pack, part.blob) = (pack, blob);
        }
        Ok(())
    }

    /// Reads a blob, and those that follow it both in the file and in the pack.
    fn read_ahead(&mut self, at: usize, pack: &PackId, first: &Blob) -> Result<Vec<u8>, Error> {
        let start = u64::from(first.offset);
        let mut end = first.end();
        let mut together = vec![*first];
        for part in self.parts.iter().skip(at + 1) {
            let next = part.blob;
            if part.pack != *pack || u64::from(next.offset) != end || next.end() - start > AHEAD {
                break;
            }
            end = next.end();
            together.push(next);
        }
        let mut bytes = self.vault.backend.read_range(FileKind::Pack, &pack.to_string(), start, end - start)?;
        for (n, blob) in together.iter().enumerate().skip(1).rev() {
            let from = usize::try_from(u64::from(blob.offset) - start).unwrap_or(usize::MAX);
            if from > bytes.len() {
                return Err(Error::damaged(format!("pack {pack} is too short")));
            }
            self.ahead.push_front((at + n, bytes.split_off(from)));
        }
        Ok(bytes)
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        // The last part that starts at or before the position; empty blobs share their start with the next one.
        let at = self.parts.partition_point(|part| part.start <= self.position).saturating_sub(1);
        if self.current != Some(at) {
            self.current = None;
            self.fetch(at)?;
        }
        let start = self.parts.get(at).map_or(0, |part| part.start);
        let from = usize::try_from(self.position - start).map_err(io::Error::other)?;
        let rest = self.plain.get(from..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for FileReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
