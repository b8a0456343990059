//! What the index files say and which packs are there: every pack, and a place for every blob.

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;

use super::turn::{Halt, Turn};
use crate::backend::FileKind;
use crate::id::{IdMap, IdSet};
use crate::index::{IndexJson, PackJson};
use crate::pack::{Blob, BlobKind};
use crate::vault::Opened;
use crate::{BackendError, Error, Id, PackId};

/// All packs and blobs that the index files name.
#[derive(Default)]
pub(super) struct Census {
    pub files: Vec<File>,
    pub packs: Vec<Pack>,
    numbers: IdMap<u32>,
    pub data: IdMap<Spot>,
    pub trees: IdMap<Spot>,
    /// Further copies of blobs.
    pub copies: Vec<(BlobKind, Id, Spot)>,
    /// Packs that no index file names, with their sizes.
    pub strays: Vec<(PackId, u64)>,
}

/// An index file.
pub(super) struct File {
    pub id: Id,
    pub blobs: usize,
    /// The packs that it names, as marked or not.
    pub packs: Vec<(u32, bool)>,
}

/// A pack that index files name.
pub(super) struct Pack {
    pub id: PackId,
    /// Of the file, or of the entry if there is no file.
    pub size: u64,
    /// There is a file of this name.
    pub exists: bool,
    /// And it has the size that its entry says.
    pub sound: bool,
    /// Some index file names it as in use.
    pub indexed: bool,
    /// Some index file names it as to be removed, since then at the latest; `Some(None)` if no time stands there.
    pub marked: Option<Option<OffsetDateTime>>,
    /// Its blobs have been counted.
    listed: bool,
    /// Bytes of all its blobs.
    pub total: u64,
    /// Bytes of its blobs that are used, wherever else copies lie.
    pub used: u64,
    /// Bytes of its blobs that are used, and of which this is the copy to keep.
    pub needed: u64,
}

/// Where a blob lies.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub pack: u32,
    offset: u32,
    pub length: u32,
    packed_from: u32,
}

impl Spot {
    fn of(pack: u32, blob: &Blob) -> Spot {
        Spot { pack, offset: blob.offset, length: blob.length, packed_from: blob.packed_from }
    }

    pub(super) fn blob(&self, kind: BlobKind, id: &Id) -> Blob {
        Blob { id: *id, kind, offset: self.offset, length: self.length, packed_from: self.packed_from }
    }
}

impl Census {
    pub(super) fn load(vault: &Opened, turn: &Turn<'_>) -> Result<Census, Halt> {
        // A file that vanishes meanwhile was replaced by another: begin again.
        for _ in 0..8 {
            match Census::load_once(vault, turn) {
                Err(Halt::Failed(Error::Backend(BackendError::NotFound { .. }))) => {}
                other => return other,
            }
        }
        Census::load_once(vault, turn)
    }

    fn load_once(vault: &Opened, turn: &Turn<'_>) -> Result<Census, Halt> {
        // The index before the packs: what an index names was there before it.
        let files = vault.backend.list(FileKind::Index)?;
        let mut sizes: IdMap<u64> = IdMap::default();
        for (name, size) in vault.backend.list(FileKind::Pack)? {
            if let Ok(id) = name.parse() {
                sizes.insert(id, size);
            }
        }
        let mut names: Vec<Id> = Vec::with_capacity(files.len());
        for (name, _) in files {
            names.push(name.parse().map_err(|_| Error::damaged(format!("index {name}: not a name of an index")))?);
        }
        let (census, next) = (Mutex::new(Census::default()), AtomicUsize::new(0));
        turn.crew(vault.readers().min(names.len()), &|| {}, &|stop| {
            while let Some(id) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let file = vault.load(FileKind::Index, &id.to_string())?;
                census.lock().unwrap_or_else(PoisonError::into_inner).add(*id, file, &sizes)?;
            }
            Ok(())
        })?;
        let mut census = census.into_inner().unwrap_or_else(PoisonError::into_inner);
        census.strays = sizes.into_iter().filter(|(id, _)| !census.numbers.contains_key(id)).collect();
        Ok(census)
    }

    fn add(&mut self, id: Id, json: IndexJson, sizes: &IdMap<u64>) -> Result<(), Error> {
        let mut file = File { id, blobs: json.blobs(), packs: Vec::new() };
        for (marked, packs) in [(false, json.packs), (true, json.packs_to_delete)] {
            for entry in packs {
                let number = self.number(&entry, sizes)?;
                file.packs.push((number, marked));
                self.list(number, marked, &entry);
            }
        }
        self.files.push(file);
        Ok(())
    }

    fn number(&mut self, entry: &PackJson, sizes: &IdMap<u64>) -> Result<u32, Error> {
        if let Some(number) = self.numbers.get(&entry.id) {
            return Ok(*number);
        }
        let number =
            u32::try_from(self.packs.len()).map_err(|_| Error::Refused("more packs than can be counted".into()))?;
        let size = sizes.get(&entry.id).copied();
        self.packs.push(Pack {
            id: entry.id,
            size: size.unwrap_or_else(|| entry.file_size()),
            exists: size.is_some(),
            sound: false,
            indexed: false,
            marked: None,
            listed: false,
            total: 0,
            used: 0,
            needed: 0,
        });
        self.numbers.insert(entry.id, number);
        Ok(number)
    }

    fn list(&mut self, number: u32, marked: bool, entry: &PackJson) {
        let Some(pack) = self.packs.get_mut(number as usize) else { return };
        if marked {
            // Of two times the later one counts.
            pack.marked = Some(pack.marked.flatten().max(entry.time));
        } else {
            pack.indexed = true;
        }
        if pack.listed || entry.blobs.is_empty() {
            return;
        }
        pack.listed = true;
        pack.total = entry.blobs.iter().map(|blob| u64::from(blob.length)).sum();
        pack.sound = pack.exists && pack.size == crate::pack::size(&entry.blobs);
        if !pack.sound {
            // Nothing may rely on what it says to hold.
            return;
        }
        for blob in &entry.blobs {
            let spot = Spot::of(number, blob);
            let table = match blob.kind {
                BlobKind::Data => &mut self.data,
                BlobKind::Tree => &mut self.trees,
            };
            match table.entry(blob.id) {
                Entry::Vacant(vacant) => {
                    vacant.insert(spot);
                }
                Entry::Occupied(_) => self.copies.push((blob.kind, blob.id, spot)),
            }
        }
    }

    pub(super) fn table(&mut self, kind: BlobKind) -> &mut IdMap<Spot> {
        match kind {
            BlobKind::Data => &mut self.data,
            BlobKind::Tree => &mut self.trees,
        }
    }

    pub(super) fn get(&self, kind: BlobKind, id: &Id) -> Option<&Spot> {
        match kind {
            BlobKind::Data => self.data.get(id),
            BlobKind::Tree => self.trees.get(id),
        }
    }

    pub(super) fn pack(&self, spot: &Spot) -> Option<&Pack> {
        self.packs.get(spot.pack as usize)
    }

    pub(super) fn number_of(&self, pack: &PackId) -> Option<u32> {
        self.numbers.get(pack).copied()
    }

    /// Whether the index files are those that this was made of.
    pub(super) fn is_of(&self, vault: &Opened) -> Result<bool, Error> {
        let listed: IdSet =
            vault.backend.list(FileKind::Index)?.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        Ok(listed.len() == self.files.len() && self.files.iter().all(|file| listed.contains(&file.id)))
    }
}
