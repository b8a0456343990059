//! Packs: blobs one after the other, each sealed by itself, then a sealed header that lists them, then its length.

use serde::{Deserialize, Serialize};

use crate::crypto::{IV, Key, OVERHEAD};
use crate::{Error, Id, zip};

/// What a blob holds. Trees and data never share a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlobKind {
    /// Content of files.
    Data,
    /// One directory.
    Tree,
}

/// A blob's place in its pack; the JSON of an index entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub id: Id,
    #[serde(rename = "type")]
    pub kind: BlobKind,
    pub offset: u32,
    /// Sealed, with IV and MAC.
    pub length: u32,
    /// Length before compression; 0 for a blob that is stored as it is.
    #[serde(
        default,
        rename = "uncompressed_length",
        skip_serializing_if = "is_zero",
        deserialize_with = "zero_if_null"
    )]
    pub packed_from: u32,
}

/// rustic writes `null` for a blob that is stored as it is.
fn zero_if_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    Ok(Option::<u32>::deserialize(deserializer)?.unwrap_or_default())
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// [`OVERHEAD`] as lengths in packs are counted.
const SEAL: u32 = 32;
const _: () = assert!(SEAL as usize == OVERHEAD);

impl Blob {
    /// Length of the content.
    pub(crate) fn raw(&self) -> u32 {
        if self.packed_from == 0 { self.length.saturating_sub(SEAL) } else { self.packed_from }
    }

    /// Where it ends in its pack.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }

    fn entry(&self) -> usize {
        if self.packed_from == 0 { 37 } else { 41 }
    }

    /// Opens, unpacks and hashes the blob, whose sealed bytes are `sealed`.
    pub(crate) fn decode(&self, key: &Key, mut sealed: Vec<u8>) -> Result<Vec<u8>, Error> {
        let damaged = |what: &str| Error::damaged(format!("blob {}: {what}", self.id));
        let plain = key.open(&mut sealed).map_err(|_| damaged("it is not authentic"))?;
        let content = if self.packed_from == 0 {
            let len = plain.len();
            sealed.truncate(IV + len);
            sealed.drain(..IV);
            sealed
        } else {
            self.unpack(plain)?
        };
        if Id::of(&content) == self.id { Ok(content) } else { Err(damaged("its content is not what its id says")) }
    }

    fn unpack(&self, packed: &[u8]) -> Result<Vec<u8>, Error> {
        let damaged = |what: &str| Error::damaged(format!("blob {}: {what}", self.id));
        if self.packed_from > zip::MOST_RAW {
            return Err(damaged("its length is out of bounds"));
        }
        let content =
            zip::decompress(packed, self.packed_from as usize).ok_or_else(|| damaged("it does not unpack"))?;
        if content.len() != self.packed_from as usize {
            return Err(damaged("it is shorter than its entry says"));
        }
        Ok(content)
    }

    /// Opens the blob where it lies, makes sure that it is what its id says, and seals it by another key: what was
    /// compressed stays so. After an error the bytes are worth nothing.
    pub(crate) fn seal_anew(&self, from: &Key, to: &Key, sealed: &mut [u8]) -> Result<(), Error> {
        let damaged = |what: &str| Error::damaged(format!("blob {}: {what}", self.id));
        let plain = from.open(sealed).map_err(|_| damaged("it is not authentic"))?;
        let found = if self.packed_from == 0 { Id::of(plain) } else { Id::of(&self.unpack(plain)?) };
        if found != self.id {
            return Err(damaged("its content is not what its id says"));
        }
        to.seal_in_place(sealed)
    }
}

/// The end of a pack with these blobs: sealed header and its length.
pub(crate) fn header(key: &Key, blobs: &[Blob]) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; IV];
    for blob in blobs {
        let kind = match blob.kind {
            BlobKind::Data => 0,
            BlobKind::Tree => 1,
        };
        bytes.push(if blob.packed_from == 0 { kind } else { kind | 2 });
        bytes.extend_from_slice(&blob.length.to_le_bytes());
        if blob.packed_from != 0 {
            bytes.extend_from_slice(&blob.packed_from.to_le_bytes());
        }
        bytes.extend_from_slice(blob.id.as_bytes());
    }
    key.seal(&mut bytes)?;
    let len = u32::try_from(bytes.len()).map_err(|_| Error::Refused("a pack with too many blobs".into()))?;
    bytes.extend_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

