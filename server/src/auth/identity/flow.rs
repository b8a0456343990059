//! Signing in by authorization code (OpenID Connect Core 3.1) with PKCE, state and nonce.

use std::sync::Arc;

use holdfast_model::{access::Access, name::Name, secret::Sent};
use openidconnect::{
    AccessTokenHash, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, Nonce, NonceVerifier, OAuth2TokenResponse as _, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, TokenResponse as _,
    core::{
        CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreIdToken,
        CoreJwsSigningAlgorithm, CoreTokenResponse,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use url::Url;

use super::{
    Provider,
    claims::shown,
    issuer::{IssuerError, Known, plain},
    refresh::due,
    token::{self, Claims},
};

/// How long a sign-in may take.
const VALID: Duration = Duration::minutes(10);
/// How far the provider's clock may be behind ours.
const SKEW: i64 = 10;

/// The kinds of signature that an ID token may have; the list is ours, not the provider's.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

pub(super) type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// A sign-in that has begun; kept on this side only, and used once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pending {
    /// Comes back with the answer.
    pub state: Sent,
    /// Where it was begun.
    pub provider: Name,
    nonce: Sent,
    verifier: Sent,
    /// Where the browser goes afterwards.
    pub next: String,
    /// Unix time of the beginning.
    begun: i64,
    /// Whether the provider must have asked for the password after that.
    anew: bool,
}

/// What comes back to the callback.
#[derive(Deserialize)]
pub struct Answer {
    /// To be exchanged for tokens.
    pub code: Option<String>,
    /// Which sign-in it belongs to.
    pub state: Option<String>,
    /// Who answers (RFC 9207), where the provider says it.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// What a provider has said of somebody, and what is needed to ask again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// The provider's issuer.
    pub issuer: String,
    /// Its own name for the person.
    pub sub: String,
    /// Its session.
    pub sid: Option<String>,
    /// Unix time at which the person proved who they are; none where the provider does not say it.
    pub auth_time: Option<i64>,
    /// How people know them.
    pub name: String,
    /// What they may do.
    pub access: Access,
    /// Names the session when it is ended at the provider.
    pub id_token: Sent,
    pub(super) refresh_token: Option<Sent>,
    /// Unix time of the last answer.
    pub asked: i64,
    /// Unix time at which the provider is asked again.
    pub due: i64,
}

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The provider cannot be reached.
    #[error(transparent)]
    Unavailable(#[from] IssuerError),
    /// The provider cannot be reached at its other addresses.
    #[error("the identity provider does not answer: {0}; try again")]
    NoAnswer(String),
    /// The provider says no.
    #[error("the identity provider refuses it: {0}")]
    Refused(String),
    /// Unknown, used or old.
    #[error("this sign-in has been finished already, or it was begun more than ten minutes ago; begin again")]
    Lost,
    /// Its answer is not what it must be.
    #[error("the answer of the identity provider cannot be taken: {0}")]
    Answer(String),
    /// The provider lacks what signing people in needs.
    #[error("the identity provider cannot sign people in: {0}")]
    Unable(String),
    /// The sign-in must be new, and the provider does not say when it was.
    #[error(
        "the ID token has no claim `auth_time`, so nobody can tell whether the sign-in is new; with Keycloak, give the \
         client the client scope `basic`"
    )]
    NoAuthTime,
    /// The sign-in must be new, and is not.
    #[error("the identity provider did not ask for your password again; begin again")]
    NotAnew,
    /// Recognised, and without any role.
    #[error("`{name}` has no role here")]
    NoRole {
        /// Who was recognised.
        name: String,
        /// The same for the same one.
        subject: String,
        /// The claim that was looked at.
        claim: String,
        /// Whether it was there.
        found: bool,
    },
}

impl Pending {
    /// Whether it may still be finished.
    #[must_use]
    pub fn is_valid(&self, now: i64) -> bool {
        (0..=VALID.whole_seconds()).contains(&(now - self.begun))
    }

