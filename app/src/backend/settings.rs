//! What the pages of the settings show.

use holdfast_model::{
    audit::{AuditList, Verified},
    key::KeyView,
    member::Members,
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

/// Who may do what.
#[derive(Debug, Clone, PartialEq)]
pub struct MembersPage {
    /// When it was read.
    pub now: OffsetDateTime,
    /// People, programs, and where their roles come from.
    pub members: Members,
}

/// Somebody's own open sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionsPage {
    /// When it was read.
    pub now: OffsetDateTime,
    /// How they are called.
    pub name: String,
    /// The latest used first.
    pub sessions: Vec<SessionLine>,
    /// Whether a provider has opened one of them: it may open the next one without asking for a password.
    pub provided: bool,
}

/// One session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionLine {
    /// Opens nothing; by it the session is ended.
    pub id: String,
    /// Whether it is the reader's.
    pub here: bool,
    /// By what somebody signed in: a provider's name, a one-time link.
    pub by: String,
    /// The browser in a few words.
    pub browser: String,
    /// Where it came from.
    pub address: Option<String>,
    /// Since when.
    pub signed_in_at: OffsetDateTime,
    /// The last use that was written down.
    pub seen_at: OffsetDateTime,
    /// When it ends in any case.
    pub ends_at: OffsetDateTime,
}

/// Somebody is in by the break-glass password. The server puts all of them into the context of each page.
#[derive(Debug, Clone, PartialEq)]
pub struct GlassOpen {
    /// How they are called.
    pub name: String,
    /// Since when.
    pub since: OffsetDateTime,
    /// When it ends in any case.
    pub until: OffsetDateTime,
}
