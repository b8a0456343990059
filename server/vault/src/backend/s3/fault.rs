//! What a store can answer instead of what was asked for, told apart by what it means for us.

use std::io;
use std::sync::Arc;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ConnectorError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use time::OffsetDateTime;

use crate::backend::BackendError;
use crate::reach::OutOfReach;

/// One request's verb: what a person must be allowed to do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Put,
    Parts,
    Get,
    Head,
    List,
    Versions,
    Delete,
    Hold,
    Settings,
}

impl Verb {
    fn permission(self) -> &'static str {
        match self {
            Verb::Put => "s3:PutObject",
            Verb::Parts => "s3:PutObject and s3:AbortMultipartUpload",
            Verb::Get => "s3:GetObject",
            Verb::Head => "s3:GetObject and, to be told that something is missing, s3:ListBucket",
            Verb::List => "s3:ListBucket",
            Verb::Versions => "s3:ListBucketVersions",
            Verb::Hold => "s3:PutObjectRetention, and a period is never made shorter",
            Verb::Settings => "s3:GetBucketObjectLockConfiguration",
            Verb::Delete => "s3:DeleteObject and s3:DeleteObjectVersion, and that no object lock holds it",
        }
    }
}

/// Why one try failed.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// It may pass by itself: worth another try.
    Passing(String),
    /// What came there was not what its checksum says: worth another try.
    Bent(String),
    /// No such object (or no such upload).
    Missing,
    /// A condition was not met: the object is there already.
    There,
    /// The store cannot do this at all.
    NotOffered(String),
    /// The store is full.
    Full(String),
    /// The bucket's object lock holds it until then.
    Held(OffsetDateTime),
    /// It will be the same next time: a person must do something.
    Final(io::ErrorKind, String),
}

impl Fault {
    pub(super) fn passes(&self) -> bool {
        matches!(self, Fault::Passing(_) | Fault::Bent(_))
    }

    pub(super) fn passing(what: impl Into<String>) -> Fault {
        Fault::Passing(what.into())
    }

    pub(super) fn text(&self) -> String {
        match self {
            Fault::Passing(text)
            | Fault::Bent(text)
            | Fault::NotOffered(text)
            | Fault::Full(text)
            | Fault::Final(_, text) => text.clone(),
            Fault::Missing => "it is not there".into(),
            Fault::There => "it is there already".into(),
            Fault::Held(until) => format!("the bucket holds it until {until}"),
        }
    }

    /// For the vault: `what` was tried at `place`.
    pub(super) fn into_error(self, what: String, place: &str) -> BackendError {
        let kind = match &self {
            Fault::Missing => return BackendError::NotFound { what },
            Fault::Held(until) => return BackendError::Held { what, until: *until },
            Fault::Full(_) => return BackendError::NoSpace { place: place.to_owned() },
            Fault::Passing(_) | Fault::Bent(_) => io::ErrorKind::TimedOut,
            Fault::There => io::ErrorKind::AlreadyExists,
            Fault::NotOffered(_) => io::ErrorKind::Unsupported,
            Fault::Final(kind, _) => *kind,
        };
        BackendError::Failed { what, source: Arc::new(io::Error::new(kind, self.text())) }
    }

    /// Sorts what the SDK gives.
    pub(super) fn of<E>(verb: Verb, error: &SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                let code = answer.err().code().unwrap_or_default();
                let said = answer.err().message().unwrap_or_default();
                answered(verb, status, code, said)
            }
            SdkError::ResponseError(answer) => match answer.raw().status().as_u16() {
                200..=299 => Fault::passing(format!("an answer that makes no sense: {}", chain(error))),
                status => answered(verb, status, "", ""),
            },
            SdkError::DispatchFailure(failure) if !failure.as_connector_error().is_some_and(is_refused_by_us) => {
                Fault::Passing(chain(error))
            }
            SdkError::TimeoutError(_) => Fault::Passing(chain(error)),
            _ => Fault::Final(io::ErrorKind::Other, chain(error)),
        }
    }
}

/// A certificate that we do not trust, an address that is out of reach, or a request that cannot be made, will be no better next time.
fn is_refused_by_us(failure: &ConnectorError) -> bool {
    let mut cause = std::error::Error::source(failure);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() || error.is::<OutOfReach>() {
            return true;
        }
        // An `io::Error` with another error inside does not give that as its source, but that one's source.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inside.map(|inside| inside as &(dyn std::error::Error + 'static)).or_else(|| error.source());
    }
    failure.is_user()
}

/// The causes in one line, without the SDK's own words around them.
fn chain<E: std::error::Error>(error: &E) -> String {
    let mut said: Vec<String> = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if said.last().is_none_or(|last| !last.contains(&text)) {
            said.push(text);
        }
        cause = error.source();
    }
    if said.is_empty() { DisplayErrorContext(error).to_string() } else { said.join(": ") }
}

fn answered(verb: Verb, status: u16, code: &str, said: &str) -> Fault {
    let detail = match (code.is_empty(), said.is_empty()) {
        (true, true) => format!("the store answered {status}"),
        (false, true) => format!("the store answered {status} {code}"),
        _ => format!("the store answered {status} {code}: {said}"),
    };
    let denied = |mend: &str| Fault::Final(io::ErrorKind::PermissionDenied, format!("{mend} ({detail})"));
    let wrong = |mend: &str| Fault::Final(io::ErrorKind::InvalidInput, format!("{mend} ({detail})"));
    match code {
        "NoSuchBucket" => return wrong("there is no such bucket: make it, or check its name"),
        "InvalidAccessKeyId" => return denied("the store does not know this access key"),
        "SignatureDoesNotMatch" => return denied("the secret key is not this access key's"),
        "ExpiredToken" | "InvalidToken" => return denied("the session token has expired: give a new one"),
        "RequestTimeTooSkewed" => {
            return denied("this machine's clock and the store's are too far apart: set it right");
        }
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
            return wrong("the bucket is in another region or behind another endpoint: name that one");
        }
        "QuotaExceeded"
        | "QuotaExceededException"
        | "XMinioStorageFull"
        | "InsufficientStorage"
        | "StorageFull"
        | "cap_exceeded" => return Fault::Full(detail),
        "BadDigest" | "InvalidDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => {
            return Fault::Bent(detail);
        }
        "MalformedXML"
        | "IncompleteBody"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict"
        | "SlowDown" => return Fault::Passing(detail),
        "ObjectLockConfigurationNotFoundError" | "NoSuchObjectLockConfiguration" => return Fault::Missing,
        "NotImplemented" => return Fault::NotOffered(detail),
        "InvalidRange" => return Fault::Final(io::ErrorKind::UnexpectedEof, format!("it is shorter ({detail})")),
        _ => {}
    }
    match status {
        404 => Fault::Missing,
        412 => Fault::There,
        507 => Fault::Full(detail),
        501 => Fault::NotOffered(detail),
        401 | 403 => denied(&format!("the access key lacks a permission: {}", verb.permission())),
        416 => Fault::Final(io::ErrorKind::UnexpectedEof, format!("it is shorter ({detail})")),
        408 | 409 | 425 | 429 | 500..=599 => Fault::Passing(detail),
        301 | 307 | 308 => wrong("the bucket is behind another endpoint: name that one"),
        400 => wrong("the store refuses the request; if it is the checksum, choose another mode for this vault"),
        _ => Fault::Final(io::ErrorKind::Other, detail),
    }
}