    /// When it may no longer be.
    #[must_use]
    pub fn ends() -> OffsetDateTime {
        OffsetDateTime::now_utc() + VALID
    }
}

impl Provider {
    /// Where the browser must go to sign in, and what must be kept until it comes back.
    ///
    /// # Errors
    /// When the provider cannot be asked.
    pub async fn begin(&self, next: String, anew: bool) -> Result<(Url, Pending), SignInError> {
        let known = self.issuer.known().await?;
        let client = self.client(&known)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(self.settings.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new))
            .set_pkce_challenge(challenge);
        if anew {
            request = request.add_prompt(CoreAuthPrompt::Login).set_max_age(std::time::Duration::ZERO);
        }
        let (url, state, nonce) = request.url();
        let pending = Pending {
            state: state.secret().clone().into(),
            provider: self.settings.name.clone(),
            nonce: nonce.secret().clone().into(),
            verifier: verifier.secret().clone().into(),
            next,
            begun: now(),
            anew,
        };
        Ok((url, pending))
    }

    /// Who has signed in.
    ///
    /// # Errors
    /// [`SignInError`] says why nobody has.
    pub async fn finish(&self, pending: Pending, answer: Answer) -> Result<Grant, SignInError> {
        if !pending.is_valid(now()) || pending.provider != self.settings.name {
            return Err(SignInError::Lost);
        }
        if answer.iss.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(SignInError::Answer("it comes from another issuer".into()));
        }
        if let Some(error) = answer.error {
            return Err(SignInError::Refused(shown(&error)));
        }
        let code = answer.code.ok_or_else(|| SignInError::Answer("it brings no code".into()))?;
        let known = self.issuer.known().await?;
        let tokens = self
            .client(&known)?
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| SignInError::Unable(error.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.expose().to_owned()))
            .request_async(&self.http)
            .await
            .map_err(refused)?;
        let id_token = tokens
            .id_token()
            .ok_or_else(|| SignInError::Answer("it brings no ID token; the scope `openid` must be allowed".into()))?;
        let claims = self.verified(known, &tokens, id_token, &Nonce::new(pending.nonce.expose().to_owned())).await?;
        let auth_time = token::seconds(&claims, "auth_time");
        if pending.anew {
            let at = auth_time.ok_or(SignInError::NoAuthTime)?;
            if at + SKEW < pending.begun {
                return Err(SignInError::NotAnew);
            }
        }
        let sub = text(&claims, "sub");
        let (name, access) = self.person(&claims, &sub, &tokens).await?;
        let now = now();
        Ok(Grant {
            issuer: self.settings.issuer.clone(),
            sid: claims.get("sid").and_then(Value::as_str).map(str::to_owned),
            sub,
            auth_time,
            name,
            access,
            id_token: id_token.to_string().into(),
            refresh_token: tokens.refresh_token().map(|token| token.secret().clone().into()),
            asked: now,
            due: due(now, &tokens),
        })
    }

    pub(super) fn client(&self, known: &Known) -> Result<Client, SignInError> {
        let metadata = known
            .metadata
            .clone()
            .ok_or_else(|| SignInError::Unable("its discovery document is not one of OpenID Connect".into()))?;
        let by_body = metadata.token_endpoint_auth_methods_supported().is_some_and(|methods| {
            !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
                && methods.contains(&CoreClientAuthMethod::ClientSecretPost)
        });
        let secret = self.settings.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
        let redirect = RedirectUrl::from_url(self.address("callback"));
        let client =
            CoreClient::from_provider_metadata(metadata, ClientId::new(self.settings.client_id.clone()), secret)
                .set_redirect_uri(redirect);
        Ok(if by_body { client.set_auth_type(AuthType::RequestBody) } else { client })
    }

    /// What an ID token says, once it is found to be one for us.
    pub(super) async fn verified(
        &self,
        known: Arc<Known>,
        tokens: &CoreTokenResponse,
        id_token: &CoreIdToken,
        nonce: impl NonceVerifier + Clone,
    ) -> Result<Claims, SignInError> {
        match self.check(&known, tokens, id_token, nonce.clone()) {
            Err(Unverified::Key) => {
                let known = self.issuer.renewed(&known).await?;
                self.check(&known, tokens, id_token, nonce)
            }
            checked => checked,
        }
        .map_err(|why| match why {
            Unverified::Key => SignInError::Answer("no key of the provider fits its ID token".into()),
            Unverified::Refused(why) => why,
        })
    }

    fn check(
        &self,
        known: &Known,
        tokens: &CoreTokenResponse,
        id_token: &CoreIdToken,
        nonce: impl NonceVerifier,
    ) -> Result<Claims, Unverified> {
        let client = self.client(known)?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        let claims = id_token.claims(&verifier, nonce).map_err(|error| match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
                Unverified::Key
            }
            other => Unverified::Refused(SignInError::Answer(shown(&other.to_string()))),
        })?;
        if let Some(expected) = claims.access_token_hash() {
            let wrong = |what: &str| SignInError::Answer(format!("its access token and ID token do not fit: {what}"));
            let key = id_token.signing_key(&verifier).map_err(|error| wrong(&error.to_string()))?;
            let algorithm = id_token.signing_alg().map_err(|error| wrong(&error.to_string()))?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                .map_err(|error| wrong(&error.to_string()))?;
            if actual != *expected {
                return Err(wrong("at_hash").into());
            }
        }
        // It has just been verified; read once more for the claims that no standard names.
        let all = token::unverified(&id_token.to_string())
            .ok_or_else(|| SignInError::Answer("its ID token cannot be read".into()))?;
        match all.get("azp").and_then(Value::as_str) {
            Some(party) if party != self.settings.client_id => {
                Err(SignInError::Answer("its ID token was made for another client".into()).into())
            }
            _ => Ok(all),
        }
    }
}

