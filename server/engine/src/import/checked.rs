//! Bytes that are hashed and counted while they are read.

use std::io::{self, Read};

use holdfast_vault::Cancel;
use sha2::{Digest as _, Sha256};

use super::{ImportError, entries::odd};

/// A reader that keeps the SHA-256 of all that was read.
pub(super) struct Checked<'a> {
    input: &'a mut dyn Read,
    hash: Sha256,
    bytes: u64,
    cancel: Cancel,
}

impl<'a> Checked<'a> {
    pub(super) fn new(input: &'a mut dyn Read, cancel: &Cancel) -> Self {
        Self { input, hash: Sha256::new(), bytes: 0, cancel: cancel.clone() }
    }

    pub(super) const fn so_far(&self) -> u64 {
        self.bytes
    }

    /// Reads what is left, and compares.
    pub(super) fn must_be(mut self, name: &str, sha256: &str) -> Result<u64, ImportError> {
        io::copy(&mut self, &mut io::sink()).map_err(|error| odd(&error))?;
        let found = hex::encode(self.hash.finalize());
        if found.eq_ignore_ascii_case(sha256) {
            return Ok(self.bytes);
        }
        Err(ImportError::Refused(format!(
            "{name} is damaged, or was changed: its SHA-256 is {found}, and metadata.json says {sha256}"
        )))
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.cancel.is_cancelled() {
            return Err(holdfast_vault::Error::Cancelled.into());
        }
        let count = self.input.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
