//! One-time sign-in links: valid for a quarter of an hour, used once, known to the catalogue by their hash only.

use holdfast_model::secret::Secret;
use serde::Serialize;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{AccessError, new_token, token_hash};
use crate::store::{Store, StoreError};

/// How long a link can be used.
const VALID: Duration = Duration::minutes(15);

/// A link and its end.
#[derive(Clone, Serialize, utoipa::ToSchema)]
pub struct SignInLink {
    /// To be opened in a browser; whoever has it can sign in once.
    pub url: String,
    /// When it ends.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

impl std::fmt::Debug for SignInLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignInLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Makes a link under `base`, the address by which people reach the server.
///
/// # Errors
/// When there are no random bytes or the catalogue cannot be written.
pub async fn new_link(store: &Store, base: &Url, created_by: &str) -> Result<SignInLink, AccessError> {
    let token: Secret = new_token("hfl")?;
    let expires_at = OffsetDateTime::now_utc() + VALID;
    store.put_link(&token_hash(token.expose()), created_by, expires_at).await?;
    let mut url = base.clone();
    url.set_path("/sign-in");
    url.query_pairs_mut().append_pair("token", token.expose());
    Ok(SignInLink { url: url.into(), expires_at })
}

/// Whether the link's token may be used; from now on it may not.
///
/// # Errors
/// When the catalogue cannot be written.
pub async fn take_link(store: &Store, token: &str) -> Result<bool, StoreError> {
    store.take_link(&token_hash(token)).await
}
