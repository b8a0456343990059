//! From which address somebody asks. What a proxy says of it (`X-Forwarded-For`) counts only where the connection comes
//! from a proxy that the settings name, and only as far back as one named proxy speaks of the one before it.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};
use ipnet::IpNet;

use crate::auth::Browser;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Notes it for all that follows.
pub(super) async fn note(State(proxies): State<std::sync::Arc<[IpNet]>>, mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(address)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let peer = Peer(origin(address.ip(), request.headers(), &proxies));
        request.extensions_mut().insert(peer);
    }
    next.run(request).await
}

/// The browser that somebody signs in with.
impl<S: Send + Sync> FromRequestParts<S> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let address = parts.extensions.get().map(|Peer(address)| address.to_string());
        Ok(Self::new(agent, address))
    }
}

fn origin(connected: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.iter().any(|network| network.contains(address));
    let mut at = connected.to_canonical();
    let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<&str> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    for before in named.iter().rev() {
        if !is_proxy(&at) {
            break;
        }
        match before.parse::<IpAddr>() {
            Ok(address) => at = address.to_canonical(),
            Err(_) => break,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_a_named_proxy_is_believed() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_FOR, "1.1.1.1, 192.0.2.7, 10.0.0.9".parse().unwrap());
        assert_eq!(origin(ip("203.0.113.1"), &headers, &proxies), ip("203.0.113.1"), "no proxy of ours");
        assert_eq!(
            origin(ip("10.0.0.1"), &headers, &proxies),
            ip("192.0.2.7"),
            "what lies before it is anybody's word"
        );
        assert_eq!(origin(ip("::ffff:10.0.0.1"), &headers, &proxies), ip("192.0.2.7"));
        headers.insert(FORWARDED_FOR, "nonsense".parse().unwrap());
        assert_eq!(origin(ip("10.0.0.1"), &headers, &proxies), ip("10.0.0.1"));
    }
}
