//! Does this store do all that a vault relies upon? Each thing is tried once, with objects of our own, which go again.

use std::time::Duration;

use bytes::Bytes;

use super::S3Backend;
use super::fault::Fault;
use super::hold::IfHeld;
use super::store::within;
use crate::Id;
use crate::backend::{Backend as _, BackendError, FileKind};
use crate::crypto::fill_random;

/// The smallest part that stores must take.
const PART: usize = 5 << 20;
/// One step may take so long, with all its tries.
const PATIENCE: Duration = Duration::from_secs(60);

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTest {
    /// `put`, `get`, `range`, `multipart`, `list`, `conditional put`, `bent upload`, `delete`; where a retention is asked
    /// for, `object lock`, `lock file` and `sealed object` too.
    pub name: &'static str,
    /// It worked.
    pub ok: bool,
    /// A vault cannot do without it.
    pub required: bool,
    /// What was seen.
    pub what: String,
    /// What a person can do, if it did not work.
    pub mend: Option<String>,
}

/// What a step saw, or what went wrong and what helps.
pub(super) type Seen = Result<String, (Fault, &'static str)>;

pub(super) struct Tried<'a> {
    backend: &'a S3Backend,
    results: Vec<SelfTest>,
}

impl Tried<'_> {
    pub(super) async fn step(&mut self, name: &'static str, required: bool, step: impl Future<Output = Seen>) {
        let patience = PATIENCE.min(self.backend.store.options.patience.saturating_mul(2));
        let seen = match within(patience, Box::pin(step)).await {
            Ok(seen) => seen,
            Err(late) => Err((late, "look whether the endpoint can be reached from here, and how fast")),
        };
        let (ok, what, mend) = match seen {
            Ok(what) => (true, what, None),
            // A refusal names its own mend.
            Err((fault @ Fault::Final(..), _)) => (false, fault.text(), Some("what the message says".to_owned())),
            Err((fault, mend)) => (false, fault.text(), Some(mend.to_owned())),
        };
        self.results.push(SelfTest { name, ok, required, what, mend });
    }
}

impl S3Backend {
    /// Puts, reads, lists and removes objects of its own below the vault's prefix, and says of each verb whether the
    /// store does what a vault needs. Nothing of it stays, if removing works. Where a retention is asked for, it takes
    /// some seconds: what it seals for a trial must become free again.
    ///
    /// # Errors
    /// Only when nothing could be tried at all.
    pub fn self_test(&self) -> Result<Vec<SelfTest>, BackendError> {
        let failed = |fault: Fault| fault.into_error("self-test".into(), &self.location());
        let mut content = vec![0; PART + 1000];
        let random = fill_random(&mut content);
        random.map_err(|error| failed(Fault::Final(std::io::ErrorKind::Other, error.to_string())))?;
        let folder = self.store.key(&format!("self-test/{}", Id::of(&content)));
        let mut tried = Tried { backend: self, results: Vec::new() };
        let work = async {
            self.try_all(&mut tried, &format!("{folder}/"), &Bytes::from(content)).await;
            Ok(())
        };
        self.wait(FileKind::Config, work).map_err(failed)?;
        Ok(tried.results)
    }

    async fn try_all(&self, tried: &mut Tried<'_>, folder: &str, content: &Bytes) {
        let (small, large) = (format!("{folder}small"), format!("{folder}large"));
        let body = content.slice(..1000);
        tried.step("put", true, self.try_put(&small, &body)).await;
        tried.step("get", true, self.try_get(&small, &body)).await;
        tried.step("range", true, self.try_range(&small, &body)).await;
        tried.step("multipart", true, self.try_parts(&large, content)).await;
        tried.step("list", true, self.try_list(folder, &[(&large, content.len()), (&small, body.len())])).await;
        tried.step("conditional put", false, self.try_condition(&small, &body)).await;
        tried.step("bent upload", false, self.try_bent(&format!("{folder}bent"), &body)).await;
        self.try_holding(tried, folder, &body).await;
        tried.step("delete", true, self.try_delete(folder)).await;
    }

    async fn try_put(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "if the store refuses the checksum, choose another checksum mode for this vault";
        self.put(key, body.clone(), Some(Id::of(body)), None).await.map_err(|fault| (fault, mend))?;
        Ok("written and acknowledged".into())
    }

