//! Single requests, each tried once. What an answer must have to be believed is decided here.
//!
//! The SDK's futures are some ten kilobytes each: they lie on the heap, for the callers' threads have small stacks.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, ObjectLockMode, ServerSideEncryption,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};

use super::client;
use super::fault::{Fault, Verb};
use super::hold::{Retention, RetentionMode, date};
use super::options::{Checksum, Encryption, S3Options};
use crate::Id;

/// A bucket, and how to ask it.
pub(super) struct Store {
    client: Client,
    pub options: S3Options,
}

/// One page of a list.
pub(super) struct Page {
    /// Keys and sizes in bytes.
    pub objects: Vec<(String, u64)>,
    /// Asks for the next page, if there is one.
    pub next: Option<String>,
}

impl Store {
    pub(super) fn new(options: S3Options) -> Result<Store, String> {
        Ok(Store { client: client::client(&options)?, options })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The key of `path` below the vault's prefix.
    pub(super) fn key(&self, path: &str) -> String {
        if self.options.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.options.prefix) }
    }

    fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self.options.checksum {
            Checksum::None | Checksum::Md5 => None,
            Checksum::Crc32 => Some(ChecksumAlgorithm::Crc32),
            Checksum::Crc32c => Some(ChecksumAlgorithm::Crc32C),
            Checksum::Sha256 => Some(ChecksumAlgorithm::Sha256),
        }
    }

    /// For the modes that the SDK does not know.
    fn md5(&self, body: &[u8], held: bool) -> Option<String> {
        // Without any checksum, stores do not take what is to be held.
        let needed = self.options.checksum == Checksum::None && held;
        (self.options.checksum == Checksum::Md5 || needed).then(|| STANDARD.encode(Md5::digest(body)))
    }

    fn encryption(&self) -> (Option<ServerSideEncryption>, Option<String>) {
        match &self.options.encryption {
            Encryption::Default => (None, None),
            Encryption::Aes256 => (Some(ServerSideEncryption::Aes256), None),
            Encryption::Kms(key) => (Some(ServerSideEncryption::AwsKms), key.clone()),
        }
    }

    /// Writes an object. `name` is its SHA-256 where that is known, `only_new` refuses to replace one.
    pub(super) async fn put(
        &self,
        key: &str,
        body: Bytes,
        name: Option<Id>,
        hold: Option<Retention>,
        only_new: bool,
    ) -> Result<(), Fault> {
        let (encryption, kms_key) = self.encryption();
        let mut request = self.client.put_object().bucket(&self.options.bucket).key(key);
        request = request.set_server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        request = match (self.algorithm(), name) {
            (Some(ChecksumAlgorithm::Sha256), Some(name)) => request.checksum_sha256(STANDARD.encode(name.as_bytes())),
            (algorithm, _) => request.set_checksum_algorithm(algorithm),
        };
        if only_new {
            request = request.if_none_match("*");
        }
        if let Some(hold) = hold {
            request = request.object_lock_mode(mode(hold)).object_lock_retain_until_date(date(hold.until()));
        }
        request = request.set_content_md5(self.md5(&body, hold.is_some()));
        let sent = Box::pin(request.body(ByteStream::from(body)).send()).await;
        sent.map(drop).map_err(|error| Fault::of(Verb::Put, &error))
    }

    /// As if the body had been bent on its way: an object with another one's checksum. `None` without a checksum.
    pub(super) async fn put_bent(&self, key: &str, body: Bytes) -> Option<Result<(), Fault>> {
        let request = self.client.put_object().bucket(&self.options.bucket).key(key);
        let request = match self.options.checksum {
            Checksum::None => return None,
            Checksum::Md5 => request.content_md5(STANDARD.encode(Md5::digest(b"another"))),
            // Any will do: that it is right by chance is not to be feared.
            Checksum::Crc32 => request.checksum_crc32(STANDARD.encode([1, 2, 3, 4])),
            Checksum::Crc32c => request.checksum_crc32_c(STANDARD.encode([1, 2, 3, 4])),
            Checksum::Sha256 => request.checksum_sha256(STANDARD.encode(Id::of(b"another").as_bytes())),
        };
        let sent = Box::pin(request.body(ByteStream::from(body)).send()).await;
        Some(sent.map(drop).map_err(|error| Fault::of(Verb::Put, &error)))
    }

    /// Reads an object, or `length` bytes of it from `offset` on.
    pub(super) async fn get(&self, key: &str, range: Option<(u64, u64)>) -> Result<Vec<u8>, Fault> {
        self.get_version(key, None, range).await
    }

    /// The same of one version.
    pub(super) async fn get_version(
        &self,
        key: &str,
        version: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Vec<u8>, Fault> {
        let request = self.client.get_object().bucket(&self.options.bucket).key(key);
        let mut request = request.set_version_id(version.map(str::to_owned));
        if let Some((offset, length)) = range {
            request = request.range(format!("bytes={offset}-{}", offset + length - 1));
        }
        let answer = self.in_time(Box::pin(request.send())).await?.map_err(|error| Fault::of(Verb::Get, &error))?;
        if let Some((offset, length)) = range {
            whole_range(answer.content_range(), offset, length)?;
        }
        let announced = answer.content_length().and_then(|length| u64::try_from(length).ok());
        let expected = range.map(|(_, length)| length).or(announced);
        let broken = |_| Fault::passing("an object larger than memory");
        let mut bytes = Vec::with_capacity(usize::try_from(expected.unwrap_or(0)).map_err(broken)?);
        let mut body = answer.body;
        while let Some(chunk) = self.in_time(body.next()).await? {
            let chunk = chunk.map_err(|error| Fault::passing(format!("the answer broke off: {error}")))?;
            bytes.extend_from_slice(&chunk);
            if expected.is_some_and(|expected| bytes.len() as u64 > expected) {
                return Err(Fault::passing("the answer is longer than what was asked for"));
            }
        }
        match expected {
            Some(expected) if bytes.len() as u64 != expected => {
                Err(Fault::passing(format!("{} bytes came where {expected} should have", bytes.len())))
            }
            _ => Ok(bytes),
        }
    }

    /// The size in bytes of an object.
    pub(super) async fn head(&self, key: &str) -> Result<u64, Fault> {
        let request = self.client.head_object().bucket(&self.options.bucket).key(key);
        let answer = Box::pin(request.send()).await;
        let length = answer.map_err(|error| Fault::of(Verb::Head, &error))?.content_length();
        length.and_then(|length| u64::try_from(length).ok()).ok_or_else(|| Fault::passing("an object without a size"))
    }

    /// A page of the objects whose keys begin with `prefix`.
    pub(super) async fn page(&self, prefix: &str, from: Option<String>, most: Option<i32>) -> Result<Page, Fault> {
        let request = self.client.list_objects_v2().bucket(&self.options.bucket).prefix(prefix);
        let request = request.set_continuation_token(from).set_max_keys(most);
        let answer = Box::pin(request.customize().interceptor(WholeList("</ListBucketResult>")).send()).await;
        let answer = answer.map_err(|error| Fault::of(Verb::List, &error))?;
        let count = usize::try_from(answer.key_count().unwrap_or(0)).unwrap_or(0);
        if answer.contents().len() + answer.common_prefixes().len() < count {
            return Err(Fault::passing("a page of the list has fewer entries than it says"));
        }
        let next = answer.next_continuation_token().map(str::to_owned);
        if answer.is_truncated() == Some(true) && next.is_none() {
            return Err(Fault::passing("a page of the list does not say how to ask for the next one"));
        }
        let mut objects = Vec::with_capacity(answer.contents().len());
        for object in answer.contents() {
            let size = object.size().and_then(|size| u64::try_from(size).ok());
            match (object.key(), size) {
                (Some(key), Some(size)) if key.starts_with(prefix) => objects.push((key.to_owned(), size)),
                _ => return Err(Fault::passing("an entry of the list has no size, or was not asked for")),
            }
        }
        Ok(Page { objects, next: next.filter(|_| answer.is_truncated() != Some(false)) })
    }

    /// Removes an object; that it was not there is no error. A bucket with versions only hides it, and then gives the
    /// marker's id.
    pub(super) async fn delete(&self, key: &str) -> Result<Option<String>, Fault> {
        let request = self.client.delete_object().bucket(&self.options.bucket).key(key);
        match Box::pin(request.send()).await {
            Ok(answer) if answer.delete_marker() == Some(true) => Ok(Some(answer.version_id.unwrap_or_default())),
            Ok(_) => Ok(None),
            Err(error) => match Fault::of(Verb::Delete, &error) {
                Fault::Missing => Ok(None),
                fault => Err(fault),
            },
        }
    }

    /// Begins an upload in parts, and gives its id.
    pub(super) async fn begin(&self, key: &str, hold: Option<Retention>) -> Result<String, Fault> {
        let (encryption, kms_key) = self.encryption();
        let request = self.client.create_multipart_upload().bucket(&self.options.bucket).key(key);
        let mut request = request.set_server_side_encryption(encryption).set_ssekms_key_id(kms_key);
        if let Some(hold) = hold {
            request = request.object_lock_mode(mode(hold)).object_lock_retain_until_date(date(hold.until()));
        }
        let answer = Box::pin(request.set_checksum_algorithm(self.algorithm()).send()).await;
        let upload = answer.map_err(|error| Fault::of(Verb::Parts, &error))?.upload_id;
        upload.ok_or_else(|| Fault::passing("an upload without an id"))
    }

    /// Writes part `number`, from 1 on.
    pub(super) async fn part(&self, key: &str, id: &str, number: i32, body: Bytes) -> Result<CompletedPart, Fault> {
        let request = self.client.upload_part().bucket(&self.options.bucket).key(key).upload_id(id);
        let request = request.part_number(number).set_checksum_algorithm(self.algorithm());
        let request = request.set_content_md5(self.md5(&body, false));
        let answer = Box::pin(request.body(ByteStream::from(body)).send()).await;
        let answer = answer.map_err(|error| Fault::of(Verb::Parts, &error))?;
        let part = CompletedPart::builder().part_number(number).set_e_tag(answer.e_tag);
        let part = part.set_checksum_crc32(answer.checksum_crc32).set_checksum_crc32_c(answer.checksum_crc32_c);
        Ok(part.set_checksum_sha256(answer.checksum_sha256).build())
    }

    /// Makes the parts an object.
    pub(super) async fn complete(&self, key: &str, id: &str, parts: Vec<CompletedPart>) -> Result<(), Fault> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = self.client.complete_multipart_upload().bucket(&self.options.bucket).key(key).upload_id(id);
        let answer = Box::pin(request.multipart_upload(parts).send()).await;
        answer.map(drop).map_err(|error| Fault::of(Verb::Parts, &error))
    }

    /// Gives an upload up, so that its parts cost nothing any more.
    pub(super) async fn abort(&self, key: &str, id: &str) -> Result<(), Fault> {
        let request = self.client.abort_multipart_upload().bucket(&self.options.bucket).key(key).upload_id(id);
        match Box::pin(request.send()).await {
            Ok(_) => Ok(()),
            Err(error) => match Fault::of(Verb::Parts, &error) {
                Fault::Missing => Ok(()),
                fault => Err(fault),
            },
        }
    }

    /// Ids of the uploads of this key that were begun and not ended.
    pub(super) async fn uploads(&self, key: &str) -> Result<Vec<String>, Fault> {
        let request = self.client.list_multipart_uploads().bucket(&self.options.bucket).prefix(key);
        let answer = Box::pin(request.send()).await;
        let answer = answer.map_err(|error| Fault::of(Verb::Parts, &error))?;
        let ours = answer.uploads().iter().filter(|upload| upload.key() == Some(key));
        Ok(ours.filter_map(|upload| upload.upload_id().map(str::to_owned)).collect())
    }

    /// A step of a long answer: it may take as long as a whole short one.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, Fault> {
        within(self.options.timeout, step).await
    }
}

