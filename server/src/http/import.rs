//! `POST /v1/imports`: an archive comes in as the body, as fast as the vault takes it.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::StatusCode,
};
use holdfast_model::view::RunView;
use holdfast_vault::Cancel;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;

use super::{ApiError, Web, extract::Query};
use crate::{auth::Caller, body::Pieces};

/// What of a body is still taken when nobody wants it any more: a client that is cut off in the middle of its sending
/// seldom gets to read why.
const COURTESY: (u64, Duration) = (1 << 30, Duration::from_secs(30));

/// `?environment=`: the one that the archive's metadata names when it is not given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    #[serde(alias = "app", alias = "database")]
    environment: Option<String>,
}

pub(super) async fn import(
    State(web): State<Web>,
    caller: Caller,
    Query(into): Query<Where>,
    body: Body,
) -> Result<(StatusCode, axum::Json<RunView>), ApiError> {
    let (sender, receiver) = mpsc::channel(8);
    let (stop, cancel) = (web.0.cancel.clone(), Cancel::new());
    let input = Pieces::new(receiver, cancel.clone());
    let taking = web.actions().import(&caller, into.environment.as_deref(), input, cancel, stop);
    let (run, ()) = tokio::join!(taking, pump(body, sender));
    Ok((StatusCode::ACCEPTED, axum::Json(run?)))
}

/// So long may a client say nothing before it is taken for gone.
const SILENT: Duration = Duration::from_secs(300);

/// Hands the body on until it ends, or nobody reads it any more.
async fn pump(body: Body, sender: mpsc::Sender<io::Result<Bytes>>) {
    let mut pieces = body.into_data_stream();
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
