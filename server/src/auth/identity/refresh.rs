//! Asking a provider anew while a session lives: the same person, with the roles of now.

use openidconnect::{Nonce, OAuth2TokenResponse as _, RefreshToken, TokenResponse as _, core::CoreTokenResponse};

use super::{
    Provider,
    flow::{Grant, SignInError, now, refused, text},
    token::Claims,
};

/// Roles are read again at least so often, in seconds.
const EVERY: i64 = 300;
/// And not more often, however short the provider's access tokens live.
const LEAST: i64 = 5;

impl Provider {
    /// The same person anew, with the roles of now.
    ///
    /// # Errors
    /// [`SignInError`]; all but those that say that the provider cannot be reached end the session.
    pub async fn renew(&self, grant: &Grant) -> Result<Grant, SignInError> {
        let Some(refresh) = &grant.refresh_token else {
            return Err(SignInError::Refused("it gave no refresh token".into()));
        };
        let known = self.issuer.known().await?;
        let tokens = self
            .client(&known)?
            .exchange_refresh_token(&RefreshToken::new(refresh.expose().to_owned()))
            .map_err(|error| SignInError::Unable(error.to_string()))?
            .request_async(&self.http)
            .await
            .map_err(refused)?;
        let mut claims = Claims::new();
        if let Some(id_token) = tokens.id_token() {
            // The nonce belongs to the sign-in; a later ID token need not repeat it (OpenID Connect Core 12.2).
            claims = self.verified(known, &tokens, id_token, |_: Option<&Nonce>| Ok(())).await?;
            if text(&claims, "sub") != grant.sub {
                return Err(SignInError::Answer("it speaks of somebody else".into()));
            }
        }
        let (name, access) = self.person(&claims, &grant.sub, &tokens).await?;
        let now = now();
        Ok(Grant {
            name: if claims.is_empty() { grant.name.clone() } else { name },
            access,
            id_token: tokens.id_token().map_or_else(|| grant.id_token.clone(), |token| token.to_string().into()),
            refresh_token: tokens
                .refresh_token()
                .map(|token| token.secret().clone().into())
                .or_else(|| grant.refresh_token.clone()),
            asked: now,
            due: due(now, &tokens),
            ..grant.clone()
        })
    }
}

/// When it is asked again.
pub(super) fn due(now: i64, tokens: &CoreTokenResponse) -> i64 {
    let length = tokens.expires_in().and_then(|length| i64::try_from(length.as_secs()).ok()).unwrap_or(EVERY);
    now + length.clamp(LEAST, EVERY)
}