impl SignInError {
    /// Whether asking again may help without a new sign-in.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::NoAnswer(_))
    }

    /// Whether a browser had begun a sign-in, and a provider has answered it.
    #[must_use]
    pub const fn is_of_somebody(&self) -> bool {
        !matches!(self, Self::Unavailable(_) | Self::NoAnswer(_) | Self::Unable(_) | Self::Lost)
    }
}

enum Unverified {
    /// A key that is not known yet.
    Key,
    Refused(SignInError),
}

impl From<SignInError> for Unverified {
    fn from(why: SignInError) -> Self {
        Self::Refused(why)
    }
}

pub(super) type TokenRequestError = RequestTokenError<
    openidconnect::HttpClientError<reqwest::Error>,
    openidconnect::StandardErrorResponse<CoreErrorResponseType>,
>;

pub(super) fn refused(error: TokenRequestError) -> SignInError {
    match error {
        RequestTokenError::ServerResponse(said) => {
            let word: &str = said.error().as_ref();
            if matches!(word, "temporarily_unavailable" | "server_error" | "slow_down") {
                SignInError::NoAnswer(shown(word))
            } else {
                SignInError::Refused(shown(word))
            }
        }
        RequestTokenError::Request(openidconnect::HttpClientError::Reqwest(error)) => {
            SignInError::NoAnswer(plain(&error))
        }
        RequestTokenError::Request(error) => SignInError::NoAnswer(shown(&error.to_string())),
        RequestTokenError::Parse(error, body) => unreadable(&error.path().to_string(), &body),
        RequestTokenError::Other(why) => SignInError::NoAnswer(shown(&why)),
    }
}

/// The body may hold tokens, so it is told where it cannot be read, and not what stands there.
fn unreadable(place: &str, body: &[u8]) -> SignInError {
    if serde_json::from_slice::<Value>(body).is_ok() {
        SignInError::Answer(format!("its tokens cannot be read at `{place}`"))
    } else {
        SignInError::NoAnswer("what it answers is no JSON".into())
    }
}

pub(super) fn text(claims: &Claims, name: &str) -> String {
    claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub(super) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
