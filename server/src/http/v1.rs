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
        EnvironmentView, LogLine, ProjectView, RecoveryKit, RunView, StartedCopy, VaultView,
    },
};
use serde::Deserialize;
use tokio_stream::wrappers::ReceiverStream;

use super::{
    ApiError, Web,
    extract::{Json, Path, Query},
};
use crate::{
    actions::{Apply, ListCheckpoints, ListRuns},
    auth::{Caller, SignInLink},
    jobs::Content,
};

type Answer<T> = Result<axum::Json<T>, ApiError>;
type Accepted = Result<(StatusCode, axum::Json<RunView>), ApiError>;

/// `?name=`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ByName {
    name: Option<String>,
}

/// `?location=`: which of a project's vaults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    location: Option<String>,
}

/// `?component=&limit=`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    component: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn projects(State(web): State<Web>) -> Answer<Vec<ProjectView>> {
    Ok(axum::Json(web.actions().projects().await?))
}

pub(super) async fn environments(State(web): State<Web>, Query(query): Query<ByName>) -> Answer<Vec<EnvironmentView>> {
    Ok(axum::Json(web.actions().list_environments(query.name.as_deref()).await?))
}

pub(super) async fn apply(State(web): State<Web>, caller: Caller, Json(apply): Json<Apply>) -> Answer<EnvironmentView> {
    Ok(axum::Json(web.actions().apply(&caller, apply).await?))
}

pub(super) async fn environment(State(web): State<Web>, Path(env): Path<String>) -> Answer<EnvironmentView> {
    Ok(axum::Json(web.actions().environment(&env).await?))
}

pub(super) async fn confirmation(State(web): State<Web>, Path(env): Path<String>) -> Answer<Confirmation> {
    Ok(axum::Json(web.actions().confirmation(&env).await?))
}

pub(super) async fn confirm(
    State(web): State<Web>,
    caller: Caller,
    Path(env): Path<String>,
) -> Answer<EnvironmentView> {
    Ok(axum::Json(web.actions().confirm(&caller, &env).await?))
}

pub(super) async fn logs(
    State(web): State<Web>,
    Path(env): Path<String>,
    Query(query): Query<LogQuery>,
) -> Answer<Vec<LogLine>> {
    Ok(axum::Json(web.actions().logs(&env, query.component.as_deref(), query.limit).await?))
}

pub(super) async fn checkpoints(
    State(web): State<Web>,
    Query(query): Query<ListCheckpoints>,
) -> Answer<CheckpointList> {
    Ok(axum::Json(web.actions().list_checkpoints(query).await?))
}

pub(super) async fn create(State(web): State<Web>, caller: Caller, Json(request): Json<CreateCheckpoint>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().create(&caller, request).await?)))
}

pub(super) async fn checkpoint(State(web): State<Web>, Path(id): Path<String>) -> Answer<CheckpointView> {
    Ok(axum::Json(web.actions().checkpoint(&id).await?))
}

pub(super) async fn delete(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    web.actions().delete(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn verify(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().verify(&caller, &id).await?)))
}

pub(super) async fn drill(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().drill(&caller, &id).await?)))
}

pub(super) async fn restore(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<RestoreCheckpoint>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().restore(&caller, &id, request).await?)))
}

pub(super) async fn restore_plan(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Json(request): Json<RestoreCheckpoint>,
) -> Answer<RestorePlan> {
    Ok(axum::Json(web.actions().restore_plan(&caller, &id, request).await?))
}

pub(super) async fn manifest(State(web): State<Web>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let text = web.actions().manifest(&id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

pub(super) async fn content(
    State(web): State<Web>,
    caller: Caller,
    Path((id, path)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let content = web.actions().content(&caller, &id, &path).await?;
    let length = HeaderValue::from(content.size);
    let mut response = body(content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

pub(super) async fn runs(State(web): State<Web>, Query(query): Query<ListRuns>) -> Answer<Vec<RunView>> {
    Ok(axum::Json(web.actions().list_runs(query).await?))
}

pub(super) async fn run(State(web): State<Web>, Path(id): Path<String>) -> Answer<RunView> {
    Ok(axum::Json(web.actions().run(&id).await?))
}

pub(super) async fn cancel(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().cancel(&caller, &id).await?)))
}

pub(super) async fn vaults(State(web): State<Web>) -> Answer<Vec<VaultView>> {
    Ok(axum::Json(web.actions().list_vaults().await?))
}

pub(super) async fn prune(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Json(request): Json<PruneVault>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().prune_vault(&caller, &project, request).await?)))
}

pub(super) async fn check(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Json(request): Json<CheckVault>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().check_vault(&caller, &project, request).await?)))
}

pub(super) async fn repair(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Json(request): Json<RepairVault>,
) -> Accepted {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().repair_vault(&caller, &project, request).await?)))
}

pub(super) async fn copy(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Json(request): Json<CopyVault>,
) -> Result<(StatusCode, axum::Json<StartedCopy>), ApiError> {
    Ok((StatusCode::ACCEPTED, axum::Json(web.actions().copy_vault(&caller, &project, request).await?)))
}

pub(super) async fn add_vault(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Json(request): Json<AddVault>,
) -> Answer<AddedVault> {
    Ok(axum::Json(web.actions().add_vault(&caller, &project, request).await?))
}

pub(super) async fn adopt(State(web): State<Web>, caller: Caller, Json(request): Json<AdoptVault>) -> Answer<Adopted> {
    Ok(axum::Json(web.actions().adopt(&caller, request).await?))
}

pub(super) async fn recovery_kit(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Query(which): Query<Which>,
) -> Answer<RecoveryKit> {
    Ok(axum::Json(web.actions().recovery_kit(&caller, &project, which.location.as_deref()).await?))
}

pub(super) async fn confirm_recovery_kit(
    State(web): State<Web>,
    caller: Caller,
    Path(project): Path<String>,
    Query(which): Query<Which>,
) -> Result<StatusCode, ApiError> {
    web.actions().confirm_recovery_kit(&caller, &project, which.location.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn copy_catalogue(
    State(web): State<Web>,
    caller: Caller,
    Json(request): Json<CopyCatalogue>,
) -> Answer<CatalogueCopied> {
    Ok(axum::Json(web.actions().copy_catalogue(&caller, request).await?))
}

pub(super) async fn catalogue_kit(State(web): State<Web>, caller: Caller) -> Answer<CatalogueKit> {
    Ok(axum::Json(web.actions().catalogue_kit(&caller).await?))
}

pub(super) async fn sign_in_link(State(web): State<Web>, caller: Caller) -> Answer<SignInLink> {
    Ok(axum::Json(web.actions().sign_in_link(&caller, web.base()).await?))
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
