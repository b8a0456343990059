//! The two open packs, for data and for trees, and the fixed number of buffers that they are filled in.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::core::Core;
use crate::pack::{Blob, BlobKind};
use crate::{Error, Id};

/// For the uploaders.
pub(crate) enum Upload {
    /// A full pack, still without its header.
    Pack {
        /// Its blobs' bytes.
        bytes: Vec<u8>,
        /// What they are.
        blobs: Vec<Blob>,
    },
    /// There will be no more.
    Stop,
}

/// Fills packs.
pub(crate) struct Packer {
    data: Mutex<Open>,
    trees: Mutex<Open>,
    uploads: Sender<Upload>,
    spare: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
    /// Bytes at which a pack is full.
    full: usize,
}

#[derive(Default)]
struct Open {
    bytes: Option<Vec<u8>>,
    blobs: Vec<Blob>,
    closed: bool,
}

impl Packer {
    /// Five twelfths of `memory` go into pack buffers: two are open, one is handed on, and one is on its way on each
    /// connection. So many connections mean smaller packs, unless these would become too small to be worth a request.
    pub(crate) fn new(memory: usize, connections: usize) -> (Packer, Receiver<Upload>) {
        let share = memory * 5 / 12;
        let full = (share / (connections + 3)).clamp(4 << 20, 16 << 20);
        let buffers = (share / full).clamp(3, connections + 3);
        let (give_back, spare) = crossbeam_channel::bounded(buffers);
        for _ in 0..buffers {
            let _ = give_back.try_send(Vec::new());
        }
        let (uploads, receiver) = crossbeam_channel::bounded(buffers);
        let packer = Packer { data: Mutex::default(), trees: Mutex::default(), uploads, spare, give_back, full };
        (packer, receiver)
    }

    /// Appends a sealed blob and gives the bytes that it takes, header entry included.
    pub(crate) fn append(
        &self,
        core: &Core,
        kind: BlobKind,
        id: Id,
        sealed: &[u8],
        packed_from: u32,
    ) -> Result<u64, Error> {
        let open = match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        };
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.closed {
            return Err(Error::Refused("the writer was sealed already".into()));
        }
        if open.bytes.as_ref().is_some_and(|bytes| bytes.len() + sealed.len() > self.full) {
            self.hand_over(&mut open)?;
        }
        if open.bytes.is_none() {
            open.bytes = Some(self.buffer(core)?);
        }
        let Open { bytes: Some(bytes), blobs, .. } = &mut *open else {
            return Err(Error::Refused("a pack without a buffer".into()));
        };
        let out_of_bounds = |_| Error::Refused("a blob larger than a pack can be".into());
        let blob = Blob {
            id,
            kind,
            offset: u32::try_from(bytes.len()).map_err(out_of_bounds)?,
            length: u32::try_from(sealed.len()).map_err(out_of_bounds)?,
            packed_from,
        };
        bytes.extend_from_slice(sealed);
        blobs.push(blob);
        Ok(crate::pack::size(&[blob]) - crate::pack::size(&[]))
    }

    fn hand_over(&self, open: &mut Open) -> Result<(), Error> {
        let blobs = std::mem::take(&mut open.blobs);
        if let Some(bytes) = open.bytes.take() {
            let gone = |_| Error::Refused("the uploaders are gone".into());
            self.uploads.send(Upload::Pack { bytes, blobs }).map_err(gone)?;
        }
        Ok(())
    }

    /// Waits until an uploader has a buffer to give.
    fn buffer(&self, core: &Core) -> Result<Vec<u8>, Error> {
        loop {
            core.check()?;
            match self.spare.recv_timeout(Duration::from_millis(50)) {
                Ok(mut buffer) => {
                    buffer.reserve(self.full + (1 << 20));
                    return Ok(buffer);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Refused("the uploaders are gone".into())),
            }
        }
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        // One very large blob shall not keep its memory for ever.
        buffer.shrink_to(2 * self.full);
        let _ = self.give_back.try_send(buffer);
    }

    /// Hands over what is in the open packs; nothing can be appended from now on.
    pub(crate) fn close(&self) -> Result<(), Error> {
        for open in [&self.data, &self.trees] {
            let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
            open.closed = true;
            self.hand_over(&mut open)?;
        }
        Ok(())
    }

    /// Tells so many uploaders to go when the packs before are done.
    pub(crate) fn stop(&self, uploaders: usize) {
        for _ in 0..uploaders {
            let _ = self.uploads.send(Upload::Stop);
        }
    }
}
