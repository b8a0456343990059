//! The tables of a checkpoint and their rows, for programs.

use axum::{Json, extract::State};
use holdfast_model::view::{TablePage, TablesView};

use super::{
    ApiError, Web,
    extract::{Path, Query},
};
use crate::{
    actions::{RowsQuery, TablesQuery},
    auth::Caller,
};

/// `GET /v1/checkpoints/{id}/tables`
pub(super) async fn list(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(query): Query<TablesQuery>,
) -> Result<Json<TablesView>, ApiError> {
    Ok(Json(web.actions().tables(&id, &query).await?))
}

/// `GET /v1/checkpoints/{id}/table`
pub(super) async fn rows(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Json<TablePage>, ApiError> {
    Ok(Json(web.actions().table(&caller, &id, &query).await?))
}
