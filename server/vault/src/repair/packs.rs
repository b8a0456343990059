//! The index, made anew from what the packs say of themselves.

use std::sync::{Arc, Mutex, PoisonError};

use super::{RepairOptions, RepairReport, Shelf};
use crate::backend::{BackendError, FileKind};
use crate::check::{Findings, Layout};
use crate::index::PackJson;
use crate::lock::Lock;
use crate::pack::{self, Blob};
use crate::vault::Opened;
use crate::{Cancel, Error, Id, Meter, PackId, Problem, Writer};

/// Enough for the header of most packs.
const TAIL: u64 = 64 << 10;

/// A pack that is not what it should be.
struct Bad {
    pack: PackId,
    what: String,
    /// What should be in it, by its header or by the old index.
    blobs: Vec<Blob>,
}

/// A pack that an index file names and the list does not is looked for by its name: if it is there, the list lies.
pub(super) fn refuse_short_list(vault: &Opened, layout: &Layout) -> Result<(), Error> {
    for pack in layout.packs.keys().filter(|pack| !layout.sizes.contains_key(pack)) {
        match vault.backend.read_range(FileKind::Pack, &pack.to_string(), 0, 1) {
            Ok(_) => return Err(Error::damaged(format!("the list of packs lacks {pack}, which is there: try again"))),
            Err(BackendError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes new index files; they are durable when this returns.
pub(super) fn rebuild(
    vault: &Arc<Opened>,
    layout: &Layout,
    lock: &Arc<Lock>,
    options: &RepairOptions,
    cancel: &Cancel,
    meter: &Meter,
    report: &mut RepairReport,
) -> Result<(), Error> {
    vault.backend.settle(FileKind::Pack)?;
    let packs: Vec<(PackId, u64)> = layout.sizes.iter().map(|(id, size)| (*id, *size)).collect();
    let (shelf, bad) = (Mutex::new(Shelf::default()), Mutex::new(Vec::new()));
    let findings = Findings::new(vault, cancel, meter);
    findings.for_each(&packs, |(id, size)| {
        match read(vault, layout, (*id, *size), options, meter)? {
            Ok(entry) => shelf.lock().unwrap_or_else(PoisonError::into_inner).add(vault, entry)?,
            Err(found) => bad.lock().unwrap_or_else(PoisonError::into_inner).push(found),
        }
        meter.add_files(1);
        Ok(())
    })?;
    let mut shelf = shelf.into_inner().unwrap_or_else(PoisonError::into_inner);
    shelf.flush(vault)?;
    report.index_written = shelf.written;
    (report.packs, report.blobs) = (shelf.packs, shelf.blobs);

    let mut bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
    bad.sort_by_key(|bad| bad.pack);
    if bad.iter().any(|bad| !bad.blobs.is_empty()) {
        let writer = Writer::under(vault.clone(), cancel.clone(), lock.clone())?;
        for bad in &bad {
            report.blobs_saved += save(vault, &writer, bad, cancel)?;
        }
        let saved = writer.publish()?;
        report.packs += saved.len() as u64;
        report.blobs += saved.iter().map(|pack| pack.blobs.len() as u64).sum::<u64>();
        report.index_written += u64::from(!saved.is_empty());
    }
    let problem = |bad: Bad| Problem::new(format!("pack {}: {}", bad.pack, bad.what)).pack(bad.pack);
    report.bad_packs = bad.into_iter().map(problem).collect();
    Ok(())
}

/// What a pack holds by its header, or what is wrong with it.
fn read(
    vault: &Opened,
    layout: &Layout,
    (id, size): (PackId, u64),
    options: &RepairOptions,
    meter: &Meter,
) -> Result<Result<PackJson, Bad>, Error> {
    let (name, whole) = (id.to_string(), options.read_data);
    let by_index = || layout.packs.get(&id).cloned().unwrap_or_default();
    let bad = |what: String, blobs: Vec<Blob>| Ok(Err(Bad { pack: id, what, blobs }));
    let bytes = if whole { vault.backend.read(FileKind::Pack, &name) } else { tail(vault, &name, size) };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) if options.unreadable_is_lost => return bad(format!("it cannot be read: {error}"), by_index()),
        Err(error) => return Err(error.into()),
    };
    meter.add_bytes(bytes.len() as u64);
    let named_right = !whole || Id::of(&bytes) == id;
    let blobs = match pack::parse_tail(&vault.key, bytes) {
        Ok(blobs) if pack::size(&blobs) == size => blobs,
        Ok(_) => return bad("its header does not fit its size".into(), by_index()),
        Err(Error::Damaged { what }) => return bad(what, by_index()),
        Err(error) => return Err(error),
    };
    let entry = PackJson::new(id, blobs);
    // A right name says that every byte is right.
    if named_right { Ok(Ok(entry)) } else { bad("its content is not what its name says".into(), entry.blobs) }
}

/// The end of a pack, with all of its header if its length is one that a header can have.
fn tail(vault: &Opened, name: &str, size: u64) -> Result<Vec<u8>, BackendError> {
    let length = size.min(TAIL);
    let bytes = vault.backend.read_range(FileKind::Pack, name, size - length, length)?;
    let header = bytes.last_chunk::<4>().and_then(|last| pack::header_length(*last, size).ok());
    match header.map(|header| header + 4) {
        Some(more) if more > length => vault.backend.read_range(FileKind::Pack, name, size - more, more),
        _ => Ok(bytes),
    }
}

/// Copies what is sound in a bad pack; gives the number of blobs.
fn save(vault: &Opened, writer: &Writer, bad: &Bad, cancel: &Cancel) -> Result<u64, Error> {
    let mut saved = 0;
    for blob in &bad.blobs {
        cancel.check()?;
        let (start, length) = (u64::from(blob.offset), u64::from(blob.length));
        let Ok(sealed) = vault.backend.read_range(FileKind::Pack, &bad.pack.to_string(), start, length) else {
            continue;
        };
        match blob.decode(&vault.key, sealed.clone()) {
            Ok(_) => {
                writer.copy(blob, &sealed)?;
            }
            Err(Error::Damaged { .. }) => continue,
            Err(error) => return Err(error),
        }
        saved += 1;
    }
    Ok(saved)
}
