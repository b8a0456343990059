//! The files of a checkpoint: folders as lists, files as downloads.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use holdfast_model::view::FolderView;
use holdfast_vault::Cancel;

use super::{
    ApiError, Web, card,
    export::{sent, unless_stopped},
    extract::{Path, Query},
    v1,
};
use crate::actions::{Actions, PlaceQuery};

/// How many sockets a folder's archive leaves out.
const LEFT_OUT: HeaderName = HeaderName::from_static("holdfast-left-out");

/// `GET /v1/checkpoints/{id}/tree`
pub(super) async fn folder(
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<PlaceQuery>,
) -> Result<axum::Json<FolderView>, ApiError> {
    Ok(axum::Json(actions.folder(&id, &query).await?))
}

/// `GET /ui/checkpoints/{id}/file`
pub(super) async fn file(
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<PlaceQuery>,
) -> Result<Response, ApiError> {
    let (name, content) = actions.file(&id, &query).await?;
    let length = HeaderValue::from(content.size);
    let mut response = v1::body(content).into_response();
    let headers = response.headers_mut();
    // Whatever it is, no browser opens it here.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&name));
    headers.insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

/// `GET /ui/checkpoints/{id}/folder`: the same for people, who are told in words why there is none.
pub(super) async fn archive_for_people(
    state: State<Web>,
    actions: Actions,
    Path(id): Path<String>,
    query: Query<PlaceQuery>,
) -> Response {
    let back = format!("/checkpoints/{id}");
    let taken = archive(state, actions, Path(id), query).await;
    taken.unwrap_or_else(|error| card::refusal(error, "This folder cannot be taken", back))
}

/// `GET /v1/checkpoints/{id}/folder`: a folder as `.tar.zst`
pub(super) async fn archive(
    State(web): State<Web>,
    actions: Actions,
    Path(id): Path<String>,
    Query(query): Query<PlaceQuery>,
) -> Result<Response, ApiError> {
    let cancel = Cancel::new();
    let gone = cancel.on_drop();
    let archive = unless_stopped(&web, actions.archive(&id, &query, cancel)).await?;
    let (mut name, left_out) = (OsString::from(archive.name()), archive.left_out().len());
    name.push(".tar.zst");
    let mut response = sent(&web, gone, move |pieces| archive.write(pieces)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zstd"));
    headers.insert(header::CONTENT_DISPOSITION, attachment(&name));
    headers.insert(LEFT_OUT, HeaderValue::from(left_out));
    Ok(response)
}

/// The name that a download is kept by (RFC 6266, with RFC 8187 for what is not ASCII).
pub(super) fn attachment(name: &OsStr) -> HeaderValue {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let bytes = name.as_bytes();
    let simple: String = bytes.iter().map(|byte| if plain(byte) { char::from(*byte) } else { '_' }).collect();
    let exact: String = bytes
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    let text = format!("attachment; filename=\"{simple}\"; filename*=UTF-8''{exact}");
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("attachment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_ends_the_header() {
        let header = attachment(OsStr::new("a \"b\"\r\nx: y;é.pdf"));
        assert_eq!(
            header.as_bytes(),
            b"attachment; filename=\"a__b___x__y___.pdf\"; filename*=UTF-8''a%20%22b%22%0D%0Ax%3A%20y%3B%C3%A9.pdf"
        );
    }
}
