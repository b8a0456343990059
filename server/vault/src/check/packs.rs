//! Packs held against the index.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Findings;
use super::layout::Layout;
use crate::backend::FileKind;
use crate::pack::{self, Blob};
use crate::{Error, Id, PackId, Problem};

/// How much of a pack is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Nothing: that it is there, and its size.
    Size,
    /// Its header too.
    Header,
    /// All of it: its name, its header, every blob.
    Whole,
}

/// What became of verifying packs.
#[derive(Default)]
pub(crate) struct Sound {
    /// Packs without a problem.
    pub sound: Vec<PackId>,
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that the packs have.
    pub sizes: u64,
}

/// Verifies packs; problems go to the findings.
pub(crate) fn verify(findings: &Findings<'_>, layout: &Layout, packs: &[PackId], depth: Depth) -> Result<Sound, Error> {
    let (sound, bytes, sizes) = (Mutex::new(Vec::new()), AtomicU64::new(0), AtomicU64::new(0));
    findings.for_each(packs, |pack| {
        let mut blobs_found = Vec::new();
        let outcome = verify_one(findings, layout, pack, depth, &mut blobs_found);
        let read = match outcome {
            Ok(read) => read,
            Err(Error::Damaged { what }) => {
                findings.add(Problem::new(format!("pack {pack}: {what}")).pack(*pack));
                return Ok(());
            }
            Err(other) => return Err(other),
        };
        bytes.fetch_add(read, Ordering::Relaxed);
        findings.meter.add_bytes(read);
        findings.meter.add_files(1);
        sizes.fetch_add(layout.sizes.get(pack).copied().unwrap_or(0), Ordering::Relaxed);
        if blobs_found.is_empty() {
            sound.lock().unwrap_or_else(PoisonError::into_inner).push(*pack);
        }
        for (blob, what) in blobs_found {
            findings.add(Problem::new(format!("pack {pack}: {what}")).pack(*pack).blob(blob));
        }
        Ok(())
    })?;
    let sound = sound.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Sound { sound, bytes: bytes.into_inner(), sizes: sizes.into_inner() })
}

/// Gives the bytes read. Damage of the pack is an error, damage of single blobs goes to `damaged`.
fn verify_one(
    findings: &Findings<'_>,
    layout: &Layout,
    pack: &PackId,
    depth: Depth,
    damaged: &mut Vec<(Id, String)>,
) -> Result<u64, Error> {
    let blobs = layout.packs.get(pack).map_or(&[][..], Vec::as_slice);
    let size = *layout.sizes.get(pack).ok_or_else(|| Error::damaged("it is not there"))?;
    if size != pack::size(blobs) {
        return Err(Error::damaged(format!("it has {size} bytes where the index says {}", pack::size(blobs))));
    }
    let backend = &findings.vault.backend;
    let unreadable = |error: crate::BackendError| Error::damaged(format!("it cannot be read: {error}"));
    match depth {
        Depth::Size => Ok(0),
        Depth::Header => {
            let content = blobs.iter().map(|blob| u64::from(blob.length)).sum::<u64>();
            let bytes =
                backend.read_range(FileKind::Pack, &pack.to_string(), content, size - content).map_err(unreadable)?;
            let read = bytes.len() as u64;
            compare_header(findings, blobs, bytes)?;
            Ok(read)
        }
        Depth::Whole => {
            let bytes = backend.read(FileKind::Pack, &pack.to_string()).map_err(unreadable)?;
            if Id::of(&bytes) != *pack {
                damaged.push((Id::default(), "its content is not what its name says".into()));
            }
            for blob in blobs {
                findings.cancel.check()?;
                let from = blob.offset as usize;
                let sealed = bytes.get(from..from.saturating_add(blob.length as usize));
                let sealed = sealed.ok_or_else(|| Error::damaged("a blob lies beyond its end"))?;
                match blob.decode(&findings.vault.key, sealed.to_vec()) {
                    Ok(_) => {}
                    Err(Error::Damaged { what }) => damaged.push((blob.id, what)),
                    Err(other) => return Err(other),
                }
            }
            let read = bytes.len() as u64;
            compare_header(findings, blobs, bytes)?;
            Ok(read)
        }
    }
}

/// The pack's own header, at the end of `tail`, must list what the index lists.
fn compare_header(findings: &Findings<'_>, blobs: &[Blob], tail: Vec<u8>) -> Result<(), Error> {
    if pack::parse_tail(&findings.vault.key, tail)? == blobs {
        return Ok(());
    }
    Err(Error::damaged("its header and the index list different blobs"))
}
