//! Files that are one JSON document: index, snapshot and lock. Encrypted, with a leading 2 and zstd in the plain text.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::{BackendError, FileKind};
use crate::crypto::{IV, Key};
use crate::vault::Opened;
use crate::{Cancel, Error, Id, zip};

/// Most bytes that such a document may have: an index of the most blobs that one may list takes a tenth of it.
const MOST: u64 = 128 << 20;

/// Of reading one document of many.
type Outcome<T> = Result<T, Error>;

/// The bytes and the name of a file with `value` in it.
pub(crate) fn encode<T: Serialize>(key: &Key, value: &T) -> Result<(Id, Vec<u8>), Error> {
    let json = serde_json::to_vec(value).map_err(|error| Error::Refused(error.to_string()))?;
    let mut bytes = vec![0; IV];
    bytes.push(2);
    let packed = zstd::bulk::compress(&json, 3).map_err(|error| Error::io("zstd", error))?;
    bytes.extend_from_slice(&packed);
    key.seal(&mut bytes)?;
    Ok((Id::of(&bytes), bytes))
}

/// What is in the file's bytes, once its name, its MAC and its JSON have been found right.
pub(crate) fn decode<T: DeserializeOwned>(
    key: &Key,
    kind: FileKind,
    name: &str,
    mut bytes: Vec<u8>,
) -> Result<T, Error> {
    let damaged = |what: &str| Error::damaged(format!("{} {name}: {what}", kind.word()));
    if Id::of(&bytes).to_string() != name {
        return Err(damaged("its content is not what its name says"));
    }
    let plain = key.open(&mut bytes).map_err(|_| damaged("it is not authentic"))?;
    let unzipped;
    let json = match plain {
        [b'{' | b'[', ..] => &*plain,
        [2, packed @ ..] => {
            unzipped = zip::decompress_unknown(packed, MOST).ok_or_else(|| damaged("it does not unpack"))?;
            &unzipped
        }
        _ => return Err(damaged("it has an unknown encoding")),
    };
    serde_json::from_slice(json).map_err(|error| damaged(&error.to_string()))
}

impl Opened {
    /// Writes a document and gives its name and its size.
    pub(crate) fn save<T: Serialize>(&self, kind: FileKind, value: &T) -> Result<(Id, u64), Error> {
        let (id, bytes) = encode(&self.key, value)?;
        self.backend.write(kind, &id.to_string(), &bytes)?;
        Ok((id, bytes.len() as u64))
    }

    /// Reads documents, several at a time.
    pub(crate) fn load_all<T: DeserializeOwned + Send>(
        &self,
        kind: FileKind,
        ids: &[Id],
    ) -> Result<Vec<(Id, T)>, Error> {
        let read = |id: &Id| Ok((*id, self.load::<T>(kind, &id.to_string())?));
        self.in_parallel(ids, read)
    }

    /// Reads documents, several at a time; one that is damaged is an error of its own, and so is one that is not there.
    pub(crate) fn load_each<T: DeserializeOwned + Send>(
        &self,
        kind: FileKind,
        ids: &[Id],
        cancel: &Cancel,
    ) -> Result<Vec<(Id, Outcome<T>)>, Error> {
        self.in_parallel(ids, |id| {
            cancel.check()?;
            match self.load::<T>(kind, &id.to_string()) {
                Err(error @ (Error::Damaged { .. } | Error::Backend(BackendError::NotFound { .. }))) => {
                    Ok((*id, Err(error)))
                }
                other => Ok((*id, Ok(other?))),
            }
        })
    }

    /// Does `work` for all items on as many threads as are worth having, and gives what came of it in no order. The
    /// first error ends it.
    pub(crate) fn in_parallel<I: Sync, T: Send>(
        &self,
        items: &[I],
        work: impl Fn(&I) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let next = AtomicUsize::new(0);
        let run = || {
            let mut done = Vec::new();
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                match work(item) {
                    Ok(outcome) => done.push(outcome),
                    Err(error) => {
                        next.store(items.len(), Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(done)
        };
        let threads = self.readers().min(items.len());
        if threads < 2 {
            return run();
        }
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let mut all = Vec::with_capacity(items.len());
            let mut outcome = Ok(());
            for worker in workers {
                match worker.join().map_err(|_| Error::Refused("a thread died".into())).flatten() {
                    Ok(done) => all.extend(done),
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
            outcome.map(|()| all)
        })
    }

    /// Reads a document.
    pub(crate) fn load<T: DeserializeOwned>(&self, kind: FileKind, name: &str) -> Result<T, Error> {
        decode(&self.key, kind, name, self.backend.read(kind, name)?)
    }
}
