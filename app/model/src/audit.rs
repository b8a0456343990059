//! The audit log as it is shown.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Who did what to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditLine {
    /// Its place in the log, from 1, without gaps.
    pub sequence: u64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Who.
    pub who: String,
    /// Did what: `checkpoint.delete`, `denied`, …
    pub action: String,
    /// To what: an id, an address.
    pub subject: String,
    /// More, for people.
    pub detail: String,
    /// SHA-256 over this line and the hash of the line before it, hexadecimal.
    pub hash: String,
}

/// `GET /v1/audit`, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditList {
    /// The lines.
    pub lines: Vec<AuditLine>,
    /// `before` of the next page, where there is one.
    pub next: Option<u64>,
}

/// Where the chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Broken {
    /// The first line that does not fit.
    pub sequence: u64,
    /// Why.
    pub why: String,
}

/// `GET /v1/audit/verify`: the chain followed from its first line to its last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Verified {
    /// Lines that fit.
    pub lines: u64,
    /// How many there have ever been.
    pub last: u64,
    /// The hash of the newest: noted elsewhere, it proves later that nothing before it was changed.
    pub hash: String,
    /// Where the chain breaks, if it does.
    pub broken: Option<Broken>,
}
