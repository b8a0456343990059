//! Which `Host` a request may name. A page of another site can point its own name at 127.0.0.1 (DNS rebinding) and
//! would then be "same origin" with us; a name that is not ours is refused before anything else looks at it.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use url::Url;

use super::problem::ApiError;

/// The names by which this server may be called.
#[derive(Debug, Clone)]
pub struct Hosts {
    public: Option<String>,
}

impl Hosts {
    /// Loopback names, and the public address' host where there is one.
    #[must_use]
    pub fn new(public_url: Option<&Url>) -> Self {
        Self { public: public_url.and_then(Url::host_str).map(str::to_ascii_lowercase) }
    }

    fn knows(&self, authority: &str) -> bool {
        let host = without_port(authority).to_ascii_lowercase();
        host == "localhost"
            || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.public.as_ref().is_some_and(|public| *public == host)
    }
}

/// Answers 421 when the name is not ours, or is missing.
pub async fn check(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match named(request.uri(), request.headers()) {
        Some(authority) if hosts.knows(authority) => next.run(request).await,
        _ => ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "wrong-host",
            "this server answers to loopback names and to its public address only; set HOLDFAST_PUBLIC_URL to the \
             address that people use",
        )
        .into_response(),
    }
}

fn named<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let mut given = headers.get_all(header::HOST).iter();
    match (given.next(), given.next()) {
        (Some(host), None) => host.to_str().ok(),
        (None, _) => uri.authority().map(axum::http::uri::Authority::as_str),
        (Some(_), Some(_)) => None,
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_our_own_names_are_known() {
        let hosts = Hosts::new(Some(&"https://Holdfast.example.org".parse().unwrap()));
        for ours in ["localhost", "localhost:3000", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "holdfast.example.org:443"]
        {
            assert!(hosts.knows(ours), "{ours}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "", "[::2]"] {
            assert!(!hosts.knows(foreign), "{foreign}");
        }
    }
}
