//! An identity provider as a terminal meets it: device code (RFC 8628), renewal, revocation (RFC 7009).

use std::time::Duration;

use holdfast_model::{me::DeviceLogin, secret::Sent};
use openidconnect::{
    ClientId, DeviceAuthorizationUrl, HttpClientError, IssuerUrl, JsonWebKeySet, OAuth2TokenResponse as _,
    RefreshToken, RequestTokenError, Scope, TokenUrl,
    core::{CoreClient, CoreDeviceAuthorizationResponse, CoreTokenResponse},
};
use serde::Deserialize;
use time::OffsetDateTime;
use url::Url;

use super::super::{
    client::{http, root_cause},
    failure::Failure,
    logins::Login,
    print::text::plain,
};
use crate::config::identity::is_private;

/// How long it may take for an answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long an access token is taken to be valid where that is not said.
const UNSAID: Duration = Duration::from_secs(60);

/// A provider whose addresses are known.
pub struct Provider {
    issuer: String,
    client_id: String,
    http: reqwest::Client,
    token: Url,
    device: Option<Url>,
    revocation: Option<Url>,
}

/// What of a discovery document is needed here.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    token_endpoint: Url,
    device_authorization_endpoint: Option<Url>,
    revocation_endpoint: Option<Url>,
}

/// The client, with the token endpoint only. Its type has a parameter for each endpoint, so no function can give it.
macro_rules! client {
    ($provider:expr) => {
        IssuerUrl::new($provider.issuer.clone()).map_err(|error| $provider.failed(error.to_string())).map(|issuer| {
            CoreClient::new(ClientId::new($provider.client_id.clone()), issuer, JsonWebKeySet::default())
                .set_token_uri(TokenUrl::from_url($provider.token.clone()))
        })
    };
}

