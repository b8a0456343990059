//! `GET /v1/checkpoints/{id}/export`: a checkpoint goes out as an archive, as fast as its reader takes it.

use std::io::{self, Write};

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
use crate::{actions::ExportQuery, auth::Caller};

/// Bytes of the archive before any compression of the whole: of what is sent, where there is none.
const PLAIN_LENGTH: HeaderName = HeaderName::from_static("holdfast-plain-length");
const PIECE: usize = 256 << 10;

pub(super) async fn export(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<ExportQuery>,
) -> Result<Response, ApiError> {
    let gone = Ends(Cancel::new());
    let stop = web.0.cancel.clone();
    let cancel = gone.0.clone();
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
        let mut pieces = Pieces { sender, piece: Vec::with_capacity(PIECE) };
        let written = outgoing.write(&mut pieces).and_then(|()| pieces.flush().map_err(ExportError::Output));
        match written {
            // The reader has gone, and knows it.
            Ok(()) | Err(ExportError::Output(_)) => {}
            Err(error) => {
                tracing::warn!(%error, "an export broke off");
                // An error in the middle breaks the connection: half an archive is never taken for a whole one.
                let _ = pieces.sender.blocking_send(Err(io::Error::other(error.to_string())));
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

/// Throws a switch when it goes.
struct Ends(Cancel);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Hands bytes to the connection, a piece at a time.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.sender
            .blocking_send(Ok(Bytes::from(piece)))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the reader has gone"))
    }
}
