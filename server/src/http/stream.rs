//! The events of a run as a stream: what is stored first, then what happens, without gap or repetition.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event as Frame, KeepAlive, Sse},
    },
};
use holdfast_model::{
    event::{Event, EventBody},
    id::RunId,
};
use serde::Deserialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::{
    ApiError, Web,
    extract::{Path, Query},
};
use crate::actions::{ActionError, Actions};

/// How often the rows are read even though nothing was heard: another server process may have written them.
const LOOK: Duration = Duration::from_secs(1);
/// A comment is sent after so long a silence, so that proxies keep the connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after so long, and its reader comes again with `Last-Event-ID`: through the guard, so that a session that
/// was ended, a key that was revoked or a role that is gone hears nothing more.
const LONGEST: Duration = Duration::from_secs(30);
/// After which time a browser comes again.
const AGAIN: Duration = Duration::from_secs(1);

/// `?after=`, for clients that cannot send `Last-Event-ID`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct After {
    after: Option<u64>,
}

/// `GET …/runs/{id}/events`. 204, which tells a browser to stop asking, only to who has the last event already.
pub(super) async fn events(
    State(web): State<Web>,
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<After>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.trim().parse().ok());
    let after = heard.or(query.after).unwrap_or(0);
    // Heard first, read second: an event that is stored in between is then known twice instead of never.
    let live = actions.subscribe();
    let run = actions.run(&id).await?;
    if run.state.is_final() && after >= run.last_event {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let (sender, receiver) = mpsc::channel(64);
    let follower = Follower { actions, run: run.id, last: after, live, sender };
    let cancel = web.0.cancel.clone();
    tokio::spawn(async move {
        if let Ok(Err(error)) = tokio::time::timeout(LONGEST, follower.follow(&cancel)).await {
            tracing::error!(%error, "a stream of events ended early");
        }
    });
    let mut response =
        Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response();
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// One reader of one run. Invariant: everything up to `last` has been sent, in order, once.
struct Follower {
    actions: Actions,
    run: RunId,
    last: u64,
    live: broadcast::Receiver<(RunId, Event)>,
    sender: mpsc::Sender<Result<Frame, Infallible>>,
}

/// Whether there is more to send.
enum Going {
    On,
    Ended,
}

impl Follower {
    async fn follow(mut self, cancel: &CancellationToken) -> Result<(), ActionError> {
        if self.sender.send(Ok(Frame::default().retry(AGAIN))).await.is_err() {
            return Ok(());
        }
        let mut look = tokio::time::interval(LOOK);
        loop {
            // The state before the rows: a run that is final has no event after those that are read now.
            let ended = self.actions.store().run(&self.run).await?.state.is_final();
            if matches!(self.catch_up().await?, Going::Ended) || ended {
                return Ok(());
            }
            look.reset();
            loop {
                let heard = tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    () = self.sender.closed() => return Ok(()),
                    _ = look.tick() => break,
                    heard = self.live.recv() => heard,
                };
                match heard {
                    Ok((run, event)) if run == self.run && event.sequence == self.last + 1 => {
                        if matches!(self.send(&event).await?, Going::Ended) {
                            return Ok(());
                        }
                    }
                    // A number was left out: the rows say what is in between.
                    Ok((run, event)) if run == self.run && event.sequence > self.last => break,
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => break,
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                }
            }
        }
    }

    async fn catch_up(&mut self) -> Result<Going, ActionError> {
        loop {
            let page = self.actions.store().events(&self.run, self.last, 500).await?;
            if page.is_empty() {
                return Ok(Going::On);
            }
            for event in &page {
                if matches!(self.send(event).await?, Going::Ended) {
                    return Ok(Going::Ended);
                }
            }
        }
    }

    async fn send(&mut self, event: &Event) -> Result<Going, ActionError> {
        let data = serde_json::to_string(event).map_err(ActionError::internal)?;
        let frame = Frame::default().id(event.sequence.to_string()).data(data);
        self.last = event.sequence;
        let last = matches!(event.body, EventBody::State { state, .. } if state.is_final());
        let gone = self.sender.send(Ok(frame)).await.is_err();
        Ok(if last || gone { Going::Ended } else { Going::On })
    }
}
