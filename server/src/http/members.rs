//! Who may do what, for programs of admins.

use holdfast_model::member::Members;

use super::ApiError;
use crate::actions::Actions;

/// `GET /v1/members`
pub(super) async fn list(actions: Actions) -> Result<axum::Json<Members>, ApiError> {
    Ok(axum::Json(actions.members().await?))
}
