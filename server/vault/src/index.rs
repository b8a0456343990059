//! The index: which pack holds a blob, and where. In memory all index files are one table.

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

use crate::backend::{BackendError, FileKind};
use crate::id::{IdMap, IdSet};
use crate::pack::{self, Blob, BlobKind};
use crate::vault::Opened;
use crate::{Error, Id, PackId};

/// Blobs in one index file; restic's bound too.
pub(crate) const FILE_BLOBS: usize = 50_000;

/// The JSON of an index file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct IndexJson {
    #[serde(default, deserialize_with = "nullable")]
    pub packs: Vec<PackJson>,
    /// Packs that a prune took out of the index and that a later one removes. The field, its name and its form are
    /// rustic's; restic passes over it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub packs_to_delete: Vec<PackJson>,
}

impl IndexJson {
    pub(crate) fn is_empty(&self) -> bool {
        self.packs.is_empty() && self.packs_to_delete.is_empty()
    }

    /// Blobs in all packs.
    pub(crate) fn blobs(&self) -> usize {
        self.packs.iter().chain(&self.packs_to_delete).map(|pack| pack.blobs.len()).sum()
    }
}

/// A pack in an index file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PackJson {
    pub id: PackId,
    #[serde(default, deserialize_with = "nullable")]
    pub blobs: Vec<Blob>,
    /// When it was marked to be removed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_time")]
    pub time: Option<OffsetDateTime>,
    /// Bytes of the file, where its blobs are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

impl PackJson {
    pub(crate) fn new(id: PackId, blobs: Vec<Blob>) -> PackJson {
        PackJson { id, blobs, time: None, size: None }
    }

    /// Bytes that its file has if this entry is right.
    pub(crate) fn file_size(&self) -> u64 {
        self.size.unwrap_or_else(|| pack::size(&self.blobs))
    }
}

/// Go writes an empty list as `null`.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

mod optional_time {
    use serde::{Deserialize, Deserializer, Serializer};
    use time::OffsetDateTime;

    use crate::snapshot::rfc3339;

    #[allow(clippy::ref_option, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(time: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => rfc3339::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// A time in a form that we do not know is none: nothing of an index is given up for it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OffsetDateTime>, D::Error> {
        let value = Option::<serde_json::Value>::deserialize(deserializer)?;
        Ok(value.and_then(|value| rfc3339::deserialize(value).ok()))
    }
}

/// Where a blob lies. The pack is a number, for millions of these stand in memory.
#[derive(Clone, Copy)]
struct Place {
    pack: u32,
    offset: u32,
    length: u32,
    packed_from: u32,
}

/// All index files together.
#[derive(Default)]
pub(crate) struct Index {
    /// The files that it was made of.
    files: IdSet,
    packs: Vec<PackId>,
    /// Where the last known blob of a pack ends.
    ends: Vec<u64>,
    numbers: IdMap<u32>,
    data: IdMap<Place>,
    trees: IdMap<Place>,
    /// How often a file had vanished: what was relied upon before may be gone.
    losses: u64,
}

impl Index {
    /// The pack and the place of a blob.
    pub(crate) fn find(&self, kind: BlobKind, id: &Id) -> Option<(PackId, Blob)> {
        let place = self.table(kind).get(id)?;
        let pack = self.packs.get(place.pack as usize)?;
        let Place { offset, length, packed_from, .. } = *place;
        Some((*pack, Blob { id: *id, kind, offset, length, packed_from }))
    }

    pub(crate) fn has(&self, kind: BlobKind, id: &Id) -> bool {
        self.table(kind).contains_key(id)
    }

    /// Where the last blob of a pack ends, or 0 if it is unknown.
    pub(crate) fn end(&self, pack: &PackId) -> u64 {
        self.numbers.get(pack).and_then(|number| self.ends.get(*number as usize)).copied().unwrap_or(0)
    }

    pub(crate) fn losses(&self) -> u64 {
        self.losses
    }

