//! What the pages of the settings show.

use holdfast_model::{
    audit::{AuditList, Verified},
    key::KeyView,
    name::Name,
};
use time::OffsetDateTime;

/// The keys, and what a new one may be for.
#[derive(Debug, Clone, PartialEq)]
pub struct KeysPage {
    /// When it was read.
    pub now: OffsetDateTime,
    /// Newest first.
    pub keys: Vec<KeyView>,
    /// The projects that a new one may be for.
    pub projects: Vec<Name>,
    /// Whether it may be for every project.
    pub everywhere: bool,
}

/// Which lines of the audit log are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditAsked {
    /// Only by them.
    pub who: Option<String>,
    /// Only this action, or those that begin with it and a dot.
    pub action: Option<String>,
    /// Only about this.
    pub subject: Option<String>,
    /// Only newer.
    pub since: Option<String>,
    /// Only older than this line.
    pub before: Option<u64>,
}

/// The audit log.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// What was asked for.
    pub asked: AuditAsked,
    /// The lines.
    pub list: AuditList,
    /// Whether it is whole.
    pub verified: Verified,
}
