//! Reading a request: like axum's own extractors, but what cannot be read is a problem that names its place.

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::IntoResponse,
};
use holdfast_model::problem::Fault;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// Parts of the path.
#[derive(Debug, Clone, FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub struct Path<T>(pub T);

/// The query string; unknown keys are refused where the type says so.
#[derive(Debug, Clone, FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub struct Query<T>(pub T);

/// A JSON body. An empty body counts as `{}`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// The header `Idempotency-Key`, where there is one.
///
/// # Errors
/// When it is no visible ASCII.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(HeaderName::from_static("idempotency-key")) else { return Ok(None) };
    match value.to_str() {
        Ok(key) => Ok(Some(key.trim().to_owned())),
        Err(_) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Idempotency-Key: use visible ASCII characters, or leave the header out",
        )),
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "a request body may have 1 MB")
            }
            _ => Self::new(StatusCode::BAD_REQUEST, "invalid", "the request's body could not be read to its end"),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"));
        let bytes = Bytes::from_request(request, state).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        if !is_json {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "send the header `content-type: application/json`",
            ));
        }
        parse(&bytes).map(Self)
    }
}

/// Reads JSON and names the place of the first mistake, such as `definition.components[2].path`.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let at = error.path().to_string();
        let message = error.into_inner().to_string();
        let mut problem =
            ApiError::new(StatusCode::BAD_REQUEST, "invalid", format!("the body cannot be read at `{at}`: {message}"));
        problem.0.errors = vec![Fault { at, message }];
        problem
    })?;
    reader.end().map_err(|error| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid", format!("the body goes on after its end: {error}"))
    })?;
    Ok(value)
}
