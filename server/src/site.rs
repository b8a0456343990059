//! The dashboard's files (wasm, scripts, styles, pictures), which lie inside the binary, plain and brotli.
//!
//! They are served under `/pkg/<hash of the site>/`, so a browser may keep them for ever: another build has
//! another address. Icons that browsers ask for at the root are served there with an ETag.

use std::{borrow::Cow, sync::LazyLock};

use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use holdfast_app::backend::SiteAssets;
use rust_embed::Embed;

/// In release builds part of the binary; in debug builds read from the folder at each request.
#[derive(Embed)]
#[folder = "../target/site"]
struct Site;

/// The folder of the build's output: `pkg/<hash>/`, made by `make site`; empty before the site was built.
static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let marker = format!("/{LOADER}");
    let loader = Site::iter().find(|name| name.starts_with("pkg/") && name.ends_with(&marker));
    loader.map(|name| name[..name.len() - LOADER.len()].to_owned()).unwrap_or_default()
});

/// The module that starts the wasm; where it lies, the rest lies too.
const LOADER: &str = "holdfast.js";

/// The addresses that a page names; empty texts where the site was not built.
#[must_use]
pub fn assets() -> SiteAssets {
    let address = |name: &str| match Site::get(&format!("{}{name}", *FOLDER)) {
        Some(_) if is_built() => format!("/{}{name}", *FOLDER),
        _ => String::new(),
    };
    SiteAssets {
        css: address("holdfast.css"),
        js: address(LOADER),
        wasm: address("holdfast_bg.wasm"),
        icon: address("holdfast.svg"),
    }
}

/// The folder that leptos is told, without slashes around it.
#[must_use]
pub fn folder() -> &'static str {
    if is_built() { FOLDER.trim_end_matches('/') } else { "pkg" }
}

/// Whether the built site is there at all.
#[must_use]
pub fn is_built() -> bool {
    !FOLDER.is_empty()
}

/// `GET /pkg/{hash}/{*name}`
pub async fn packaged(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    serve(&format!("pkg/{hash}/{name}"), &headers, "public, max-age=31536000, immutable")
}

/// `GET /favicon.svg` and the like: the icon, asked for again after a day.
pub async fn icon(headers: HeaderMap) -> Response {
    serve(&format!("{}holdfast.svg", *FOLDER), &headers, "public, max-age=86400")
}

fn serve(name: &str, headers: &HeaderMap, caching: &'static str) -> Response {
    let brotli = accepts_brotli(headers).then(|| Site::get(&format!("{name}.br"))).flatten();
    let encoded = brotli.is_some();
    let Some(file) = brotli.or_else(|| Site::get(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|given| given.as_bytes() == tag.as_bytes());
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Response::new(Body::from(bytes))
    };
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    answer.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    answer.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        answer.insert(header::ETAG, tag);
    }
    if encoded {
        answer.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
    }
    response
}

/// `br` with any weight but zero.
fn accepts_brotli(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').any(|entry| {
            let (coding, weight) = entry.split_once(';').unwrap_or((entry, ""));
            coding.trim().eq_ignore_ascii_case("br") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "wasm" => "application/wasm",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
