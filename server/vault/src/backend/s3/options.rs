//! Where a bucket is and how it wants to be talked to.

use std::fmt;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use super::hold::Retention;
use crate::reach::Reach;

/// A secret access key or a session token; it cannot be printed, and its memory is wiped.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<String>);

impl SecretKey {
    /// Takes the secret.
    pub fn new(secret: impl Into<String>) -> SecretKey {
        SecretKey(Zeroizing::new(secret.into()))
    }

    /// The secret itself, for the signature.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(…)")
    }
}

/// The checksum that goes with every upload, for the store to refuse what was bent on its way. (The SHA-256 in a request's
/// signature would do that too, but not every store verifies it: SeaweedFS 4.48 does not.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Checksum {
    /// None: for stores that refuse a request with one. Then only https notices bent bytes before a read does.
    None,
    /// `Content-MD5`, which nearly every store knows.
    Md5,
    /// What the AWS tools send by default; some stores refuse it.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// Costs nothing for whole files: their names are their SHA-256, so it is the one that was taken when they were made.
    #[default]
    Sha256,
}

/// Server-side encryption, for buckets whose rules ask for it; what we store is encrypted in any case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// No header: the bucket's default.
    #[default]
    Default,
    /// `x-amz-server-side-encryption: AES256`
    Aes256,
    /// `x-amz-server-side-encryption: aws:kms`, with this key or the bucket's.
    Kms(Option<String>),
}

/// A location that names no bucket, with what is wrong about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{location}: {why}")]
pub struct NotABucket {
    /// What was given, without any secret that stood in it.
    pub location: String,
    /// What is wrong, and how it should look.
    pub why: String,
}

/// A bucket, the place in it, and how to talk to it.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// `http://` or `https://`, host and port; nothing behind them.
    pub endpoint: String,
    /// What the signature is for; stores of one's own mostly take any.
    pub region: String,
    /// The bucket, which must exist.
    pub bucket: String,
    /// Where the vault lies in the bucket, without slashes at its ends; empty for the bucket's root.
    pub prefix: String,
    /// The access key's id. It is no secret.
    pub access_key: String,
    /// The access key's secret.
    pub secret_key: SecretKey,
    /// With temporary credentials only.
    pub session_token: Option<SecretKey>,
    /// The bucket's name stands in the path, not in the host's name. By default everywhere but at AWS.
    pub path_style: bool,
    /// Per vault, for stores differ.
    pub checksum: Checksum,
    /// Server-side encryption.
    pub encryption: Encryption,
    /// Certificates in PEM. With them, they alone are trusted; without, the system's.
    pub ca: Option<String>,
    /// For a connection to stand.
    pub connect_timeout: Duration,
    /// For one try of one request, beside the time that its bytes take at `slowest`.
    pub timeout: Duration,
    /// Bytes a second below which a transfer counts as stuck.
    pub slowest: u64,
    /// For one operation with all its tries. Afterwards it has failed.
    pub patience: Duration,
    /// Bytes of one part; what is larger than this goes up in parts. At least 5 MiB, or stores refuse it.
    pub part: usize,
    /// Packs on their way at once.
    pub connections: usize,
    /// In a bucket with object lock: everything but locks is held for so long from its writing on.
    pub retention: Option<Retention>,
    /// Where the endpoint may be.
    pub reach: Reach,
}

impl S3Options {
    /// Takes `s3://bucket/prefix` with an endpoint (by default AWS's for the region), or restic's own
    /// `s3:https://host/bucket/prefix`; everything else has its default, and can be changed.
    ///
    /// # Errors
    /// [`NotABucket`] says what is wrong with the location or the endpoint.
    pub fn new(
        location: &str,
        endpoint: Option<&str>,
        region: Option<&str>,
        access_key: impl Into<String>,
        secret_key: SecretKey,
    ) -> Result<S3Options, NotABucket> {
        let region = region.unwrap_or("us-east-1");
        let (own_endpoint, place) = split(location)?;
        let endpoint = match (own_endpoint, endpoint) {
            (Some(own), None) => own,
            (None, Some(given)) => given.to_owned(),
            (None, None) if region == "us-east-1" => "https://s3.amazonaws.com".to_owned(),
            (None, None) => format!("https://s3.{region}.amazonaws.com"),
            (Some(own), Some(given)) if own.trim_end_matches('/') == given.trim_end_matches('/') => own,
            (Some(_), Some(_)) => return Err(wrong(location, "it names another endpoint than the one given")),
        };
        let endpoint = plain_endpoint(&endpoint)?;
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let prefix = prefix.trim_matches('/');
        if !is_bucket(bucket) {
            let why = "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens";
            return Err(wrong(location, why));
        }
        if prefix.split('/').any(|part| part == "." || part == "..") || prefix.contains("//") {
            return Err(wrong(location, "the prefix has an empty part, `.` or `..`"));
        }
        Ok(S3Options {
            path_style: !endpoint.ends_with(".amazonaws.com"),
            endpoint,
            region: region.to_owned(),
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            access_key: access_key.into(),
            secret_key,
            session_token: None,
            checksum: Checksum::default(),
            encryption: Encryption::default(),
            ca: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            slowest: 256 << 10,
            patience: Duration::from_secs(180),
            part: 32 << 20,
            connections: 8,
            retention: None,
            reach: Reach::Anywhere,
        })
    }

    /// In restic's syntax: what `restic -r` takes.
    pub fn location(&self) -> String {
        let place = format!("s3:{}/{}", self.endpoint, self.bucket);
        if self.prefix.is_empty() { place } else { format!("{place}/{}", self.prefix) }
    }

    /// How long one try may take that moves so many bytes.
    pub(super) fn time_for(&self, bytes: u64) -> Duration {
        self.timeout.saturating_add(Duration::from_secs(bytes / self.slowest.max(1)))
    }
}

/// The endpoint, if the location has one, and `bucket/prefix`.
fn split(location: &str) -> Result<(Option<String>, &str), NotABucket> {
    if let Some(place) = location.strip_prefix("s3://") {
        return Ok((None, place));
    }
    let form = "it should be s3://bucket/prefix";
    let rest = location.strip_prefix("s3:").ok_or_else(|| wrong(location, form))?;
    let (scheme, rest) = match rest.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("https", rest),
    };
    let (host, place) = rest.split_once('/').ok_or_else(|| wrong(location, form))?;
    Ok((Some(format!("{scheme}://{host}")), place))
}

fn plain_endpoint(endpoint: &str) -> Result<String, NotABucket> {
    let url = Url::parse(endpoint).map_err(|error| wrong(endpoint, &format!("not an endpoint: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(endpoint, "an endpoint carries no user and no password: give the keys by themselves"));
    }
    let plain = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
    match url.host_str() {
        Some(host) if plain && url.fragment().is_none() => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Ok(format!("{}://{host}{port}", url.scheme()))
        }
        _ => Err(wrong(endpoint, "an endpoint is https://host or https://host:port")),
    }
}

fn is_bucket(name: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(&byte) || byte == b'-' || byte == b'.')
        && name.as_bytes().first().is_some_and(plain)
        && name.as_bytes().last().is_some_and(plain)
        && !name.contains("..")
}

/// Whoever puts a password into a location does not want to read it in an error.
fn wrong(location: &str, why: &str) -> NotABucket {
    let location = match (location.split_once("://"), location.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => location.to_owned(),
    };
    NotABucket { location, why: why.to_owned() }
}