    async fn try_get(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "the store must give back what it took, at once";
        match self.fetch(key, None).await {
            Ok(bytes) if bytes == *body => Ok("the same bytes came back".into()),
            Ok(_) => Err((Fault::NotOffered("other bytes came back".into()), mend)),
            Err(fault) => Err((fault, mend)),
        }
    }

    async fn try_range(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "the store, or a proxy before it, must answer range requests";
        match self.fetch(key, Some((300, 400))).await {
            Ok(bytes) if bytes == body[300..700] => Ok("400 bytes from the middle".into()),
            Ok(_) => Err((Fault::NotOffered("other bytes came back".into()), mend)),
            Err(fault) => Err((fault, mend)),
        }
    }

    async fn try_parts(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "the store must offer multipart uploads, and let this access key abort its own";
        self.put_in_parts(key, body.clone(), PART, None).await.map_err(|fault| (fault, mend))?;
        match self.fetch(key, None).await {
            Ok(bytes) if bytes == *body => Ok("two parts became one object".into()),
            Ok(_) => Err((Fault::NotOffered("the parts became another object".into()), mend)),
            Err(fault) => Err((fault, mend)),
        }
    }

    async fn try_list(&self, folder: &str, expected: &[(&String, usize)]) -> Seen {
        let mend = "the store must list, page by page, what was just written";
        // One entry a page, so that the next page must be asked for.
        let found = self.list_keys(folder, Some(1)).await.map_err(|fault| (fault, mend))?;
        let all = found.len() == expected.len()
            && expected.iter().all(|(key, size)| found.get(*key).is_some_and(|found| *found == *size as u64));
        if all {
            return Ok("every page, with the right sizes".into());
        }
        Err((Fault::NotOffered(format!("{} of {} objects are listed", found.len(), expected.len())), mend))
    }

    async fn try_condition(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "nothing must be done: without it, two vaults made at one place at the same moment are not noticed";
        match self.brief(|| self.store.put(key, body.clone(), None, None, true)).await {
            Err(Fault::There) => Ok("an object is not replaced where we ask for that".into()),
            Ok(()) => Err((Fault::NotOffered("the store replaces an object all the same".into()), mend)),
            Err(fault) => Err((fault, mend)),
        }
    }

    async fn try_bent(&self, key: &str, body: &Bytes) -> Seen {
        let mend = "choose a checksum mode that the store verifies, or rely on https: it notices bent bytes too";
        let put = async { Ok(self.store.put_bent(key, body.clone()).await) };
        match within(self.store.options.timeout, put).await.and_then(|sent| sent) {
            Ok(None) => Err((Fault::NotOffered("without a checksum the store cannot notice it".into()), mend)),
            Ok(Some(Ok(()))) => {
                Err((Fault::NotOffered("the store takes bytes that are not what their checksum says".into()), mend))
            }
            Ok(Some(Err(Fault::Bent(text) | Fault::Final(std::io::ErrorKind::InvalidInput, text)))) => {
                Ok(format!("refused, as it should be: {text}"))
            }
            Ok(Some(Err(fault))) | Err(fault) => Err((fault, mend)),
        }
    }

    async fn try_delete(&self, folder: &str) -> Seen {
        let mend = "the access key must be allowed to remove objects, and see at once that they are gone";
        let ours = self.list_keys(folder, None).await.map_err(|fault| (fault, mend))?;
        let mut held = 0;
        for key in ours.keys() {
            match self.erase(key, IfHeld::Keep).await {
                // Said by the step that made it.
                Err(Fault::Held(_)) => {
                    held += 1;
                    continue;
                }
                other => other.map_err(|fault| (fault, mend))?,
            }
            match self.brief(|| self.store.head(key)).await {
                Err(Fault::Missing) => {}
                Ok(_) => return Err((Fault::NotOffered("an object is there after it was removed".into()), mend)),
                Err(fault) => return Err((fault, mend)),
            }
        }
        let left = self.list_keys(folder, None).await.map_err(|fault| (fault, mend))?.len();
        if left > held {
            return Err((Fault::NotOffered(format!("{left} objects are listed after they were removed")), mend));
        }
        Ok(format!("{} objects removed, {held} held", ours.len() - held))
    }
}
