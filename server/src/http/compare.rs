//! What changed between two checkpoints, for programs.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use holdfast_model::diff::{FileView, TableRows};
use serde::Serialize;

use super::{
    ApiError, Web,
    extract::{Path, Query},
};
use crate::{
    actions::{DiffQuery, PlaceQuery, TableQuery, ValueQuery},
    auth::Caller,
};

type Two = Path<(String, String)>;

/// Both values of a variable; none where it is not there.
#[derive(Serialize)]
pub(super) struct Values {
    before: Option<String>,
    after: Option<String>,
}

/// `GET /v1/checkpoints/{id}/diff/{other}`
pub(super) async fn diff(
    State(web): State<Web>,
    Path((first, second)): Two,
    Query(query): Query<DiffQuery>,
) -> Result<Response, ApiError> {
    let diff = web.actions().diff(&first, &second, &query).await?;
    Ok(axum::Json(&*diff).into_response())
}

/// `GET /v1/checkpoints/{id}/diff/{other}/file`
pub(super) async fn file(
    State(web): State<Web>,
    caller: Caller,
    Path((first, second)): Two,
    Query(query): Query<PlaceQuery>,
) -> Result<axum::Json<FileView>, ApiError> {
    Ok(axum::Json(web.actions().diff_file(&caller, &first, &second, &query).await?))
}

/// `GET /v1/checkpoints/{id}/diff/{other}/table`
pub(super) async fn table(
    State(web): State<Web>,
    caller: Caller,
    Path((first, second)): Two,
    Query(query): Query<TableQuery>,
) -> Result<axum::Json<TableRows>, ApiError> {
    Ok(axum::Json(web.actions().diff_table(&caller, &first, &second, &query).await?))
}

/// `GET /v1/checkpoints/{id}/diff/{other}/value`
pub(super) async fn value(
    State(web): State<Web>,
    caller: Caller,
    Path((first, second)): Two,
    Query(query): Query<ValueQuery>,
) -> Result<axum::Json<Values>, ApiError> {
    let (before, after) = web.actions().diff_value(&caller, &first, &second, &query).await?;
    Ok(axum::Json(Values { before, after }))
}