/// The size of a whole pack with these blobs.
pub(crate) fn size(blobs: &[Blob]) -> u64 {
    blobs.iter().map(|blob| u64::from(blob.length) + blob.entry() as u64).sum::<u64>() + OVERHEAD as u64 + 4
}

/// Most bytes of a header, as in restic.
pub(crate) const MOST_HEADER: u64 = 16 << 20;

/// How long the header is, without its length field, by the last four bytes of a pack of `size` bytes.
pub(crate) fn header_length(last: [u8; 4], size: u64) -> Result<u64, Error> {
    let len = u64::from(u32::from_le_bytes(last));
    if len < OVERHEAD as u64 || len > MOST_HEADER || len + 4 > size {
        return Err(Error::damaged("its header's length is out of bounds"));
    }
    Ok(len)
}

/// The blobs that a sealed header lists.
pub(crate) fn parse_header(key: &Key, mut sealed: Vec<u8>) -> Result<Vec<Blob>, Error> {
    let mut rest = &*key.open(&mut sealed).map_err(|_| Error::damaged("its header is not authentic"))?;
    let mut blobs = Vec::new();
    let mut offset = 0u32;
    while !rest.is_empty() {
        let (blob, tail) = entry(rest, offset).ok_or_else(|| Error::damaged("its header is not in order"))?;
        offset = offset.checked_add(blob.length).ok_or_else(|| Error::damaged("its header is not in order"))?;
        blobs.push(blob);
        rest = tail;
    }
    Ok(blobs)
}

/// The blobs that a pack's header lists, by the pack's last bytes, which hold all of the header.
pub(crate) fn parse_tail(key: &Key, mut tail: Vec<u8>) -> Result<Vec<Blob>, Error> {
    let last = *tail.last_chunk::<4>().ok_or_else(|| Error::damaged("it is too short for a header"))?;
    let length = header_length(last, tail.len() as u64)?;
    let end = tail.len() - 4;
    let start = usize::try_from(length).ok().and_then(|length| end.checked_sub(length));
    let start = start.ok_or_else(|| Error::damaged("its header is longer than it can be"))?;
    tail.truncate(end);
    parse_header(key, tail.split_off(start))
}

fn entry(bytes: &[u8], offset: u32) -> Option<(Blob, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (packed_from, rest) = match kind {
        0 | 1 => (0, rest),
        2 | 3 => rest.split_first_chunk::<4>().map(|(len, rest)| (u32::from_le_bytes(*len), rest))?,
        _ => return None,
    };
    let (id, rest) = rest.split_first_chunk::<32>()?;
    let kind = if kind & 1 == 0 { BlobKind::Data } else { BlobKind::Tree };
    Some((Blob { id: Id(*id), kind, offset, length: u32::from_le_bytes(*length), packed_from }, rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::crypto::Secrets;

    #[test]
    fn a_header_comes_back_and_a_cut_one_is_refused() {
        let key = Key::new(Secrets::from_bytes(&[1; 64]));
        let blob = |n: u8, offset, packed_from| Blob {
            id: Id([n; 32]),
            kind: if n.is_multiple_of(2) { BlobKind::Data } else { BlobKind::Tree },
            offset,
            length: 100 + u32::from(n),
            packed_from,
        };
        let blobs = [blob(0, 0, 0), blob(1, 100, 700), blob(2, 201, 900), blob(3, 303, 0)];
        let bytes = header(&key, &blobs).unwrap();
        let (sealed, last) = bytes.split_last_chunk::<4>().unwrap();
        assert_eq!(header_length(*last, size(&blobs)).unwrap(), sealed.len() as u64);
        assert_eq!(size(&blobs), 406 + bytes.len() as u64);
        assert_eq!(parse_header(&key, sealed.to_vec()).unwrap(), blobs);
        for len in 0..140 {
            assert!(entry(&[2; 140][..len], 0).is_none() == (len < 41));
        }
        assert!(header_length([0xff; 4], u64::MAX).is_err());
        assert!(header_length(31u32.to_le_bytes(), 1000).is_err());
        assert!(header_length(500u32.to_le_bytes(), 503).is_err());
    }
}
