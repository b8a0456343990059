//! How much one caller may ask: so many requests a second for long, and twenty seconds' worth of them at once. Whoever
//! cannot say who they are is counted by their address. One caller's haste never slows another one down.

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::ApiError;

/// Seconds' worth of requests that may come at once.
const BURST: u32 = 20;
/// When so many callers are known, those that have been quiet are forgotten.
const KNOWN: usize = 10_000;

/// Who a request is counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Counted {
    /// Somebody known, by [`crate::auth::Caller::subject`].
    Caller(String),
    /// An address whose word of who it is was not true.
    Stranger(Option<IpAddr>),
}

/// The count. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pace(Arc<DefaultKeyedRateLimiter<Counted>>);

impl Pace {
    /// So many requests a second for each caller.
    pub(super) fn new(per_second: NonZeroU32) -> Self {
        let burst = per_second.saturating_mul(NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN));
        Self(Arc::new(RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))))
    }

    /// The answer to one request too many, if it is one.
    pub(super) fn refusal(&self, counted: &Counted) -> Option<Response> {
        if self.0.len() > KNOWN {
            self.0.retain_recent();
        }
        let wait = self.0.check_key(counted).err()?.wait_time_from(DefaultClock::default().now());
        Some(slower(wait))
    }
}

fn slower(wait: Duration) -> Response {
    let seconds = wait.as_secs().saturating_add(1);
    let detail = format!("you ask more than this server answers to one caller; ask again in {seconds} s");
    let mut response = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
