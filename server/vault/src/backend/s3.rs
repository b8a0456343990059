//! A vault in a bucket: restic's layout, each object whole and acknowledged, with its checksum, before it counts.
//!
//! | what can happen | what we do |
//! |---|---|
//! | no answer, a broken one, 5xx, "slow down" | again, with pauses that grow and differ, until the patience ends |
//! | the answer is lost, the write is not | again: the same name is the same content, so it is harmless |
//! | an upload is bent on its way | the store refuses it by its checksum; again |
//! | an object comes bent or too short | again, twice; then the vault, which verifies everything, says what is damaged |
//! | a page of a list fails, breaks off or has fewer entries than it says | an error, never a shorter list |
//! | 403, no bucket, wrong keys | an error at once, which names the permission or the mend |
//!
//! `config` alone has a name that tells nothing of its content: it is written only where there is none.

mod client;
mod fault;
mod hold;
mod object;
mod options;
mod parts;
mod self_test;
mod self_test_hold;
mod store;
mod undelete;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use super::{Backend, BackendError, FileKind};
use crate::Id;
use fault::Fault;
use hold::IfHeld;
use store::{Store, within};

pub use hold::{Retention, RetentionMode};
pub use object::{Object, Upload};
pub use options::{Checksum, Encryption, NotABucket, S3Options, SecretKey};
pub use self_test::SelfTest;
pub use undelete::Undeleted;

/// The first pause between two tries, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// How often an object is read whose content is not what its name says.
const READS: usize = 3;

/// The storage in a bucket. Its methods block, and must not be called from within an async task.
pub struct S3Backend {
    store: Store,
    /// Packs may be on their way so many at a time; small files are never kept waiting behind them.
    transfers: Semaphore,
    /// Whether the bucket keeps versions of what is removed, as far as is known.
    versioned: AtomicBool,
    /// For the connections. `Some` until it is dropped.
    runtime: Option<Runtime>,
}