fn mode(retention: Retention) -> ObjectLockMode {
    match retention.mode {
        RetentionMode::Governance => ObjectLockMode::Governance,
        RetentionMode::Compliance => ObjectLockMode::Compliance,
    }
}

/// Bounds a future's time.
pub(super) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, Fault> {
    let late = |_| Fault::passing(format!("no answer within {} s", time.as_secs_f32()));
    tokio::time::timeout(time, work).await.map_err(late)
}

fn whole_range(given: Option<&str>, offset: u64, length: u64) -> Result<(), Fault> {
    let Some(given) = given else {
        return Err(Fault::NotOffered("the store gives whole objects only: ranges are needed".into()));
    };
    let end = offset + length - 1;
    if given.starts_with(&format!("bytes {offset}-{end}/")) {
        return Ok(());
    }
    let what = format!("bytes {offset} to {end} were asked for, and the store gives {given}");
    let last = given.rsplit_once('/').and_then(|(_, total)| total.parse::<u64>().ok());
    match last {
        Some(total) if total <= end => Err(Fault::Final(std::io::ErrorKind::UnexpectedEof, what)),
        _ => Err(Fault::Passing(what)),
    }
}

/// The SDK reads a list as far as it goes: one that breaks off in the middle would be a shorter list. So the end must
/// be there.
#[derive(Debug)]
pub(super) struct WholeList(pub &'static str);

impl Intercept for WholeList {
    fn name(&self) -> &'static str {
        "WholeList"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let end = self.0.as_bytes();
        let whole = answer.body().bytes().is_some_and(|bytes| bytes.trim_ascii_end().ends_with(end));
        if answer.status().is_success() && !whole {
            return Err("the list breaks off".into());
        }
        Ok(())
    }
}
