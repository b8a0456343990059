//! The audit log: read, and followed from end to end.

use holdfast_model::{
    access::Permission,
    audit::{AuditList, Verified},
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{ActionError, Actions, checkpoints::moment};
use crate::store::AuditFilter;

/// Most lines of one answer.
const MOST: u32 = 1_000;

/// The query of the audit log.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAudit {
    /// Only by them.
    #[serde(default)]
    pub who: Option<String>,
    /// Only this action, or those that begin with it and a dot.
    #[serde(default)]
    pub action: Option<String>,
    /// Only about this.
    #[serde(default)]
    pub subject: Option<String>,
    /// Only newer: an age (`7d`, `12h`) or a time by RFC 3339.
    #[serde(default)]
    pub since: Option<String>,
    /// Only older than this line.
    #[serde(default)]
    pub before: Option<u64>,
    /// At most so many lines; 100 when not given, 1000 at most.
    #[serde(default)]
    pub limit: Option<u32>,
}

impl Actions {
    /// One page of the audit log, newest first. It tells of every project, so it takes an admin of all.
    ///
    /// # Errors
    /// When the query cannot be understood.
    pub async fn audit_lines(&self, query: ListAudit) -> Result<AuditList, ActionError> {
        self.require(None, Permission::Audit)?;
        let given = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let since = given(query.since).map(|text| moment(&text, OffsetDateTime::now_utc())).transpose()?;
        let filter = AuditFilter {
            who: given(query.who),
            action: given(query.action),
            subject: given(query.subject),
            since,
            before: query.before,
            limit: query.limit.unwrap_or(100).clamp(1, MOST),
        };
        Ok(self.store().audit_lines(&filter).await?)
    }

    /// Whether no line of the audit log was changed, taken out or put in between.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn verify_audit(&self) -> Result<Verified, ActionError> {
        self.require(None, Permission::Audit)?;
        Ok(self.store().verify_audit().await?)
    }
}