impl S3Backend {
    /// Does not ask the store anything yet: [`S3Backend::self_test`] does.
    ///
    /// # Errors
    /// When the CA's certificates cannot be used, or no thread can be had.
    pub fn new(options: S3Options) -> Result<S3Backend, BackendError> {
        let location = options.location();
        let failed = |kind, why: String| BackendError::Failed {
            what: location.clone(),
            source: Arc::new(io::Error::new(kind, why)),
        };
        let transfers = Semaphore::new(options.connections.max(1));
        let store = Store::new(options).map_err(|why| failed(io::ErrorKind::InvalidInput, why))?;
        // The work is done on the callers' threads; this one moves the bytes.
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("vault-s3").enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.kind(), error.to_string()))?;
        // Object lock needs versions.
        let versioned = AtomicBool::new(store.options.retention.is_some());
        Ok(S3Backend { store, transfers, versioned, runtime: Some(runtime) })
    }

    fn key(&self, kind: FileKind, name: &str) -> String {
        let path = match kind {
            FileKind::Config => "config".to_owned(),
            FileKind::Pack => format!("{}{}/{name}", dir(kind), name.get(..2).unwrap_or("00")),
            _ => format!("{}{name}", dir(kind)),
        };
        self.store.key(&path)
    }

    /// Waits on this thread for all that `work` does. A pack waits for its turn first.
    fn wait<T>(&self, kind: FileKind, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let gone = || Fault::Final(io::ErrorKind::Other, "the backend is shutting down".into());
        let runtime = self.runtime.as_ref().ok_or_else(gone)?;
        runtime.block_on(async {
            let _turn = match kind {
                FileKind::Pack => Some(self.transfers.acquire().await.map_err(|_| gone())?),
                _ => None,
            };
            work.await
        })
    }

    /// Tries until it works, it is clear that it never will, or the patience ends. `time` bounds one try.
    async fn tries<T, F, W>(&self, time: Duration, mut once: F) -> Result<T, Fault>
    where
        F: FnMut() -> W,
        W: Future<Output = Result<T, Fault>>,
    {
        let last = RefCell::new(None);
        let (first, longest) = PAUSES;
        let pauses = ExponentialBuilder::new().with_min_delay(first).with_max_delay(longest);
        let tries = (|| {
            let work = Box::pin(once());
            async move { within(time, work).await? }
        })
        .retry(pauses.without_max_times().with_jitter())
        .sleep(tokio::time::sleep)
        .when(Fault::passes)
        .notify(|fault: &Fault, pause| {
            tracing::debug!(why = fault.text(), ?pause, place = self.location(), "a request is tried again");
            last.replace(Some(fault.clone()));
        });
        match within(self.store.options.patience.max(time), tries).await {
            Ok(outcome) => outcome,
            Err(late) => Err(last.take().unwrap_or(late)),
        }
    }

    fn time_for(&self, bytes: usize) -> Duration {
        self.store.options.time_for(bytes as u64)
    }

    /// A short request.
    async fn brief<T, F, W>(&self, once: F) -> Result<T, Fault>
    where
        F: FnMut() -> W,
        W: Future<Output = Result<T, Fault>>,
    {
        self.tries(self.store.options.timeout, once).await
    }

    /// An object or a range of it; each step of the answer has its own time.
    async fn fetch(&self, key: &str, range: Option<(u64, u64)>) -> Result<Vec<u8>, Fault> {
        self.tries(self.store.options.patience, || self.store.get(key, range)).await
    }

    async fn put(&self, key: &str, body: Bytes, name: Option<Id>, hold: Option<Retention>) -> Result<(), Fault> {
        let part = self.store.options.part.max(1);
        if body.len() > part {
            return self.put_in_parts(key, body, part, hold).await;
        }
        self.tries(self.time_for(body.len()), || self.store.put(key, body.clone(), name, hold, false)).await
    }

    /// Puts an object where there is none. One that is there and equal is what a lost answer leaves.
    async fn put_new(&self, key: &str, body: Bytes) -> Result<(), Fault> {
        let (time, hold) = (self.time_for(body.len()), self.store.options.retention);
        match self.tries(time, || self.store.put(key, body.clone(), None, hold, true)).await {
            Err(Fault::There) if self.fetch(key, None).await? == body => Ok(()),
            Err(Fault::NotOffered(_)) => self.put(key, body, None, hold).await,
            other => other,
        }
    }

    fn send(&self, kind: FileKind, name: &str, body: &Bytes) -> Result<(), BackendError> {
        let key = self.key(kind, name);
        // A lock that cannot be removed would lock everybody out.
        let hold = self.store.options.retention.filter(|_| kind != FileKind::Lock);
        let outcome = self.wait(kind, async {
            let outcome = match kind {
                FileKind::Config => self.put_new(&key, body.clone()).await,
                _ => self.put(&key, body.clone(), name.parse().ok(), hold).await,
            };
            match outcome {
                Err(fault) if fault.passes() => self.heard_after_all(kind, &key, body.len(), fault).await,
                other => other,
            }
        });
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    /// After many tries whose answers did not come: was one of them heard all the same? A lock that nobody will know
    /// of must not stay.
    async fn heard_after_all(&self, kind: FileKind, key: &str, length: usize, fault: Fault) -> Result<(), Fault> {
        let time = self.store.options.timeout;
        if kind == FileKind::Lock {
            let _ = within(time, self.erase(key, IfHeld::Hide)).await;
            return Err(fault);
        }
        match within(time, self.store.head(key)).await {
            Ok(Ok(there)) if there == length as u64 && kind != FileKind::Config => Ok(()),
            _ => Err(fault),
        }
    }

    /// All objects whose keys begin with `prefix`: every page, or an error.
    async fn list_keys(&self, prefix: &str, most: Option<i32>) -> Result<BTreeMap<String, u64>, Fault> {
        let (mut found, mut next) = (BTreeMap::new(), None::<String>);
        loop {
            let page = self.brief(|| self.store.page(prefix, next.clone(), most)).await?;
            found.extend(page.objects);
            match page.next {
                None => return Ok(found),
                Some(token) if next.as_ref() == Some(&token) => {
                    return Err(Fault::Final(io::ErrorKind::InvalidData, "the list goes round in circles".into()));
                }
                token => next = token,
            }
        }
    }

    /// Whether there is a `config`: two ways of asking must agree that there is none, for a new vault may follow.
    async fn list_config(&self) -> Result<Vec<(String, u64)>, Fault> {
        let key = self.key(FileKind::Config, "");
        let listed = self.list_keys(&key, None).await?;
        let size = match listed.get(&key) {
            Some(size) => *size,
            None => match self.brief(|| self.store.head(&key)).await {
                Err(Fault::Missing) => return Ok(Vec::new()),
                other => other?,
            },
        };
        Ok(vec![("config".to_owned(), size)])
    }

    fn take_away(&self, kind: FileKind, name: &str, if_held: IfHeld) -> Result<(), BackendError> {
        let key = self.key(kind, name);
        let outcome = self.wait(FileKind::Config, self.erase(&key, if_held));
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    fn what(&self, kind: FileKind, name: &str) -> String {
        format!("{} {name} in {}", kind.word(), self.location())
    }
}

/// Where files of a kind lie, with the slash.
fn dir(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Config => "",
        FileKind::Key => "keys/",
        FileKind::Lock => "locks/",
        FileKind::Snapshot => "snapshots/",
        FileKind::Index => "index/",
        FileKind::Pack => "data/",
    }
}

