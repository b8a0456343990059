//! Whom a provider speaks of: name and access, from its ID token or, where the roles are not in it, from its userinfo.

use holdfast_model::access::Access;
use openidconnect::{OAuth2TokenResponse as _, core::CoreTokenResponse};

use super::{
    Provider,
    claims::shown,
    flow::{SignInError, text},
    issuer::plain,
    token::Claims,
};

impl Provider {
    /// Name and access, from the ID token or, where the roles are not in it, from the userinfo endpoint.
    pub(super) async fn person(
        &self,
        claims: &Claims,
        sub: &str,
        tokens: &CoreTokenResponse,
    ) -> Result<(String, Access), SignInError> {
        let mut name = self.settings.display_name(claims);
        let mut access = self.settings.access(claims);
        if access.is_none()
            && let Some(said) = self.userinfo(tokens).await?
        {
            if text(&said, "sub") != sub {
                return Err(SignInError::Answer("its userinfo speaks of somebody else".into()));
            }
            access = self.settings.access(&said);
            if claims.get("sub").is_none() || name == sub {
                name = self.settings.display_name(&said);
            }
        }
        let found = access.is_some();
        match access.filter(|access| !access.is_empty()) {
            Some(access) => Ok((name, access)),
            None => Err(SignInError::NoRole {
                name: if name.is_empty() { shown(sub) } else { name },
                subject: format!("{}#{sub}", self.settings.issuer),
                claim: self.settings.role_claim.clone(),
                found,
            }),
        }
    }

    async fn userinfo(&self, tokens: &CoreTokenResponse) -> Result<Option<Claims>, SignInError> {
        let known = self.issuer.known().await?;
        let Some(url) = known.metadata.as_ref().and_then(|metadata| metadata.userinfo_endpoint()) else {
            return Ok(None);
        };
        let failed = |error: reqwest::Error| SignInError::NoAnswer(plain(&error));
        let answer = self
            .http
            .get(url.url().clone())
            .bearer_auth(tokens.access_token().secret())
            .send()
            .await
            .map_err(failed)?;
        if answer.status().is_server_error() {
            return Err(SignInError::NoAnswer(format!("its userinfo answers {}", answer.status())));
        }
        Ok(answer.json::<Claims>().await.ok())
    }
}
