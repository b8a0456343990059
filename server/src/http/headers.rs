//! Headers that every answer carries, and the policy for pages.

use axum::{
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// What a page may load and where its forms may go: here, and by way of here to these origins. Without a nonce no
/// script runs at all.
#[must_use]
pub fn content_policy(nonce: Option<&str>, forms: &[String]) -> String {
    let forms: String = forms.iter().map(|origin| format!(" {origin}")).collect();
    let script = nonce.map_or_else(|| "'none'".into(), |nonce| format!("'nonce-{nonce}' 'wasm-unsafe-eval'"));
    format!(
        "default-src 'none'; script-src {script}; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         connect-src 'self'; manifest-src 'self'; form-action 'self'{forms}; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Adds what is missing: an answer that sets its own policy or caching keeps it. `secure`: people come by https.
pub async fn security(State(secure): State<bool>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}