    /// Number of blobs and the sum of their lengths before compression.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let raw = |kind: BlobKind| {
            let length = |place: &Place| {
                let Place { offset, length, packed_from, .. } = *place;
                u64::from(Blob { id: Id::default(), kind, offset, length, packed_from }.raw())
            };
            self.table(kind).values().map(length).sum::<u64>()
        };
        ((self.data.len() + self.trees.len()) as u64, raw(BlobKind::Data) + raw(BlobKind::Tree))
    }

    fn table(&self, kind: BlobKind) -> &IdMap<Place> {
        match kind {
            BlobKind::Data => &self.data,
            BlobKind::Tree => &self.trees,
        }
    }

    /// Adds what an index file says.
    pub(crate) fn add(&mut self, file: Option<Id>, packs: &[PackJson]) -> Result<(), Error> {
        for pack in packs {
            let number = match self.numbers.get(&pack.id) {
                Some(number) => *number,
                None => {
                    let number = u32::try_from(self.packs.len())
                        .map_err(|_| Error::Refused("more packs than can be counted".into()))?;
                    self.packs.push(pack.id);
                    self.ends.push(0);
                    self.numbers.insert(pack.id, number);
                    number
                }
            };
            for blob in &pack.blobs {
                if let Some(end) = self.ends.get_mut(number as usize) {
                    *end = blob.end().max(*end);
                }
                let place =
                    Place { pack: number, offset: blob.offset, length: blob.length, packed_from: blob.packed_from };
                match blob.kind {
                    BlobKind::Data => self.data.insert(blob.id, place),
                    BlobKind::Tree => self.trees.insert(blob.id, place),
                };
            }
        }
        self.files.extend(file);
        Ok(())
    }
}

impl Opened {
    /// Brings the index up to what the vault has now: new files are read; if one has vanished, all are.
    pub(crate) fn reload_index(&self) -> Result<(), Error> {
        // A file that vanishes between list and read was replaced: list again.
        for _ in 0..8 {
            match self.reload_index_once() {
                Err(Error::Backend(BackendError::NotFound { .. })) => {}
                other => return other,
            }
        }
        self.reload_index_once()
    }

    fn reload_index_once(&self) -> Result<(), Error> {
        let listed: IdSet =
            self.backend.list(FileKind::Index)?.iter().filter_map(|(name, _)| name.parse().ok()).collect();
        let (vanished, new): (bool, Vec<Id>) = {
            let index = self.index();
            (!index.files.is_subset(&listed), listed.difference(&index.files).copied().collect())
        };
        if !vanished && new.is_empty() {
            return Ok(());
        }
        let read = if vanished { listed.iter().copied().collect() } else { new };
        let loaded = self.load_all::<IndexJson>(FileKind::Index, &read)?;
        let mut index = self.index_mut();
        if vanished {
            *index = Index { losses: index.losses + 1, ..Index::default() };
        }
        for (id, file) in loaded {
            index.add(Some(id), &file.packs)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_others_write_is_read() {
        let id = Id::of(b"pack");
        let json = format!(
            r#"{{"supersedes":["{id}"],"packs":null,"packs_to_delete":[
                {{"id":"{id}","time":"2026-11-21T16:30:00.123456789+01:00","size":77,"blobs":[
                    {{"id":"{id}","type":"data","offset":0,"length":45,"uncompressed_length":null}}]}},
                {{"id":"{id}","blobs":null,"time":"some day"}},{{"id":"{id}","blobs":[]}}]}}"#
        );
        let index: IndexJson = serde_json::from_str(&json).unwrap();
        assert!(index.packs.is_empty() && !index.is_empty());
        let times: Vec<_> =
            index.packs_to_delete.iter().map(|pack| pack.time.map(OffsetDateTime::unix_timestamp)).collect();
        assert_eq!(times, [Some(1_795_275_000), None, None]);
        assert_eq!((index.packs_to_delete[0].file_size(), index.packs_to_delete[0].blobs[0].raw()), (77, 13));
        // What restic reads is as it was before there were marks.
        let plain = IndexJson { packs: vec![PackJson::new(id, Vec::new())], ..IndexJson::default() };
        assert_eq!(serde_json::to_string(&plain).unwrap(), format!(r#"{{"packs":[{{"id":"{id}","blobs":[]}}]}}"#));
    }
}
