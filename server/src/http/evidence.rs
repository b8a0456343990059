//! The report of a drill as a file, to be kept beside a change request or shown to an auditor.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_model::{
    drill::DrillReport,
    id::CheckpointId,
    view::{CopyRef, EnvironmentRef},
};
use serde::Serialize;
use time::OffsetDateTime;

use super::{ApiError, extract::Path};
use crate::actions::Actions;

/// What was drilled, so that the report says of what it is the proof, and what the drill found.
#[derive(Serialize)]
struct Evidence {
    checkpoint: CheckpointId,
    environment: EnvironmentRef,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    vault: CopyRef,
    drill: DrillReport,
}

/// `GET /ui/checkpoints/{id}/drill.json`: the newest drill's report. 404 for a checkpoint that had none.
pub(super) async fn drill(actions: Actions, Path(id): Path<String>) -> Result<Response, ApiError> {
    let checkpoint = actions.checkpoint(&id).await?;
    let Some(drill) = checkpoint.drill else {
        let detail =
            format!("{} has not been drilled: press Drill, or run holdfast checkpoint drill {0}", checkpoint.id);
        return Err(ApiError::new(StatusCode::NOT_FOUND, "not-found", detail));
    };
    let name = format!("attachment; filename=\"{}-drill.json\"", checkpoint.id);
    let evidence = Evidence {
        checkpoint: checkpoint.id,
        environment: checkpoint.environment,
        created_at: checkpoint.created_at,
        vault: checkpoint.vault,
        drill: drill.report,
    };
    let mut response = axum::Json(evidence).into_response();
    if let Ok(name) = HeaderValue::try_from(name) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
