//! Single objects of any name in a bucket, which belong to no vault: written as they come, read from begin to end.

use std::io::{self, Read, Write};

use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;

use super::S3Backend;
use super::fault::Fault;
use crate::backend::{BackendError, FileKind};

/// Bytes that one request brings.
const PIECE: u64 = 8 << 20;
/// Stores take 10,000 parts: the later a part, the larger it is, so that these are enough for a terabyte.
const PARTS_OF_A_SIZE: usize = 1000;

impl S3Backend {
    /// Bytes of an object; none where there is no such.
    ///
    /// # Errors
    /// Whatever the storage says.
    pub fn object_size(&self, key: &str) -> Result<Option<u64>, BackendError> {
        match self.wait(FileKind::Config, self.brief(|| self.store.head(key))) {
            Ok(size) => Ok(Some(size)),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(self.of_object(key, fault)),
        }
    }

    /// Begins an object, which is there once [`Upload::finish`] has come back; dropped before, nothing of it stays.
    pub fn upload(&self, key: &str) -> Upload<'_> {
        Upload { backend: self, key: key.to_owned(), id: None, parts: Vec::new(), buffer: Vec::new(), bytes: 0 }
    }

    /// Opens an object for reading.
    ///
    /// # Errors
    /// [`BackendError::NotFound`] and whatever the storage says.
    pub fn object(&self, key: &str) -> Result<Object<'_>, BackendError> {
        let size = self.object_size(key)?;
        let size = size.ok_or_else(|| BackendError::NotFound { what: self.object_name(key) })?;
        Ok(Object { backend: self, key: key.to_owned(), size, at: 0, piece: Vec::new(), given: 0 })
    }

    fn object_name(&self, key: &str) -> String {
        format!("the object {key} in the bucket {}", self.store.options.bucket)
    }

    fn of_object(&self, key: &str, fault: Fault) -> BackendError {
        fault.into_error(self.object_name(key), &self.store.options.location())
    }
}

/// An object that is being written.
pub struct Upload<'a> {
    backend: &'a S3Backend,
    key: String,
    id: Option<String>,
    parts: Vec<CompletedPart>,
    buffer: Vec<u8>,
    bytes: u64,
}

impl Upload<'_> {
    /// Makes it an object; gives its bytes.
    ///
    /// # Errors
    /// Whatever the storage says; then there is no such object.
    pub fn finish(mut self) -> Result<u64, BackendError> {
        self.end().map_err(|fault| self.backend.of_object(&self.key, fault))?;
        Ok(self.bytes)
    }

    fn end(&mut self) -> Result<(), Fault> {
        let backend = self.backend;
        if self.id.is_none() {
            let body = Bytes::from(std::mem::take(&mut self.buffer));
            let hold = backend.store.options.retention;
            return backend.wait(FileKind::Config, backend.put(&self.key, body, None, hold));
        }
        if !self.buffer.is_empty() {
            self.send()?;
        }
        let Some(id) = &self.id else { return Ok(()) };
        let completing = backend.brief(|| backend.store.complete(&self.key, id, self.parts.clone()));
        match backend.wait(FileKind::Config, completing) {
            // Completed, and the answer lost? Then it is there.
            Err(Fault::Missing) => {
                let size = backend.wait(FileKind::Config, backend.brief(|| backend.store.head(&self.key)))?;
                if size != self.bytes {
                    return Err(Fault::passing("the store has lost an upload before its end"));
                }
            }
            other => other?,
        }
        self.id = None;
        Ok(())
    }

    fn size_of_part(&self) -> usize {
        let part = self.backend.store.options.part.max(5 << 20);
        part + part / 2 * (self.parts.len() / PARTS_OF_A_SIZE)
    }

    fn send(&mut self) -> Result<(), Fault> {
        let backend = self.backend;
        let id = match &self.id {
            Some(id) => id.clone(),
            None => {
                let hold = backend.store.options.retention;
                let begun = backend.brief(|| backend.store.begin(&self.key, hold));
                let id = backend.wait(FileKind::Config, begun)?;
                self.id = Some(id.clone());
                id
            }
        };
        let number = i32::try_from(self.parts.len() + 1).map_err(|_| Fault::passing("too many parts"))?;
        let body = Bytes::from(std::mem::take(&mut self.buffer));
        let time = backend.time_for(body.len());
        let sending = backend.tries(time, || backend.store.part(&self.key, &id, number, body.clone()));
        self.parts.push(backend.wait(FileKind::Config, sending)?);
        Ok(())
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.size_of_part().saturating_sub(self.buffer.len());
        let count = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..count]);
        self.bytes += count as u64;
        if self.buffer.len() >= self.size_of_part() {
            self.send().map_err(|fault| io::Error::other(self.backend.of_object(&self.key, fault)))?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let giving_up = async {
                self.backend.abandon(&self.key, &id).await;
                Ok(())
            };
            let _ = self.backend.wait(FileKind::Config, giving_up);
        }
    }
}

/// An object that is being read.
pub struct Object<'a> {
    backend: &'a S3Backend,
    key: String,
    size: u64,
    at: u64,
    piece: Vec<u8>,
    given: usize,
}

impl Object<'_> {
    /// Its bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Object<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.piece.len() {
            let length = PIECE.min(self.size - self.at);
            if length == 0 {
                return Ok(0);
            }
            let fetching = self.backend.fetch(&self.key, Some((self.at, length)));
            self.piece = self
                .backend
                .wait(FileKind::Config, fetching)
                .map_err(|fault| io::Error::other(self.backend.of_object(&self.key, fault)))?;
            (self.at, self.given) = (self.at + length, 0);
        }
        let rest = &self.piece[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}
