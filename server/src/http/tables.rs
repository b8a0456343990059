//! The tables of a checkpoint and their rows, for programs.

use axum::Json;
use holdfast_model::view::{TablePage, TablesView};

use super::{
    ApiError,
    extract::{Path, Query},
};
use crate::actions::{Actions, RowsQuery, TablesQuery};

/// `GET /v1/checkpoints/{id}/tables`
pub(super) async fn list(
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<TablesQuery>,
) -> Result<Json<TablesView>, ApiError> {
    Ok(Json(actions.tables(&id, &query).await?))
}

/// `GET /v1/checkpoints/{id}/table`
pub(super) async fn rows(
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<RowsQuery>,
) -> Result<Json<TablePage>, ApiError> {
    Ok(Json(actions.table(&id, &query).await?))
}
