//! What changed between two checkpoints, for programs.

use axum::response::{IntoResponse as _, Response};
use holdfast_model::diff::{FileView, TableRows};
use serde::Serialize;

use super::{
    ApiError,
    extract::{Path, Query},
};
use crate::actions::{Actions, DiffQuery, PlaceQuery, TableQuery, ValueQuery};

type Two = Path<(String, String)>;

/// Both values of a variable; none where it is not there.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Values {
    before: Option<String>,
    after: Option<String>,
}

/// `GET /v1/checkpoints/{id}/diff/{other}`
pub(super) async fn diff(
    actions: Actions,
    Path((first, second)): Two,
    Query(query): Query<DiffQuery>,
) -> Result<Response, ApiError> {
    let diff = actions.diff(&first, &second, &query).await?;
    Ok(axum::Json(&*diff).into_response())
}

/// `GET /v1/checkpoints/{id}/diff/{other}/file`
pub(super) async fn file(
    actions: Actions,
    Path((first, second)): Two,
    Query(query): Query<PlaceQuery>,
) -> Result<axum::Json<FileView>, ApiError> {
    Ok(axum::Json(actions.diff_file(&first, &second, &query).await?))
}

/// `GET /v1/checkpoints/{id}/diff/{other}/table`
pub(super) async fn table(
    actions: Actions,
    Path((first, second)): Two,
    Query(query): Query<TableQuery>,
) -> Result<axum::Json<TableRows>, ApiError> {
    Ok(axum::Json(actions.diff_table(&first, &second, &query).await?))
}

/// `GET /v1/checkpoints/{id}/diff/{other}/value`
pub(super) async fn value(
    actions: Actions,
    Path((first, second)): Two,
    Query(query): Query<ValueQuery>,
) -> Result<axum::Json<Values>, ApiError> {
    let (before, after) = actions.diff_value(&first, &second, &query).await?;
    Ok(axum::Json(Values { before, after }))
}
