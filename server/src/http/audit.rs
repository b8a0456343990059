//! The audit log, for programs of admins.

use axum::Json;
use holdfast_model::audit::{AuditList, Verified};

use super::{ApiError, extract::Query};
use crate::actions::{Actions, ListAudit};

/// `GET /v1/audit`
pub(super) async fn list(actions: Actions, Query(query): Query<ListAudit>) -> Result<Json<AuditList>, ApiError> {
    Ok(Json(actions.audit_lines(query).await?))
}

/// `GET /v1/audit/verify`
pub(super) async fn verify(actions: Actions) -> Result<Json<Verified>, ApiError> {
    Ok(Json(actions.verify_audit().await?))
}
