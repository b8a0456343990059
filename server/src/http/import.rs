//! An archive comes in, as fast as the vault takes it: as the body of a request, or in a form of the dashboard.

use std::{fmt::Display, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Multipart, State, multipart::MultipartRejection},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use holdfast_model::view::RunView;
use holdfast_vault::Cancel;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};

use super::{ApiError, Web, card, extract::Query};
use crate::{
    actions::{ActionError, Actions},
    body::Pieces,
};

/// What of a body is still taken when nobody wants it any more: a client that is cut off in the middle of its sending
/// seldom gets to read why.
const COURTESY: (u64, Duration) = (1 << 30, Duration::from_secs(30));

/// `?environment=`: the one that the archive's metadata names when it is not given.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    #[serde(alias = "app", alias = "database")]
    environment: Option<String>,
}

/// `POST /v1/imports`
pub(super) async fn import(
    State(web): State<Web>,
    actions: Actions,
    Query(into): Query<Where>,
    body: Body,
) -> Result<(StatusCode, axum::Json<RunView>), ApiError> {
    let run = take(&web, &actions, &into, body.into_data_stream()).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(run)))
}

/// The field of the form that carries the archive.
const FIELD: &str = "archive";

/// `POST /ui/imports`: ends on the page of the run, or says why there is none.
pub(super) async fn form(
    State(web): State<Web>,
    actions: Actions,
    Query(into): Query<Where>,
    form: Result<Multipart, MultipartRejection>,
) -> Response {
    match uploaded(&web, &actions, &into, form).await {
        Ok(run) => Redirect::to(&format!("/runs/{}", run.id)).into_response(),
        Err(error) => refused(error, into.environment.as_deref()),
    }
}

async fn uploaded(
    web: &Web,
    actions: &Actions,
    into: &Where,
    form: Result<Multipart, MultipartRejection>,
) -> Result<RunView, ActionError> {
    let unreadable = |why: String| ActionError::invalid(FIELD, format!("The form could not be read: {why}"));
    let mut form = form.map_err(|error| unreadable(error.body_text()))?;
    while let Some(field) = form.next_field().await.map_err(|error| unreadable(error.body_text()))? {
        if field.name() == Some(FIELD) && field.file_name().is_some_and(|name| !name.is_empty()) {
            return take(web, actions, into, field).await;
        }
    }
    Err(ActionError::invalid(FIELD, "No file was chosen."))
}

/// A page that says what is the case, with the way back.
fn refused(error: ActionError, environment: Option<&str>) -> Response {
    let back = match environment {
        Some(environment) => format!("/projects/{environment}#import"),
        None => "/projects".to_owned(),
    };
    card::refusal(error.into(), "Nothing was imported", back)
}

/// Takes what comes in, until it is sealed or refused.
async fn take<E: Display>(
    web: &Web,
    actions: &Actions,
    into: &Where,
    pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<RunView, ActionError> {
    let (sender, receiver) = mpsc::channel(8);
    let (stop, cancel) = (web.0.cancel.clone(), Cancel::new());
    let input = Pieces::new(receiver, cancel.clone());
    let taking = actions.import(into.environment.as_deref(), input, cancel, stop);
    let (run, ()) = tokio::join!(taking, pump(pieces, sender));
    run
}

/// So long may a client say nothing before it is taken for gone.
const SILENT: Duration = Duration::from_secs(300);

/// Hands the pieces on until they end, or nobody reads them any more.
async fn pump<E: Display>(
    mut pieces: impl Stream<Item = Result<Bytes, E>> + Unpin,
    sender: mpsc::Sender<io::Result<Bytes>>,
) {
    loop {
        let piece = tokio::select! {
            piece = tokio::time::timeout(SILENT, pieces.next()) => match piece {
                Ok(Some(piece)) => piece.map_err(|error| io::Error::other(format!("the connection broke off: {error}"))),
                Ok(None) => return,
                Err(_) => Err(io::Error::other("the client said nothing for too long")),
            },
            // Nobody reads any more; the client may not know it yet.
            () = sender.closed() => Ok(Bytes::new()),
        };
        let broken = piece.is_err();
        if sender.send(piece).await.is_err() {
            let (mut left, time) = COURTESY;
            let rest = async {
                while let Some(Ok(piece)) = pieces.next().await {
                    left = left.saturating_sub(piece.len() as u64);
                    if left == 0 {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(time, rest).await;
            return;
        }
        if broken {
            return;
        }
    }
}
