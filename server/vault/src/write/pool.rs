//! The writer's threads: those that work on queued chunks, and those that write packs.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;

use super::assembly::Job;
use super::core::{Core, Cruncher, Ends};
use super::packer::Upload;
use crate::backend::FileKind;
use crate::index::PackJson;
use crate::pack::{self, Blob};
use crate::{Error, Id};

/// The threads of one writer.
pub(crate) struct Pool {
    workers: Vec<JoinHandle<()>>,
    uploaders: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(crate) fn start(core: &Arc<Core>, ends: &Ends) -> Result<Pool, Error> {
        let mut pool = Pool { workers: Vec::new(), uploaders: Vec::new() };
        for n in 0..core.vault.options.threads.max(1) {
            let core = core.clone();
            pool.workers.push(spawn(format!("vault-chunk-{n}"), move || work(&core))?);
        }
        for n in 0..core.vault.backend.connections().max(1) {
            let (core, uploads) = (core.clone(), ends.uploads.clone());
            pool.uploaders.push(spawn(format!("vault-pack-{n}"), move || upload(&core, &uploads))?);
        }
        Ok(pool)
    }

    /// Lets the threads do what is queued and waits until they are gone.
    pub(crate) fn stop(&mut self, core: &Core) {
        for _ in &self.workers {
            let _ = core.jobs.send(Job::Stop);
        }
        core.packer.stop(self.uploaders.len());
        for thread in self.workers.drain(..).chain(self.uploaders.drain(..)) {
            if thread.join().is_err() {
                core.fail(Error::Refused("a worker thread died".into()));
            }
        }
    }

    /// Waits until all packs are durable.
    pub(crate) fn finish(&mut self, core: &Core) -> Result<(), Error> {
        core.packer.close()?;
        self.stop(core);
        core.check()
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name).spawn(work).map_err(|error| Error::io("a thread of the writer", error))
}

fn work(core: &Core) {
    let mut cruncher = match Cruncher::new(core) {
        Ok(cruncher) => cruncher,
        Err(error) => return core.fail(error),
    };
    while let Ok(Job::Chunk(chunk)) = core.waiting.recv() {
        // A panic must not leave others waiting for this chunk.
        if catch_unwind(AssertUnwindSafe(|| chunk.work(core, &mut cruncher))).is_err() {
            core.fail(Error::Refused("a worker panicked".into()));
        }
    }
}

fn upload(core: &Core, uploads: &Receiver<Upload>) {
    while let Ok(Upload::Pack { mut bytes, blobs }) = uploads.recv() {
        if core.check().is_ok() {
            let outcome = catch_unwind(AssertUnwindSafe(|| write_pack(core, &mut bytes, blobs)));
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(error)) => core.fail(error),
                Err(_) => core.fail(Error::Refused("an uploader panicked".into())),
            }
        }
        core.packer.recycle(bytes);
    }
}

fn write_pack(core: &Core, bytes: &mut Vec<u8>, blobs: Vec<Blob>) -> Result<(), Error> {
    bytes.extend_from_slice(&pack::header(&core.vault.key, &blobs)?);
    let id = Id::of(bytes);
    let length = bytes.len() as u64;
    core.vault.backend.write_buffer(FileKind::Pack, &id.to_string(), bytes)?;
    core.stored.fetch_add(length, Ordering::Relaxed);
    core.finished.lock().unwrap_or_else(PoisonError::into_inner).push(PackJson::new(id, blobs));
    Ok(())
}
