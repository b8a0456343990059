//! The end of a session from either side: sending a browser to its provider (RP-Initiated Logout 1.0), and a provider
//! that tells us (Back-Channel Logout 1.0).

use serde_json::Value;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{
    Identity, Provider,
    flow::now,
    token::{self, LEEWAY, TokenError, Wanted},
};
use crate::store::StoreError;

/// The event that a logout token must tell of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The oldest logout token that counts, in seconds.
const RECENT: i64 = 300;

/// Why a logout token ends nothing.
#[derive(Debug, thiserror::Error)]
pub enum LogoutError {
    /// It does not hold.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is another kind of token.
    #[error("this is no logout token: {0}")]
    Kind(&'static str),
    /// It came before.
    #[error("this logout token was used before")]
    Used,
    /// It is too old, or from the future.
    #[error("this logout token was not made just now; compare the clocks")]
    NotRecent,
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Provider {
    /// Where a browser ends its session at the provider; none where the provider has no such address.
    pub async fn end_address(&self, id_token: &str) -> Option<Url> {
        let known = self.issuer.known().await.ok()?;
        let mut url = known.metadata.as_ref()?.additional_metadata().end_session_endpoint.as_ref()?.url().clone();
        let mut back = self.base.clone();
        back.set_path("/sign-in");
        url.query_pairs_mut()
            .append_pair("id_token_hint", id_token)
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", back.as_str());
        Some(url)
    }
}

impl Identity {
    /// Ends the sessions that a provider says have ended; gives how many.
    ///
    /// # Errors
    /// [`LogoutError`] says what is wrong with the token.
    pub async fn logged_out(&self, provider: &Provider, token: &str) -> Result<u64, LogoutError> {
        let wanted = Wanted { audience: &provider.settings.client_id, required: &["iat", "jti"] };
        let token = token::verify(&provider.issuer, token, &wanted).await?;
        if !matches!(token.kind.as_deref(), None | Some("jwt" | "logout+jwt")) {
            return Err(LogoutError::Kind("its `typ` is another one"));
        }
        let claims = token.claims;
        if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
            return Err(LogoutError::Kind("it tells of no logout"));
        }
        // With one, an ID token would do.
        if claims.contains_key("nonce") {
            return Err(LogoutError::Kind("it has a nonce"));
        }
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (sub, sid) = (text("sub"), text("sid"));
        if sub.is_none() && sid.is_none() {
            return Err(LogoutError::Kind("it names neither a subject nor a session"));
        }
        let made = token::seconds(&claims, "iat").unwrap_or(0);
        if !(-LEEWAY..=RECENT).contains(&(now() - made)) {
            return Err(LogoutError::NotRecent);
        }
        let until = OffsetDateTime::now_utc() + Duration::seconds(2 * RECENT);
        let issuer = &provider.settings.issuer;
        if !self.0.store.use_token(issuer, text("jti").unwrap_or_default(), until).await? {
            return Err(LogoutError::Used);
        }
        let subject = sub.map(|sub| format!("{issuer}#{sub}"));
        Ok(self.0.store.end_sessions(issuer, subject.as_deref(), sid).await?)
    }
}
