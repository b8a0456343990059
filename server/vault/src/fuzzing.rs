//! The doors to everything that reads a vault's bytes, for fuzzing: each takes any bytes and panics if a reader does, or
//! if something does not hold that must hold for all of them.
//!
//! What lies sealed in a vault is sealed here first: who tries bytes on a reader means what a key's holder could write.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a panic is how these speak")]

use serde::{Serialize, de::DeserializeOwned};

use crate::backend::FileKind;
use crate::config::Config;
use crate::crypto::{Key, Secrets};
use crate::index::{Index, IndexJson};
use crate::lock::LockJson;
use crate::node::{NodeKind, parse_tree, write_tree};
use crate::pack::{self, Blob, BlobKind};
use crate::snapshot::SnapshotJson;
use crate::{Id, Password, key, lock, unpacked, zip};

fn a_key() -> Key {
    Key::new(Secrets::from_bytes(&[7; 64]))
}

/// The header of a pack: its entries come back when they are written, and it is written as it was.
pub fn pack(bytes: &[u8]) {
    let key = a_key();
    let mut tail = key.sealed(bytes).unwrap();
    let length = u32::try_from(tail.len()).unwrap();
    tail.extend_from_slice(&length.to_le_bytes());
    let parsed = pack::parse_tail(&key, tail);
    // Then taken as the end of a pack that was cut somewhere else.
    assert!(pack::parse_tail(&key, bytes.to_vec()).is_err(), "bytes that nobody sealed were taken");
    let Ok(blobs) = parsed else { return };
    let mut end = 0;
    for blob in &blobs {
        assert_eq!(u64::from(blob.offset), end);
        end = blob.end();
    }
    let written = pack::header(&key, &blobs).unwrap();
    assert_eq!(pack::size(&blobs), end + written.len() as u64);
    assert_eq!(pack::parse_tail(&key, written.clone()).unwrap(), blobs);
    let (sealed, _) = written.split_last_chunk::<4>().unwrap();
    let mut sealed = sealed.to_vec();
    let plain = key.open(&mut sealed).unwrap();
    // Only a blob that is packed from nothing has a shorter form.
    assert!(plain == bytes || plain.len() < bytes.len());
}

/// A blob, behind four bytes that say how long it is when unpacked: it is given out whole and true, or not at all.
pub fn blob(bytes: &[u8]) {
    let Some((said, content)) = bytes.split_first_chunk::<4>() else { return };
    let (key, other) = (a_key(), Key::new(Secrets::from_bytes(&[8; 64])));
    let sealed = key.sealed(content).unwrap();
    let length = u32::try_from(sealed.len()).unwrap();
    let packed_from = u32::from_le_bytes(*said);
    let truth = if packed_from == 0 { Some(content.to_vec()) } else { zip::decompress_unknown(content, 4 << 20) };
    let id = Id::of(truth.as_deref().unwrap_or_default());
    let blob = Blob { id, kind: BlobKind::Data, offset: 0, length, packed_from };
    let decoded = blob.decode(&key, sealed.clone()).ok();
    if let Some(decoded) = &decoded {
        assert_eq!(decoded.len(), blob.raw() as usize);
        assert_eq!(Some(decoded), truth.as_ref());
    }
    let mut moved = sealed;
    match blob.seal_anew(&key, &other, &mut moved) {
        Ok(()) => assert_eq!(blob.decode(&other, moved).ok(), decoded),
        Err(_) => assert_eq!(decoded, None),
    }
}

/// What the vault reads from a file with this plain text.
fn read<T: DeserializeOwned>(kind: FileKind, plain: &[u8]) -> Option<T> {
    let key = a_key();
    let sealed = key.sealed(plain).unwrap();
    let name = Id::of(&sealed).to_string();
    unpacked::decode(&key, kind, &name, sealed).ok()
}

/// What was read is read again once it was written.
fn comes_back<T: Serialize + DeserializeOwned>(kind: FileKind, value: &T) {
    let (key, json) = (a_key(), serde_json::to_vec(value).unwrap());
    let (id, written) = unpacked::encode(&key, value).unwrap();
    let again: T = unpacked::decode(&key, kind, &id.to_string(), written).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), json, "it changes when it is written");
}

