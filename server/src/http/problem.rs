//! Errors of the REST API on the wire: `application/problem+json`, whoever raised them.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use holdfast_model::problem::Problem;
use serde_json::{Map, Value};

use super::{pending::AsksToSignIn, routes::for_programs};
use crate::actions::ActionError;

/// The media type of RFC 9457.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What a handler of the REST API fails with.
#[derive(Debug)]
pub struct ApiError(pub Problem);

impl ApiError {
    /// A problem by its word, status and detail; the title follows from the status.
    #[must_use]
    pub fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self(Problem {
            kind: kind.to_owned(),
            title: title(status).to_owned(),
            status: status.as_u16(),
            detail: Some(detail.into()).filter(|detail: &String| !detail.is_empty()),
            errors: Vec::new(),
            pending: None,
        })
    }
}

impl From<ActionError> for ApiError {
    fn from(error: ActionError) -> Self {
        if let ActionError::Internal(source) = &error {
            tracing::error!(error = %source, "a request failed");
        }
        Self(error.into_problem())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let asks_to_sign_in = self.0.kind == "sign-in-again";
        let mut response = (status, axum::Json(self.0)).into_response();
        if asks_to_sign_in {
            response.extensions_mut().insert(AsksToSignIn);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Turns whatever else answers a program with an error (the router's 404 and 405, a time-out, a panic, a body that is
/// too large) into a problem, so that a program reads one shape only. Under `/api`, where a verdict has `ok` and
/// `reason`, a problem has them too.
pub async fn everywhere(request: Request, next: Next) -> Response {
    let programs = for_programs(request.uri().path());
    let has_verdicts = request.uri().path().starts_with("/api/");
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !programs || !is_error {
        return response;
    }
    let kind = response.headers().get(header::CONTENT_TYPE).cloned();
    let is = |wanted: &str| kind.as_ref().is_some_and(|kind| kind == wanted);
    if has_verdicts && is("application/json") {
        return response;
    }
    let problem = if is(MEDIA_TYPE) { response } else { into_problem(response).await };
    if has_verdicts { shut(problem).await } else { problem }
}

/// The same problem with `ok: false` and a `reason`.
async fn shut(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let mut problem: Map<String, Value> = serde_json::from_slice(&bytes).unwrap_or_default();
    let reason = problem.get("detail").or_else(|| problem.get("title")).cloned();
    problem.insert("reason".into(), reason.unwrap_or_else(|| title(parts.status).into()));
    problem.insert("ok".into(), false.into());
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::Object(problem).to_string()))
}

async fn into_problem(response: Response) -> Response {
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    let said = if status.is_client_error() { text(body).await } else { String::new() };
    let detail = if said.is_empty() { detail(status).to_owned() } else { said };
    let (answer, body) = ApiError::new(status, word(status), detail).into_response().into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.extend(answer.headers);
    Response::from_parts(parts, body)
}

async fn text(body: Body) -> String {
    let bytes = to_bytes(body, 2_000).await.unwrap_or_default();
    String::from_utf8(bytes.to_vec()).unwrap_or_default().trim().to_owned()
}

pub(super) fn word(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED => "method-not-allowed",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::PAYLOAD_TOO_LARGE => "too-large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported-media-type",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        status if status.is_client_error() => "invalid",
        _ => "internal",
    }
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "A credential is needed",
        StatusCode::FORBIDDEN => "This credential may not do it",
        StatusCode::NOT_FOUND => "There is no such thing",
        StatusCode::METHOD_NOT_ALLOWED => "This address does not take that method",
        StatusCode::REQUEST_TIMEOUT => "It took too long",
        StatusCode::PAYLOAD_TOO_LARGE => "The request is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The request is not JSON",
        StatusCode::SERVICE_UNAVAILABLE => "Something that it needs cannot be had now",
        status if status.is_client_error() => "The request cannot be understood",
        _ => "Holdfast failed; its log says why",
    }
}

fn detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is no such address",
        StatusCode::METHOD_NOT_ALLOWED => "the header `allow` names the methods that it takes",
        StatusCode::REQUEST_TIMEOUT => "ask again; if it happens again, look at /readyz",
        StatusCode::PAYLOAD_TOO_LARGE => "a request body may have 1 MB",
        _ => "",
    }
}
