//! Access tokens: of people who have signed in at a terminal, of a provider's service accounts, and of workflows at
//! GitHub.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::Value;

use super::{
    Identity, Provider, Workflow,
    claims::{claim, shown},
    token::{self, Claims, Token, TokenError, Wanted},
};
use crate::auth::Caller;

/// What an access token must say, beside `iss` and `aud`.
const REQUIRED: [&str; 2] = ["exp", "sub"];

/// Why a bearer token is refused.
#[derive(Debug, thiserror::Error)]
pub enum BearerError {
    /// Nobody whom we trust claims to have made it.
    #[error("its issuer is none of those that holdfast.toml names in [[identity]]")]
    Unknown,
    /// It does not hold.
    #[error("{0}")]
    Token(#[from] TokenError),
    /// It is not meant for us.
    #[error(
        "it is not meant for this API: its `aud` must name `{audience}`; with Keycloak, add an audience mapper for \
         `{audience}` to the client that fetches it, with *Add to access token* on"
    )]
    Audience {
        /// As it is set.
        audience: String,
    },
    /// Another kind of token.
    #[error("this is {0}, not an access token; send the `access_token` of the token endpoint's answer")]
    Kind(&'static str),
    /// A repository that nobody has named.
    #[error("no [[identity]] of kind github names this repository's and its owner's number")]
    Repository,
    /// Recognised, and without any role.
    #[error("`{name}` was recognised, yet nothing in its claim `{claim}` brings a role here; {mend}")]
    NoRole {
        /// Who it is.
        name: String,
        /// Where the roles were looked for.
        claim: String,
        /// What to do.
        mend: &'static str,
    },
}

impl BearerError {
    /// 401, or what fits better once it is known who asks.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NoRole { .. } => StatusCode::FORBIDDEN,
            Self::Token(TokenError::Provider(_)) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Identity {
    /// Who asks by this access token. Never somebody who has signed in a short time ago: a token proves no presence.
    ///
    /// # Errors
    /// [`BearerError`] says what is wrong with it; what it holds, only when its signature is right.
    pub async fn bearer(&self, token: &str) -> Result<Caller, BearerError> {
        let said = token::unverified(token).ok_or(TokenError::Shape)?;
        let issuer = said.get("iss").and_then(Value::as_str).ok_or(BearerError::Unknown)?;
        if let Some(provider) = self.by_issuer(issuer) {
            return of_provider(provider, token).await;
        }
        let mut why = BearerError::Unknown;
        for workflow in self.workflows().iter().filter(|workflow| workflow.issuer.url() == issuer) {
            match of_workflow(workflow, token).await {
                Ok(caller) => return Ok(caller),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

async fn of_provider(provider: &Arc<Provider>, token: &str) -> Result<Caller, BearerError> {
    let settings = &provider.settings;
    let Token { kind, claims } = verified(&provider.issuer, token, &settings.audience).await?;
    is_access_token(kind.as_deref(), &claims)?;
    let subject = format!("{}#{}", settings.issuer, text(&claims, "sub").unwrap_or_default());
    let program = is_program(provider, &claims);
    let name = match text(&claims, "client_id").or_else(|| text(&claims, "azp")) {
        Some(client) if program => shown(client),
        _ => settings.display_name(&claims),
    };
    let found = settings.access(&claims);
    let mend = match found {
        None => "the claim is not in the token; have your provider put it into access tokens (Keycloak: a mapper)",
        Some(_) => "give it a group or role that `roles` of holdfast.toml names, or name one that it has",
    };
    match found.filter(|access| !access.is_empty()) {
        Some(access) if program => Ok(Caller::program(name, subject, access)),
        Some(access) => Ok(Caller::person(name, subject, access, false)),
        None => Err(BearerError::NoRole { name, claim: settings.role_claim.clone(), mend }),
    }
}

async fn of_workflow(workflow: &Workflow, token: &str) -> Result<Caller, BearerError> {
    let settings = &workflow.settings;
    let Token { kind, claims } = verified(&workflow.issuer, token, &settings.audience).await?;
    is_access_token(kind.as_deref(), &claims)?;
    // Names and `sub` are passed on with a repository's name; its numbers are not.
    if text(&claims, "repository_id") != Some(&settings.repository_id)
        || text(&claims, "repository_owner_id") != Some(&settings.repository_owner_id)
    {
        return Err(BearerError::Repository);
    }
    let name = match text(&claims, "repository") {
        Some(repository) => format!("{} ({})", settings.name, shown(repository)),
        None => settings.name.to_string(),
    };
    let subject = format!("{}#repository:{}", settings.issuer, settings.repository_id);
    Ok(Caller::program(name, subject, settings.access.clone()))
}

async fn verified(issuer: &super::issuer::Issuer, token: &str, audience: &str) -> Result<Token, BearerError> {
    let wanted = Wanted { audience, required: &REQUIRED };
    token::verify(issuer, token, &wanted).await.map_err(|error| match error {
        TokenError::Audience(audience) => BearerError::Audience { audience },
        other => other.into(),
    })
}

/// Refuses what the same issuer signs with the same key for another purpose.
fn is_access_token(kind: Option<&str>, claims: &Claims) -> Result<(), BearerError> {
    match kind {
        None | Some("jwt" | "at+jwt") => {}
        Some("logout+jwt") => return Err(BearerError::Kind("a logout token")),
        Some(_) => return Err(BearerError::Kind("a token of another kind")),
    }
    // Keycloak's own word for what it is.
    match claims.get("typ").map(|typ| typ.as_str().unwrap_or_default()) {
        None | Some("Bearer" | "at+jwt") => {}
        Some("ID") => return Err(BearerError::Kind("an ID token")),
        Some("Refresh" | "Offline") => return Err(BearerError::Kind("a refresh token")),
        Some("Logout") => return Err(BearerError::Kind("a logout token")),
        Some(_) => return Err(BearerError::Kind("a token of another kind")),
    }
    match claims.get("token_use").map(|used| used.as_str().unwrap_or_default()) {
        None | Some("access") => {}
        Some("id") => return Err(BearerError::Kind("an ID token")),
        Some(_) => return Err(BearerError::Kind("a token of another kind")),
    }
    if claims.contains_key("events") {
        return Err(BearerError::Kind("a logout token"));
    }
    if ["nonce", "at_hash", "c_hash", "s_hash"].iter().any(|mark| claims.contains_key(*mark)) {
        return Err(BearerError::Kind("an ID token"));
    }
    Ok(())
}

/// Whether it is a program's: whatever marks it as one, or the lack of any sign that a person signed in for it. Taken
/// for a program, somebody may do less.
fn is_program(provider: &Provider, claims: &Claims) -> bool {
    let subject = text(claims, "sub");
    let marked = provider
        .settings
        .service_account
        .as_ref()
        .is_some_and(|mark| claim(claims, &mark.claim).and_then(Value::as_str) == Some(&mark.value));
    marked
        || claims.contains_key("client_id") && text(claims, "azp") == text(claims, "client_id")
        || text(claims, "preferred_username").is_some_and(|name| name.starts_with("service-account-"))
        || ["client_id", "azp"].iter().any(|client| text(claims, client).is_some() && text(claims, client) == subject)
        || text(claims, "idtyp") == Some("app")
        || !["auth_time", "sid"].iter().any(|sign| claims.contains_key(*sign))
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}
