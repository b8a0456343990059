//! A page outside of the dashboard's frame that says one thing: signing in, or why something was refused.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use leptos::prelude::*;

use super::{ApiError, headers::content_policy};
use crate::site;

/// A whole document with the dashboard's own style sheet, and no script.
pub(super) fn document(status: StatusCode, title: &'static str, body: AnyView) -> Response {
    let assets = site::assets();
    let css = (!assets.css.is_empty()).then(|| view! { <link rel="stylesheet" href=assets.css.clone() /> });
    let icon =
        (!assets.icon.is_empty()).then(|| view! { <link rel="icon" type="image/svg+xml" href=assets.icon.clone() /> });
    let html = view! {
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content="width=device-width, initial-scale=1" />
                <meta name="color-scheme" content="light dark" />
                <meta name="robots" content="noindex" />
                <title>{format!("{title} · Holdfast")}</title>
                {css}
                {icon}
            </head>
            <body class="sign-in">
                <main class="sign-in-card" id="main">
                    <p class="brand">"Holdfast"</p>
                    <h1>{title}</h1>
                    {body}
                </main>
            </body>
        </html>
    }
    .to_html();
    let mut response = (status, Html(format!("<!DOCTYPE html>{html}"))).into_response();
    if let Ok(policy) = HeaderValue::from_str(&content_policy(None, &[])) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Why something was not done, as a sentence, and the way back.
pub(super) fn refusal(error: ApiError, title: &'static str, back: String) -> Response {
    let status = StatusCode::from_u16(error.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let why = error.0.detail.unwrap_or(error.0.title);
    // Some say first what the page's title says already.
    let why = why.strip_prefix("nothing was imported: ").unwrap_or(&why);
    let mut letters = why.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if why.ends_with(['.', '!', '?']) { "" } else { "." };
    let said = format!("{first}{}{end}", letters.as_str());
    let body = view! {
        <p>{said}</p>
        <p><a class="button" href=back>"Back"</a></p>
    };
    document(status, title, body.into_any())
}
