//! `POST /api/checkpoint`: the step before a migration. Nothing is sent before the verdict, because the first byte would
//! decide the status.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_model::gate::GateRequest;

use super::{
    ApiError, Web,
    extract::{Json, idempotency_key},
};
use crate::actions::{Actions, Patience};

/// Where it is.
pub(super) const PATH: &str = "/api/checkpoint";
/// When a caller whose patience has ended asks again, in seconds.
const AGAIN: HeaderValue = HeaderValue::from_static("2");

/// 200 when proven; 503 with `retry-after` when the wait is over and the run is not; 422 when it will never be.
pub(super) async fn checkpoint(
    State(web): State<Web>,
    actions: Actions,
    headers: HeaderMap,
    Json(request): Json<GateRequest>,
) -> Result<Response, ApiError> {
    let most = actions.settings().gate_wait;
    let wait = preferred_wait(&headers).map_or(most, |wait| wait.min(most));
    let key = idempotency_key(&headers)?;
    let patience = Patience { wait, stopping: &web.0.cancel };
    let answer = actions.gate(request, key, patience, web.base()).await?;
    let status = match &answer {
        answer if answer.ok => StatusCode::OK,
        answer if answer.state.is_final() => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = (status, axum::Json(answer)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, AGAIN);
    }
    Ok(response)
}

/// Whatever else is asked below `/api`.
pub(super) async fn nothing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not-found", "no such address under /api")
}

/// `wait` of the header `Prefer` (RFC 7240), in seconds; a preference that cannot be read is none.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let given = headers.get_all(HeaderName::from_static("prefer"));
    let preferences = given.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let wait = |preference: &str| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').parse().ok())?
    };
    preferences.filter_map(wait).next().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wait_is_found_among_preferences() {
        let wait = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            preferred_wait(&headers).map(|wait| wait.as_secs())
        };
        assert_eq!(wait(&["wait=50"]), Some(50));
        assert_eq!(wait(&["respond-async, Wait=\"7\"; x=y"]), Some(7));
        assert_eq!(wait(&["return=minimal", "wait = 0"]), Some(0));
        for none in ["", "wait", "wait=-1", "wait=soon", "waiting=3"] {
            assert_eq!(wait(&[none]), None, "{none}");
        }
    }
}
