//! `GET /v1/checkpoints/{id}/export`: a checkpoint goes out as an archive, as fast as its reader takes it.

use std::io::{self, Write as _};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use holdfast_engine::ExportError;
use holdfast_vault::Cancel;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    ApiError, Web,
    extract::{Path, Query},
};
use crate::{actions::ExportQuery, auth::Caller, body::Outgoing};

/// Bytes of the archive before any compression of the whole: of what is sent, where there is none.
const PLAIN_LENGTH: HeaderName = HeaderName::from_static("holdfast-plain-length");

pub(super) async fn export(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let stop = web.0.cancel.clone();
    let cancel = Cancel::new();
    let gone = cancel.on_drop();
    let outgoing = tokio::select! {
        outgoing = web.actions().export(&caller, &id, &query, cancel.clone()) => outgoing?,
        () = stop.cancelled() => return Err(crate::actions::ActionError::Unavailable("the server stops".into()).into()),
    };
    let (name, length, plain) = (outgoing.name(), outgoing.length(), outgoing.plain_length());
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
        let written = outgoing.write(&mut pieces).and_then(|()| pieces.flush().map_err(ExportError::Output));
        match written {
            // The reader has gone, and knows it.
            Ok(()) | Err(ExportError::Output(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "an export broke off");
                // An error in the middle breaks the connection: half an archive is never taken for a whole one.
                let _ = sender.blocking_send(Err(io::Error::other(error.to_string())));
            }
        }
    });
    let mut response = Body::from_stream(ReceiverStream::new(receiver)).into_response();
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
