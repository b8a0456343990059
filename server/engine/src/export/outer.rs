//! The archive around the export's files: nothing but plain headers, so that its length is known beforehand.

use std::io::{self, Write};

use holdfast_vault::Cancel;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};
use time::OffsetDateTime;

use super::{ExportError, member::Member};
use crate::failure::Failure;

const BLOCK: u64 = 512;
const EMPTY: [u8; 1024] = [0; 1024];
/// Two empty blocks end an archive.
const END: u64 = EMPTY.len() as u64;

/// Bytes of the archive of these files within one folder.
pub(super) fn length(members: &[Member]) -> u64 {
    members.iter().map(|member| BLOCK + member.bytes.next_multiple_of(BLOCK)).sum::<u64>() + BLOCK + END
}

/// An archive that is being written.
pub(super) struct Outer<W> {
    output: W,
    folder: String,
    time: u64,
}

impl<W: Write> Outer<W> {
    /// Begins with the folder.
    pub(super) fn begin(output: W, folder: &str, time: OffsetDateTime) -> Result<Self, ExportError> {
        let time = u64::try_from(time.unix_timestamp()).unwrap_or(0);
        let mut outer = Self { output, folder: folder.to_owned(), time };
        let header = outer.header("", EntryType::Directory, 0o700, 0)?;
        outer.put(header.as_bytes())?;
        Ok(outer)
    }

    fn header(&self, name: &str, kind: EntryType, mode: u32, size: u64) -> Result<Header, ExportError> {
        let mut header = Header::new_ustar();
        header.set_path(format!("{}/{name}", self.folder)).map_err(ExportError::Output)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.time);
        header.set_size(size);
        header.set_cksum();
        Ok(header)
    }

    /// Adds a file, whose content `produce` writes: exactly the bytes that were measured.
    pub(super) fn member(
        &mut self,
        member: &Member,
        produce: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    ) -> Result<(), ExportError> {
        let header = self.header(&member.name, EntryType::Regular, 0o600, member.bytes)?;
        self.put(header.as_bytes())?;
        let mut tap = Tap::new(&mut self.output, member.bytes);
        let produced = produce(&mut tap);
        if let Some(error) = tap.failed.take() {
            return Err(ExportError::Output(error));
        }
        produced?;
        let (bytes, sha256) = tap.end();
        if (bytes, &sha256) != (member.bytes, &member.sha256) {
            return Err(ExportError::Said(format!("{} was not the same when it was read again", member.name)));
        }
        let padding = usize::try_from(bytes.next_multiple_of(BLOCK) - bytes).unwrap_or(0);
        self.put(&EMPTY[..padding])
    }

    /// Writes the archive's end.
    pub(super) fn end(mut self) -> Result<W, ExportError> {
        self.put(&EMPTY)?;
        self.output.flush().map_err(ExportError::Output)?;
        Ok(self.output)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.output.write_all(bytes).map_err(ExportError::Output)
    }
}

/// Counts and hashes what goes through it, and lets no more through than was announced.
pub(super) struct Tap<W> {
    output: W,
    hash: Sha256,
    bytes: u64,
    most: u64,
    /// What the output said, told apart from what a reader said.
    pub(super) failed: Option<io::Error>,
}

impl<W: Write> Tap<W> {
    pub(super) fn new(output: W, most: u64) -> Self {
        Self { output, hash: Sha256::new(), bytes: 0, most, failed: None }
    }

    /// How many bytes came, and their SHA-256.
    pub(super) fn end(self) -> (u64, String) {
        (self.bytes, hex::encode(self.hash.finalize()))
    }
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > self.most {
            return Err(io::Error::other("it was longer when it was read again"));
        }
        self.hash.update(bytes);
        if let Err(error) = self.output.write_all(bytes) {
            let told = io::Error::new(error.kind(), error.to_string());
            self.failed = Some(error);
            return Err(told);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends with the switch: whatever is being written goes through it piece by piece.
pub(super) struct Stopping<W>(pub(super) W, pub(super) Cancel);

impl<W: Write> Write for Stopping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1.is_cancelled() {
            return Err(io::Error::other("cancelled"));
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
