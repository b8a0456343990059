//! What every server function needs of its request: the backend, and the right status for an error.

use std::sync::Arc;

use axum::http::{
    Method, StatusCode,
    header::{ACCEPT, REFERER},
    request::Parts,
};
use leptos::prelude::use_context;
use leptos_axum::ResponseOptions;

use crate::{backend::Backend, error::AppError};

/// The server as the signed-in caller sees it.
pub(super) fn backend() -> Result<Arc<dyn Backend>, AppError> {
    use_context::<Arc<dyn Backend>>().ok_or(AppError::SignedOut)
}

/// Whether a browser sent a form by itself, without the wasm: it wants to land on a page.
fn is_plain_form(parts: &Parts) -> bool {
    let wants_page = parts.headers.get(ACCEPT).and_then(|v| v.to_str().ok()).is_some_and(|v| v.contains("text/html"));
    parts.method == Method::POST && wants_page
}

/// Gives the answer its HTTP status. A page for somebody who is signed out leads to the sign-in page; a plain form's
/// error goes back to its page in the address, so its redirect is left alone.
pub(super) fn answer<T>(result: Result<T, AppError>) -> Result<T, AppError> {
    if let Err(error) = &result
        && let (Some(parts), Some(response)) = (use_context::<Parts>(), use_context::<ResponseOptions>())
    {
        let plain = is_plain_form(&parts);
        if *error == AppError::SignedOut && (plain || !parts.uri.path().starts_with("/ui/")) {
            leptos_axum::redirect("/sign-in");
        } else if *error == AppError::SignInAgain && plain {
            leptos_axum::redirect(&again(&parts));
        } else if !plain && let Ok(status) = StatusCode::from_u16(error.status()) {
            response.set_status(status);
        }
    }
    result
}

/// Signing in once more, and back to the page that the form stood on.
fn again(parts: &Parts) -> String {
    let from = parts.headers.get(REFERER).and_then(|from| from.to_str().ok());
    // Scheme and host are our own, or there would have been no answer but a refusal.
    let page = from.and_then(|from| from.splitn(4, '/').nth(3)).unwrap_or_default();
    let page: String = page
        .bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    format!("/sign-in/again?next=%2F{page}")
}

/// Where a plain form lands; with wasm the page decides for itself.
pub(super) fn land_plain_form(path: &str) {
    if use_context::<Parts>().is_some_and(|parts| is_plain_form(&parts)) {
        leptos_axum::redirect(path);
    }
}