impl Provider {
    /// Asks a provider for its addresses.
    ///
    /// # Errors
    /// When it does not answer, calls itself otherwise, or names an address that others could listen to.
    pub async fn of(issuer: &str, client_id: &str) -> Result<Self, Failure> {
        let failed = |reason: String| Failure::Provider { issuer: issuer.to_owned(), reason };
        let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let place = Url::parse(&place).map_err(|error| failed(error.to_string()))?;
        if !is_private(&place) {
            return Err(failed("it is neither https nor on this machine".into()));
        }
        let http = http(&place).timeout(PATIENCE).build().map_err(|error| failed(root_cause(&error)))?;
        let answer = http.get(place).send().await.map_err(|error| failed(root_cause(&error)))?;
        if answer.status() != 200 {
            return Err(failed(format!("it answers {}", answer.status())));
        }
        let said: Document = answer.json().await.map_err(|error| failed(root_cause(&error)))?;
        if said.issuer != issuer {
            return Err(failed(format!("it calls itself {}", plain(&said.issuer))));
        }
        let all = [
            Some(&said.token_endpoint),
            said.device_authorization_endpoint.as_ref(),
            said.revocation_endpoint.as_ref(),
        ];
        if let Some(exposed) = all.into_iter().flatten().find(|url| !is_private(url)) {
            return Err(failed(format!("its address {exposed} is neither https nor on this machine")));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            http,
            token: said.token_endpoint,
            device: said.device_authorization_endpoint,
            revocation: said.revocation_endpoint,
        })
    }

    /// A code that a person gives in a browser.
    ///
    /// # Errors
    /// When the provider has no device login, or refuses this client.
    pub async fn begin(&self, login: &DeviceLogin) -> Result<CoreDeviceAuthorizationResponse, Failure> {
        let device = self.device.clone().ok_or_else(|| self.failed("it has no device login (RFC 8628)".into()))?;
        let scopes = login.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let client = client!(self)?.set_device_authorization_url(DeviceAuthorizationUrl::from_url(device));
        client.exchange_device_code().add_scopes(scopes).request_async(&self.http).await.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => self.failed(format!(
                "it refuses {}: {}; the client must be public, with the device grant on",
                self.client_id,
                plain(said.error().as_ref())
            )),
            other => self.unsaid(other),
        })
    }

    /// Waits until the code was given, as slowly as the provider wants it.
    ///
    /// # Errors
    /// [`Failure::Login`] when the person said no, or the code's time is over.
    pub async fn finish(&self, login: &DeviceLogin, begun: &CoreDeviceAuthorizationResponse) -> Result<Login, Failure> {
        let client = client!(self)?;
        let request = client.exchange_device_access_token(begun);
        let tokens =
            request.request_async(&self.http, tokio::time::sleep, None).await.map_err(|error| match error {
                RequestTokenError::ServerResponse(said) => Failure::Login {
                    message: match said.error().as_ref() {
                        "access_denied" => "the identity provider says that you said no".into(),
                        "expired_token" => "the code was not given in time".into(),
                        other => format!("the identity provider refuses it: {}", plain(other)),
                    },
                    mend: "begin again: holdfast login".into(),
                },
                other => self.unsaid(other),
            })?;
        Ok(self.login(login.name.to_string(), &tokens, None))
    }

    /// The same login with a new access token.
    ///
    /// # Errors
    /// [`Failure::Login`] when the provider no longer knows it.
    pub async fn renew(&self, login: &Login, server: &str) -> Result<Login, Failure> {
        let ended = |why: &str| Failure::Login {
            message: format!("your login to {server} has ended: {why}"),
            mend: "sign in again: holdfast login".into(),
        };
        let Some(refresh) = &login.refresh_token else { return Err(ended("it cannot be renewed")) };
        let client = client!(self)?;
        let refresh_token = RefreshToken::new(refresh.expose().to_owned());
        let renewed = client.exchange_refresh_token(&refresh_token).request_async(&self.http).await;
        let tokens = renewed.map_err(|error| match error {
            RequestTokenError::ServerResponse(said) => {
                ended(&format!("the identity provider says {}", plain(said.error().as_ref())))
            }
            other => self.unsaid(other),
        })?;
        Ok(self.login(login.provider.clone(), &tokens, Some(refresh)))
    }

    /// Ends a login at the provider; whether the provider takes that.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn revoke(&self, login: &Login) -> Result<bool, Failure> {
        let (Some(revocation), Some(refresh)) = (&self.revocation, &login.refresh_token) else { return Ok(false) };
        let form = [("token", refresh.expose()), ("token_type_hint", "refresh_token"), ("client_id", &self.client_id)];
        let sent = self.http.post(revocation.clone()).form(&form).send().await;
        match sent.map_err(|error| self.failed(root_cause(&error)))?.status() {
            status if status.is_success() => Ok(true),
            status => Err(self.failed(format!("it answers {status}"))),
        }
    }

    fn login(&self, provider: String, tokens: &CoreTokenResponse, before: Option<&Sent>) -> Login {
        let given = tokens.refresh_token().map(|token| token.secret().clone().into());
        Login {
            provider,
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            access_token: tokens.access_token().secret().clone().into(),
            expires_at: OffsetDateTime::now_utc() + tokens.expires_in().unwrap_or(UNSAID),
            refresh_token: given.or_else(|| before.cloned()),
        }
    }

    fn failed(&self, reason: String) -> Failure {
        Failure::Provider { issuer: self.issuer.clone(), reason }
    }

    /// Anything but a refusal. An answer that cannot be read may hold tokens, so only its place is told.
    fn unsaid<T: openidconnect::ErrorResponse>(
        &self,
        error: RequestTokenError<HttpClientError<reqwest::Error>, T>,
    ) -> Failure {
        self.failed(match error {
            RequestTokenError::Request(HttpClientError::Reqwest(error)) => root_cause(&error),
            RequestTokenError::Request(_) | RequestTokenError::ServerResponse(_) => "the request failed".into(),
            RequestTokenError::Parse(error, _) => format!("its answer cannot be read at `{}`", error.path()),
            RequestTokenError::Other(why) => plain(&why).into_owned(),
        })
    }
}