/// The outside of an index, a snapshot or a lock: compressed or not, JSON or not.
pub fn document(bytes: &[u8]) {
    let _ = read::<serde::de::IgnoredAny>(FileKind::Snapshot, bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        comes_back(FileKind::Snapshot, &text.to_owned());
    }
}

/// An index.
pub fn index(bytes: &[u8]) {
    let Some(json) = read::<IndexJson>(FileKind::Index, bytes) else { return };
    comes_back(FileKind::Index, &json);
    let mut index = Index::default();
    index.add(Some(Id::of(bytes)), &json.packs).unwrap();
    index.add(None, &json.packs_to_delete).unwrap();
    let (blobs, _) = index.totals();
    assert!(blobs <= json.blobs() as u64);
    for pack in json.packs.iter().chain(&json.packs_to_delete) {
        assert!(pack.size.is_some() || pack.file_size() > pack.blobs.len() as u64);
        for blob in &pack.blobs {
            assert!(index.has(blob.kind, &blob.id) && index.end(&pack.id) >= blob.end());
            let (_, found) = index.find(blob.kind, &blob.id).unwrap();
            assert_eq!((found.id, found.kind), (blob.id, blob.kind));
        }
    }
}

/// A directory: sorted, and the same once it was written; what is written is written always alike.
pub fn tree(bytes: &[u8]) {
    let Ok(mut tree) = parse_tree(&Id::default(), bytes) else { return };
    assert!(tree.nodes.is_sorted_by(|a, b| a.name < b.name));
    assert!(tree.nodes.iter().all(|node| tree.get(&node.name) == Some(node)));
    let written = write_tree(&tree.nodes);
    let again = parse_tree(&Id::default(), &written).unwrap();
    // Only files have content.
    tree.nodes.iter_mut().filter(|node| node.kind != NodeKind::File).for_each(|node| node.content.clear());
    assert_eq!(again, tree);
    assert_eq!(write_tree(&again.nodes), written);
}

/// A snapshot.
pub fn snapshot(bytes: &[u8]) {
    let Some(json) = read::<SnapshotJson>(FileKind::Snapshot, bytes) else { return };
    comes_back(FileKind::Snapshot, &json);
    assert!(json.named(Id::of(bytes)).time.checked_to_offset(time::UtcOffset::UTC).is_some(), "no time for people");
}

/// A lock, taken for one of this host: whether its process lives is asked of the system.
pub fn lock(bytes: &[u8]) {
    let Some(mut json) = read::<LockJson>(FileKind::Lock, bytes) else { return };
    comes_back(FileKind::Lock, &json);
    json.hostname = lock::host();
    let _ = (json.is_old(), json.is_dead(), json.describe());
}

/// `config`.
pub fn config(bytes: &[u8]) {
    let key = a_key();
    let Ok(config) = Config::open(&key, key.sealed(bytes).unwrap()) else { return };
    assert!(config.seed().unwrap() > 1);
    let again = Config::open(&key, key.sealed(&serde_json::to_vec(&config).unwrap()).unwrap()).unwrap();
    assert_eq!((again.version, again.id, again.chunker_polynomial), (2, config.id, config.chunker_polynomial));
}

/// A key file, and what lies in one: scrypt is only asked for what it can give.
pub fn key(bytes: &[u8]) {
    if let Some(secrets) = Secrets::from_json(bytes) {
        let json = secrets.to_json().unwrap();
        assert_eq!(*Secrets::from_json(&json).unwrap().to_json().unwrap(), *json);
    }
    let Ok(wrapped) = key::parse(bytes) else { return };
    let memory = wrapped.memory().unwrap();
    assert!(memory <= 1 << 30);
    // As large as a fuzzer can do very often.
    if memory <= 1 << 16 {
        let _ = key::unwrap(bytes, &Password::new("a password".into()));
    }
}

#[cfg(test)]
#[path = "../fuzz/src/corpus.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use super::corpus::survives;

    macro_rules! readers {
        ($($name:ident)*) => {
            $(#[test]
            fn $name() {
                survives(env!("CARGO_MANIFEST_DIR"), "fuzz", stringify!($name), super::$name);
            })*
        };
    }

    readers!(pack blob document index tree snapshot lock config key);
}
