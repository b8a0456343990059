//! Handlers of the REST API: read, one action, answer.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_model::{
    plan::RestorePlan,
    request::{
        AddVault, AdoptVault, CheckVault, CopyCatalogue, CopyVault, CreateCheckpoint, PruneVault, RepairVault,
        RestoreCheckpoint,
    },
    view::{
        AddedVault, Adopted, CatalogueCopied, CatalogueKit, CheckpointList, CheckpointView, Confirmation,
        EnvironmentView, LogLine, ProjectView, RecoveryKit, RunList, RunView, StartedCopy, VaultView,
    },
};
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    ApiError, Web,
    extract::{Json, Path, Query},
};
use crate::{
    actions::{Actions, Apply, ListCheckpoints, ListRuns},
    auth::SignInLink,
    jobs::Content,
};

type Answer<T> = Result<axum::Json<T>, ApiError>;
type Accepted = Result<(StatusCode, axum::Json<RunView>), ApiError>;

/// `?name=`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ByName {
    name: Option<String>,
}

/// `?location=`: which of a project's vaults.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    location: Option<String>,
}

/// `?component=&limit=`
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    component: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn projects(actions: Actions) -> Answer<Vec<ProjectView>> {
    Ok(axum::Json(actions.projects().await?))
}

pub(super) async fn environments(actions: Actions, Query(query): Query<ByName>) -> Answer<Vec<EnvironmentView>> {
    Ok(axum::Json(actions.list_environments(query.name.as_deref()).await?))
}

pub(super) async fn apply(actions: Actions, Json(apply): Json<Apply>) -> Answer<EnvironmentView> {
    Ok(axum::Json(actions.apply(apply).await?))
}

pub(super) async fn environment(actions: Actions, Path(env): Path<String>) -> Answer<EnvironmentView> {
    Ok(axum::Json(actions.environment(&env).await?))
}

pub(super) async fn confirmation(actions: Actions, Path(env): Path<String>) -> Answer<Confirmation> {
    Ok(axum::Json(actions.confirmation(&env).await?))
}

pub(super) async fn confirm(actions: Actions, Path(env): Path<String>) -> Answer<EnvironmentView> {
    Ok(axum::Json(actions.confirm(&env).await?))
}

pub(super) async fn logs(
    actions: Actions,
    Path(env): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Vec<LogLine>> {
    Ok(axum::Json(actions.logs(&env, query.component.as_deref(), query.limit).await?))
}

pub(super) async fn checkpoints(actions: Actions, Query(query): Query<ListCheckpoints>) -> Answer<CheckpointList> {
    Ok(axum::Json(actions.list_checkpoints(query).await?))
}

pub(super) async fn create(actions: Actions, Json(request): Json<CreateCheckpoint>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.create(request).await?)))
}

pub(super) async fn checkpoint(actions: Actions, Path(id): Path<String>) -> Answer<CheckpointView> {
    Ok(axum::Json(actions.checkpoint(&id).await?))
}

pub(super) async fn delete(actions: Actions, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    actions.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn verify(actions: Actions, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.verify(&id).await?)))
}

pub(super) async fn drill(actions: Actions, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.drill(&id).await?)))
}

pub(super) async fn restore(
    actions: Actions,
    Path(id): Path<String>,
    Json(request): Json<RestoreCheckpoint>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.restore(&id, request).await?)))
}

pub(super) async fn restore_plan(
    actions: Actions,
    Path(id): Path<String>,
    Json(request): Json<RestoreCheckpoint>,
) -> Answer<RestorePlan> {
    Ok(axum::Json(actions.restore_plan(&id, request).await?))
}

pub(super) async fn manifest(actions: Actions, Path(id): Path<String>) -> Result<Response, ApiError> {
    let text = actions.manifest(&id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

pub(super) async fn content(actions: Actions, Path((id, path)): Path<(String, String)>) -> Result<Response, ApiError> {
    let content = actions.content(&id, &path).await?;
    let length = HeaderValue::from(content.size);
    let mut response = body(content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

pub(super) async fn runs(actions: Actions, Query(query): Query<ListRuns>) -> Answer<RunList> {
    Ok(axum::Json(actions.list_runs(query).await?))
}

pub(super) async fn run(actions: Actions, Path(id): Path<String>) -> Answer<RunView> {
    Ok(axum::Json(actions.run(&id).await?))
}

pub(super) async fn cancel(actions: Actions, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.cancel(&id).await?)))
}

pub(super) async fn vaults(actions: Actions) -> Answer<Vec<VaultView>> {
    Ok(axum::Json(actions.list_vaults().await?))
}

pub(super) async fn prune(actions: Actions, Path(project): Path<String>, Json(request): Json<PruneVault>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.prune_vault(&project, request).await?)))
}

pub(super) async fn check(actions: Actions, Path(project): Path<String>, Json(request): Json<CheckVault>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.check_vault(&project, request).await?)))
}

pub(super) async fn repair(
    actions: Actions,
    Path(project): Path<String>,
    Json(request): Json<RepairVault>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.repair_vault(&project, request).await?)))
}

pub(super) async fn copy(
    actions: Actions,
    Path(project): Path<String>,
    Json(request): Json<CopyVault>,
) -> Result<(StatusCode, axum::Json<StartedCopy>), ApiError> {
    Ok((StatusCode::ACCEPTED, axum::Json(actions.copy_vault(&project, request).await?)))
}

pub(super) async fn add_vault(
    actions: Actions,
    Path(project): Path<String>,
    Json(request): Json<AddVault>,
) -> Answer<AddedVault> {
    Ok(axum::Json(actions.add_vault(&project, request).await?))
}

pub(super) async fn adopt(actions: Actions, Json(request): Json<AdoptVault>) -> Answer<Adopted> {
    Ok(axum::Json(actions.adopt(request).await?))
}

pub(super) async fn recovery_kit(
    actions: Actions,
    Path(project): Path<String>,
    Query(which): Query<Which>,
) -> Answer<RecoveryKit> {
    Ok(axum::Json(actions.recovery_kit(&project, which.location.as_deref()).await?))
}

pub(super) async fn confirm_recovery_kit(
    actions: Actions,
    Path(project): Path<String>,
    Query(which): Query<Which>,
) -> Result<StatusCode, ApiError> {
    actions.confirm_recovery_kit(&project, which.location.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn copy_catalogue(actions: Actions, Json(request): Json<CopyCatalogue>) -> Answer<CatalogueCopied> {
    Ok(axum::Json(actions.copy_catalogue(request).await?))
}

pub(super) async fn catalogue_kit(actions: Actions) -> Answer<CatalogueKit> {
    Ok(axum::Json(actions.catalogue_kit().await?))
}

pub(super) async fn sign_in_link(State(web): State<Web>, actions: Actions) -> Answer<SignInLink> {
    Ok(axum::Json(actions.sign_in_link(web.base()).await?))
}

pub(super) async fn nothing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not-found", "no such address under /v1")
}

/// The vault is read on a blocking thread, a piece at a time; when the reader stops, so does it. An error in the
/// middle breaks the connection, so that a short file is never taken for a whole one.
pub(super) fn body(mut content: Content) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0_u8; 256 << 10];
        loop {
            let read = match content.reader.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => Ok(Bytes::copy_from_slice(&piece[..read])),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if sender.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}
