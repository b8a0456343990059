//! Reading a file out of the vault.

use std::io;

/// One file's content, from any place on.
pub struct FileReader {}

impl io::Read for FileReader {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl io::Seek for FileReader {
    fn seek(&mut self, _to: io::SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
