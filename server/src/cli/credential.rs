//! What lets a command in: a token that was given, or a login at this terminal, whose access token is renewed when it is
//! about to end.

use std::sync::Arc;

use holdfast_model::secret::Secret;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::{
    failure::Failure,
    login::provider::Provider,
    logins::{Login, Logins},
};

/// An access token is renewed when less than this is left of it.
const LEFT: Duration = Duration::seconds(30);

/// What is sent as a bearer token.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The same for every request.
    Token(Secret),
    /// Of a person who has signed in at this terminal.
    Login(Arc<Renewed>),
}

/// A login whose access token is always one that is valid.
#[derive(Debug)]
pub struct Renewed {
    logins: Logins,
    server: String,
    now: Mutex<Login>,
}

impl Credential {
    /// A token that is valid now.
    ///
    /// # Errors
    /// As [`Renewed::now`].
    pub async fn token(&self) -> Result<Secret, Failure> {
        match self {
            Self::Token(token) => Ok(token.clone()),
            Self::Login(login) => login.now().await.map(|login| login.access_token.secret().clone()),
        }
    }
}

impl Renewed {
    /// The login of a server, by its address.
    pub fn new(logins: Logins, server: String, login: Login) -> Self {
        Self { logins, server, now: Mutex::new(login) }
    }

    /// It, with an access token that is valid for some time. Of several commands that find it about to end one asks the
    /// provider: a refresh token may count once.
    ///
    /// # Errors
    /// [`Failure::Login`] when the provider refuses, and when it cannot be asked.
    pub async fn now(&self) -> Result<Login, Failure> {
        let mut now = self.now.lock().await;
        if !is_valid(&now) {
            let turn = self.logins.turn().await?;
            // Another command may have been faster.
            let kept = self.logins.read()?.remove(&self.server).ok_or_else(|| Failure::Login {
                message: format!("nobody is signed in to {} any more", self.server),
                mend: "sign in again: holdfast login".into(),
            })?;
            *now = if is_valid(&kept) {
                kept
            } else {
                let provider = Provider::of(&kept.issuer, &kept.client_id).await?;
                let renewed = provider.renew(&kept, &self.server).await?;
                self.logins.put(&turn, &self.server, &renewed)?;
                renewed
            };
        }
        Ok(now.clone())
    }
}

fn is_valid(login: &Login) -> bool {
    login.expires_at - OffsetDateTime::now_utc() > LEFT
}
