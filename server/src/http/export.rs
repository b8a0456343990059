//! Archives on their way out, as fast as their reader takes them: a checkpoint, or a folder of one.

use std::{
    future::Future,
    io::{self, Write as _},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use holdfast_engine::ExportError;
use holdfast_vault::{Cancel, CancelOnDrop};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    ApiError, Web, card,
    extract::{Path, Query},
};
use crate::{
    actions::{ActionError, Actions, ExportQuery},
    body::Outgoing,
};

/// Bytes of the archive before any compression of the whole: of what is sent, where there is none.
const PLAIN_LENGTH: HeaderName = HeaderName::from_static("holdfast-plain-length");

/// `GET /ui/checkpoints/{id}/export`: the same for people, who are told in words why there is none.
pub(super) async fn for_people(
    state: State<Web>,
    actions: Actions,
    Path(id): Path<String>,
    query: Query<ExportQuery>,
) -> Response {
    let back = format!("/checkpoints/{id}#export");
    let exported = export(state, actions, Path(id), query).await;
    exported.unwrap_or_else(|error| card::refusal(error, "Nothing was exported", back))
}

/// `GET /v1/checkpoints/{id}/export`
pub(super) async fn export(
    State(web): State<Web>,
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let cancel = Cancel::new();
    let gone = cancel.on_drop();
    let outgoing = unless_stopped(&web, actions.export(&id, &query, cancel)).await?;
    let (name, length, plain) = (outgoing.name(), outgoing.length(), outgoing.plain_length());
    let mut response = sent(&web, gone, move |pieces| outgoing.write(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Ok(name) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    headers.insert(PLAIN_LENGTH, HeaderValue::from(plain));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Ok(response)
}

/// What makes an archive ready, unless the server stops meanwhile.
pub(super) async fn unless_stopped<T>(
    web: &Web,
    ready: impl Future<Output = Result<T, ActionError>>,
) -> Result<T, ActionError> {
    tokio::select! {
        ready = ready => ready,
        () = web.0.cancel.cancelled() => Err(ActionError::Unavailable("the server stops".into())),
    }
}

/// A body that `write` writes on a thread of its own, as fast as its reader takes it. `gone` is dropped with the last of
/// both, or when the server stops. An error in the middle breaks the connection: half an archive is never taken for a
/// whole one.
pub(super) fn sent(
    web: &Web,
    gone: CancelOnDrop,
    write: impl FnOnce(&mut Outgoing) -> Result<(), ExportError> + Send + 'static,
) -> Body {
    let stop = web.0.cancel.clone();
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let watched = sender.clone();
    let (writing, written) = oneshot::channel::<()>();
    tokio::spawn(async move {
        // Whoever has gone, reader or server: nothing is read for nobody.
        tokio::select! {
            () = watched.closed() => {}
            () = stop.cancelled() => {}
            _ = written => {}
        }
        drop(gone);
    });
    tokio::task::spawn_blocking(move || {
        let _writing = writing;
        let mut pieces = Outgoing::new(sender.clone());
        match write(&mut pieces).and_then(|()| pieces.flush().map_err(ExportError::Output)) {
            // The reader has gone, and knows it.
            Ok(()) | Err(ExportError::Output(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "an archive broke off");
                let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
            }
        }
    });
    Body::from_stream(ReceiverStream::new(receiver))
}