/// Somebody's buffer, lent to requests that may outlive the try that they belong to.
struct Lent(Arc<Vec<u8>>);

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Backend for S3Backend {
    fn location(&self) -> String {
        self.store.options.location()
    }

    fn list(&self, kind: FileKind) -> Result<Vec<(String, u64)>, BackendError> {
        let outcome = self.wait(FileKind::Config, async {
            if kind == FileKind::Config {
                return self.list_config().await;
            }
            let prefix = self.store.key(dir(kind));
            let mut names = Vec::new();
            for (key, size) in self.list_keys(&prefix, None).await? {
                let Some(name) = key.rsplit('/').next() else { continue };
                if name.parse::<Id>().is_ok() && self.key(kind, name) == key {
                    names.push((name.to_owned(), size));
                }
            }
            Ok(names)
        });
        let what = || format!("list of {} files in {}", kind.word(), self.location());
        outcome.map_err(|fault| {
            match fault {
                // A list of what is not there is an empty one; an error must not be taken for that.
                Fault::Missing => Fault::Final(io::ErrorKind::Other, "the store answered 404".into()),
                other => other,
            }
            .into_error(what(), &self.location())
        })
    }

    fn read(&self, kind: FileKind, name: &str) -> Result<Vec<u8>, BackendError> {
        let key = self.key(kind, name);
        let outcome = self.wait(kind, async {
            let mut bytes = self.fetch(&key, None).await?;
            for _ in 1..READS {
                if kind == FileKind::Config || Id::of(&bytes).to_string() == name {
                    break;
                }
                tracing::warn!(file = name, place = self.location(), "an object came that is not what its name says");
                bytes = self.fetch(&key, None).await?;
            }
            Ok(bytes)
        });
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    fn read_range(&self, kind: FileKind, name: &str, offset: u64, len: u64) -> Result<Vec<u8>, BackendError> {
        if len == 0 {
            return Ok(Vec::new());
        }
        let key = self.key(kind, name);
        let outcome = match offset.checked_add(len) {
            Some(_) => self.wait(kind, self.fetch(&key, Some((offset, len)))),
            None => Err(Fault::Final(io::ErrorKind::InvalidInput, "a range beyond all bounds".into())),
        };
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    fn write(&self, kind: FileKind, name: &str, bytes: &[u8]) -> Result<(), BackendError> {
        self.send(kind, name, &Bytes::copy_from_slice(bytes))
    }

    fn write_buffer(&self, kind: FileKind, name: &str, buffer: &mut Vec<u8>) -> Result<(), BackendError> {
        let lent = Arc::new(std::mem::take(buffer));
        let outcome = self.send(kind, name, &Bytes::from_owner(Lent(lent.clone())));
        // A request that was given up may still hold it; then the caller gets none back.
        *buffer = Arc::try_unwrap(lent).unwrap_or_default();
        outcome
    }

    fn remove(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.take_away(kind, name, if kind == FileKind::Lock { IfHeld::Hide } else { IfHeld::Keep })
    }

    fn withdraw(&self, kind: FileKind, name: &str) -> Result<(), BackendError> {
        self.take_away(kind, name, IfHeld::Hide)
    }

    fn tidy(&self) -> Result<u64, BackendError> {
        if self.store.options.retention.is_none() {
            return Ok(0);
        }
        let outcome = self.wait(FileKind::Config, self.erase_hidden(&self.store.key(dir(FileKind::Index))));
        outcome.map_err(|fault| fault.into_error("hidden index files".into(), &self.location()))
    }

    fn retention(&self) -> Option<Duration> {
        self.store.options.retention.map(|retention| retention.period)
    }

    fn held_until(&self, kind: FileKind, name: &str) -> Result<Option<OffsetDateTime>, BackendError> {
        let key = self.key(kind, name);
        let outcome = self.wait(FileKind::Config, self.brief(|| self.store.held_until(&key, None)));
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    fn retain(&self, kind: FileKind, name: &str, until: OffsetDateTime) -> Result<(), BackendError> {
        let key = self.key(kind, name);
        let outcome = match self.store.options.retention {
            Some(retention) => self.wait(FileKind::Config, self.brief(|| self.store.hold(&key, retention, until))),
            None => Err(Fault::NotOffered("no retention was set for this vault's bucket".into())),
        };
        outcome.map_err(|fault| fault.into_error(self.what(kind, name), &self.location()))
    }

    fn connections(&self) -> usize {
        self.store.options.connections.max(1)
    }
}

impl Drop for S3Backend {
    fn drop(&mut self) {
        // Waiting for its thread would not be allowed where the last owner is an async task.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for S3Backend {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("S3Backend").field(&self.location()).finish()
    }
}
