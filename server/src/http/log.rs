//! One line per request: method, path, status, time, id. Never a query string, a header or a body.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

/// Carries the id of a request in its answer, so that a person can find it in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id of ours (a caller's own is not taken over) and logs it when it is answered.
pub async fn requests(mut request: Request, next: Next) -> Response {
    let id = new_id();
    request.headers_mut().remove(&REQUEST_ID);
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = tracing::info_span!("request", id);
    let begun = Instant::now();
    async move {
        let mut response = next.run(request).await;
        let (status, ms) = (response.status().as_u16(), u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        // Whoever is to ask again later was answered as meant.
        if status >= 500 && !response.headers().contains_key(header::RETRY_AFTER) {
            tracing::error!(%method, path, status, ms, "answered");
        } else if path.starts_with("/pkg/") || route == "/healthz" || route == "/readyz" {
            tracing::debug!(%method, path, status, ms, "answered");
        } else {
            tracing::info!(%method, path, status, ms, "answered");
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span)
    .await
}

fn new_id() -> String {
    let mut bytes = [0_u8; 8];
    // Without a random source the id is merely less useful.
    let _ = getrandom::fill(&mut bytes);
    hex::encode(bytes)
}
