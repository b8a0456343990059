//! Bytes on their way between a connection, which is async, and code that reads or writes.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use holdfast_vault::Cancel;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_util::bytes::Bytes;

/// How often a reader that waits looks whether it still shall.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that go out at once.
const PIECE: usize = 256 << 10;

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

/// Hands bytes to a connection, a piece at a time; flush it at the end. Write on a thread that may block. Once nobody
/// takes more, writing is a [`io::ErrorKind::BrokenPipe`].
pub struct Outgoing {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Outgoing {
    /// Hands them to that channel.
    #[must_use]
    pub fn new(sender: mpsc::Sender<io::Result<Bytes>>) -> Self {
        Self { sender, piece: Vec::with_capacity(PIECE) }
    }
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender
            .blocking_send(Ok(Bytes::from(piece)))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes more"))
    }
}
