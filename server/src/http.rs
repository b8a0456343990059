//! The HTTP side: one table of routes with their rule, two worlds that never share a credential.
//!
//! | world | where | credential |
//! |---|---|---|
//! | programs, and people at a terminal | `/v1/…`, `/api/…` | a bearer token; a cookie counts for nothing |
//! | people | pages, `/ui/…`, `/sign-in` | a session cookie; a bearer token counts for nothing |
//! | anybody | `/healthz`, `/readyz`, the site's files | none |

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    http::StatusCode,
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use holdfast_app::backend::ApiReference;
use leptos::config::LeptosOptions;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, csrf::CsrfLayer};
use url::Url;

use crate::{
    actions::Actions,
    auth::{self, Identity},
};

mod audit;
mod browse;
mod card;
mod compare;
mod dashboard;
mod evidence;
mod export;
pub mod extract;
mod gate;
mod guard;
mod headers;
mod health;
mod host;
mod import;
mod keys;
mod log;
mod me;
mod members;
mod openapi;
mod pace;
mod peer;
mod pending;
pub mod problem;
pub mod routes;
mod sessions;
mod sign_in;
mod stream;
mod tables;
mod v1;

pub(crate) use dashboard::options as leptos_options;
pub use problem::ApiError;
pub use routes::{Route, Rule, Table};

/// Largest request body, in bytes.
const BODY: usize = 1_000_000;
/// Longest wait for the head of an answer. Streams begin at once and may last.
const PATIENCE: Duration = Duration::from_secs(90);

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct Web(Arc<Parts>);

struct Parts {
    actions: Actions,
    identity: Identity,
    base: Url,
    leptos: LeptosOptions,
    cancel: CancellationToken,
    pace: pace::Pace,
    /// The REST API's description.
    api: OnceLock<Value>,
    /// The same for its page.
    reference: OnceLock<Arc<ApiReference>>,
}

impl Web {
    /// `base` is the address by which people reach the server; open streams end with `cancel`.
    #[must_use]
    pub fn new(
        actions: Actions,
        identity: Identity,
        base: Url,
        leptos: LeptosOptions,
        cancel: CancellationToken,
    ) -> Self {
        let pace = pace::Pace::new(actions.settings().requests_per_second);
        Self(Arc::new(Parts {
            actions,
            identity,
            base,
            leptos,
            cancel,
            pace,
            api: OnceLock::new(),
            reference: OnceLock::new(),
        }))
    }

    /// The actions as the server itself may ask for them. What somebody else asks for goes by the [`Actions`] that a
    /// handler takes as an argument: they are bound to its caller.
    #[must_use]
    fn unbound(&self) -> &Actions {
        &self.0.actions
    }

    /// Who signs people in, and whose tokens are taken.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// The address by which people reach the server.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.0.base
    }
}

/// The whole service, from its table.
///
/// # Errors
/// When the public address cannot be an origin.
pub fn router(web: Web, table: Table) -> Result<Router, tower_http::csrf::ConfigError> {
    let settings = web.unbound().settings().clone();
    let api = openapi::describe(&table.routes());
    let _ = web.0.reference.set(Arc::new(openapi::reference(&api, web.base())));
    let _ = web.0.api.set(api);
    let (programs, people) = table.into_routers(&web);
    let secure = settings.public_url.as_ref().is_some_and(|url| url.scheme() == "https");
    let mut csrf = CsrfLayer::new();
    if let Some(url) = &settings.public_url {
        csrf = csrf.add_trusted_origin(url.origin().ascii_serialization())?;
    }
    let people = people
        .fallback(dashboard::not_found)
        .with_state(web.clone())
        .layer(auth::layer(web.unbound().store().clone(), web.identity().key().clone(), settings.public_url.as_ref()))
        .layer(csrf);
    Ok(programs
        .with_state(web)
        .merge(people)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(from_fn(patience))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(host::Hosts::new(settings.public_url.as_ref()), host::check))
        .layer(from_fn(problem::everywhere))
        .layer(from_fn_with_state(secure, headers::security))
        .layer(from_fn_with_state(settings.trusted_proxies.into(), peer::note))
        .layer(from_fn(log::requests)))
}

/// Ends what takes too long. An archive is looked through before its first byte goes out, an import is taken whole
/// before it is answered, and a gate has a patience of its own: they take as long as they take, and end with their
/// connection.
async fn patience(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let of_a_checkpoint = path.starts_with("/v1/checkpoints/") || path.starts_with("/ui/checkpoints/");
    if matches!(path, "/v1/imports" | "/ui/imports" | gate::PATH)
        || (of_a_checkpoint && (path.ends_with("/export") || path.ends_with("/folder")))
    {
        return next.run(request).await;
    }
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// What a panic said may hold data of the request, so neither log nor answer repeats it.
#[allow(clippy::needless_pass_by_value)] // the layer's calling convention
fn panicked(_said: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
