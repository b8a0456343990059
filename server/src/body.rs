//! Bytes on their way between a connection, which is async, and code that reads.

use std::{
    io::{self, Read},
    time::Duration,
};

use holdfast_vault::Cancel;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_util::bytes::Bytes;

/// How often a reader that waits looks whether it still shall.
const LOOK: Duration = Duration::from_millis(200);

/// Reads pieces as they come; an error among them is the reader's. Read it on a thread that may block, of a runtime.
pub struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    cancel: Cancel,
}

impl Pieces {
    /// What comes through that channel; its end is the end. A thrown `cancel` is an error, also while nothing comes.
    #[must_use]
    pub fn new(receiver: mpsc::Receiver<io::Result<Bytes>>, cancel: Cancel) -> Self {
        Self { receiver, piece: Bytes::new(), cancel }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            if self.cancel.is_cancelled() {
                return Err(holdfast_vault::Error::Cancelled.into());
            }
            let next = Handle::current().block_on(async { timeout(LOOK, self.receiver.recv()).await });
            match next {
                Ok(Some(piece)) => self.piece = piece?,
                Ok(None) => return Ok(0),
                Err(_) => {}
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
