//! Who is signed in by a browser's session: limits, roles read again every few minutes, and the end.
//!
//! What changes while a session lives (its use, the provider's tokens) stands in columns of its own and is written by
//! one statement each, so that requests at the same time never write older tokens over newer ones.

use std::sync::Arc;

use holdfast_model::access::{Access, Role};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, Session};
use zeroize::Zeroizing;

use super::{Grant, Identity, Pending, Provider, SignInError, flow::now, glass};
use crate::{
    auth::{Caller, session::hashed},
    config::ProviderSettings,
    keys::KeyError,
    store::{SignedInRow, StoreError},
};

/// Limits of a session that a one-time link has opened.
pub(super) const IDLE: Duration = Duration::hours(12);
pub(super) const ABSOLUTE: Duration = Duration::days(7);
/// How often use of a session is written down; more often would be a write per request.
const NOTED_EVERY: Duration = Duration::minutes(1);
/// How far the provider's clock may be ahead of ours, in seconds.
const SKEW: i64 = 60;
/// For so long a session goes on while its provider cannot be reached, in seconds after its last answer.
const UNREACHED: i64 = 1_200;
/// Sign-ins that one browser may have begun at the same time.
const BEGUN: usize = 5;
/// A key in the session's data.
const PENDING: &str = "sign_in";

/// Why a session cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// Its cookie or data.
    #[error(transparent)]
    Session(#[from] tower_sessions::session::Error),
    /// The catalogue.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The server key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What is kept of it.
    #[error("a session cannot be written down: {0}")]
    Content(#[from] serde_json::Error),
}

/// Who is signed in, as it is kept, wrapped by the server key.
#[derive(Serialize, Deserialize)]
pub(super) enum Person {
    Link {
        name: String,
    },
    Provider(Box<Grant>),
    BreakGlass {
        name: String,
        /// Which setting of the password let them in.
        mark: String,
    },
}

/// How a session ended that was just ended.
pub struct SignedOut {
    /// Whom to tell of it, and what names the session there.
    pub told: Option<(Arc<Provider>, String)>,
}

/// How somebody who is signed in proves once more who they are.
pub enum Again {
    /// With their provider.
    With(Arc<Provider>),
    /// By the break-glass password.
    ByGlass,
    /// They have nobody to ask, or nobody is signed in.
    Nobody,
}

impl Identity {
    /// Who is signed in by it, if anybody is. Roles are what the provider said at most five minutes ago.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn signed_in(&self, session: &Session) -> Result<Option<Caller>, SessionError> {
        let Some(id) = session.id().map(|id| hashed(&id)) else { return Ok(None) };
        let Some(row) = self.0.store.signed_in(&id).await? else { return Ok(None) };
        let Some(person) = self.read(&id, &row) else {
            self.end(session, &id, "it was wrapped by another server key").await?;
            return Ok(None);
        };
        let (idle, absolute) = match &person {
            Person::Link { .. } => (IDLE, ABSOLUTE),
            Person::BreakGlass { .. } => (glass::LASTS, glass::LASTS),
            Person::Provider(grant) => match self.by_issuer(&grant.issuer) {
                Some(provider) => (length(provider.settings.idle), length(provider.settings.absolute)),
                None => (Duration::ZERO, Duration::ZERO),
            },
        };
        let time = OffsetDateTime::now_utc();
        if time - row.seen_at > idle || time - row.signed_in_at > absolute {
            self.end(session, &id, "it was too old").await?;
            return Ok(None);
        }
        let caller = match person {
            Person::Link { .. } if !self.links_sign_in() => {
                self.end(session, &id, "one-time links no longer sign in").await?;
                None
            }
            // Whoever opened a link was let in by the host itself, and there is nobody to ask anew.
            Person::Link { name } => {
                let subject = format!("link:{name}");
                Some(Caller::person(name, subject, Access::everywhere(Role::Admin), true))
            }
            Person::BreakGlass { mark, .. } if !self.glass_is(&mark) => {
                self.end(session, &id, "its password is set no more").await?;
                None
            }
            Person::BreakGlass { name, .. } => {
                let fresh = time - row.signed_in_at <= glass::FRESH;
                let caller = Caller::person(name, glass::GLASS.into(), Access::everywhere(Role::Admin), fresh);
                Some(caller.proven(row.signed_in_at))
            }
            Person::Provider(grant) => self.of_provider(session, &id, *grant).await?,
        };
        if caller.is_some() && time - row.seen_at > NOTED_EVERY {
            self.0.store.see_session(&id).await?;
        }
        Ok(caller.map(|caller| caller.by_session(id)))
    }

    async fn of_provider(&self, session: &Session, id: &str, grant: Grant) -> Result<Option<Caller>, SessionError> {
        let Some(provider) = self.by_issuer(&grant.issuer) else { return Ok(None) };
        let caller = |grant| caller(&provider.settings, grant);
        if now() < grant.due {
            return Ok(Some(caller(grant)));
        }
        if !self.0.store.begin_renewal(id).await? {
            // Another request is asking at this moment.
            return Ok((now() - grant.asked < UNREACHED).then(|| caller(grant)));
        }
        match provider.renew(&grant).await {
            Ok(renewed) => {
                let person = self.wrapped(id, &Person::Provider(Box::new(renewed.clone())))?;
                self.0.store.end_renewal(id, &renewed.name, &person, &renewed.access).await?;
                Ok(Some(caller(renewed)))
            }
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, provider = %provider.settings.name, "roles cannot be read again now");
                Ok((now() - grant.asked < UNREACHED).then(|| caller(grant)))
            }
            Err(error) => {
                if let SignInError::NoRole { subject, .. } = &error {
                    self.0.store.member_has_no_role(subject).await?;
                }
                self.end(session, id, &error.to_string()).await?;
                Ok(None)
            }
        }
    }

    /// How this session's person signs in once more.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn way_again(&self, session: &Session) -> Result<Again, SessionError> {
        Ok(match self.kept(session).await? {
            Some((_, Person::Provider(grant))) => {
                self.by_issuer(&grant.issuer).cloned().map_or(Again::Nobody, Again::With)
            }
            Some((_, Person::BreakGlass { .. })) => Again::ByGlass,
            Some((_, Person::Link { .. })) | None => Again::Nobody,
        })
    }

    /// Remembers a sign-in that has begun.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn remember(&self, session: &Session, pending: Pending) -> Result<(), SessionError> {
        let mut all = self.pending(session).await?;
        all.push(pending);
        let many = all.len().saturating_sub(BEGUN);
        all.drain(..many);
        if self.kept(session).await?.is_none() {
            session.set_expiry(Some(Expiry::AtDateTime(Pending::ends())));
        }
        session.insert(PENDING, all).await?;
        Ok(())
    }

    /// The sign-in that an answer belongs to; it cannot be taken twice.
    ///
    /// # Errors
    /// When the catalogue cannot be read or written.
    pub async fn take(&self, session: &Session, state: &str) -> Result<Option<Pending>, SessionError> {
        let mut all = self.pending(session).await?;
        let Some(at) = all.iter().position(|pending| pending.state.expose() == state) else { return Ok(None) };
        let pending = all.remove(at);
        session.insert(PENDING, all).await?;
        // Now, and not with the answer: a second request with the same state may come before that.
        session.save().await?;
        Ok(Some(pending))
    }

    async fn pending(&self, session: &Session) -> Result<Vec<Pending>, SessionError> {
        let mut all: Vec<Pending> = session.get(PENDING).await?.unwrap_or_default();
        let now = now();
        all.retain(|pending| pending.is_valid(now));
        Ok(all)
    }

    /// Ends the session on this side; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn leave(&self, session: &Session) -> Result<SignedOut, SessionError> {
        let Some((id, person)) = self.kept(session).await? else {
            session.flush().await?;
            return Ok(SignedOut { told: None });
        };
        self.end(session, &id, "signed out").await?;
        let told = match person {
            Person::Link { .. } | Person::BreakGlass { .. } => None,
            Person::Provider(grant) => {
                self.by_issuer(&grant.issuer).map(|provider| (Arc::clone(provider), grant.id_token.expose().to_owned()))
            }
        };
        Ok(SignedOut { told })
    }

    async fn kept(&self, session: &Session) -> Result<Option<(String, Person)>, SessionError> {
        let Some(id) = session.id().map(|id| hashed(&id)) else { return Ok(None) };
        let Some(row) = self.0.store.signed_in(&id).await? else { return Ok(None) };
        Ok(self.read(&id, &row).map(|person| (id, person)))
    }

    async fn end(&self, session: &Session, id: &str, why: &str) -> Result<(), SessionError> {
        self.0.store.end_session(id, why).await?;
        Ok(session.flush().await?)
    }

    pub(super) fn wrapped(&self, id: &str, person: &Person) -> Result<String, SessionError> {
        let text = Zeroizing::new(serde_json::to_vec(person)?);
        Ok(self.0.key.wrap(&purpose(id), &text)?)
    }

    pub(super) fn read(&self, id: &str, row: &SignedInRow) -> Option<Person> {
        let text = self.0.key.unwrap(&purpose(id), &row.person).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn purpose(id: &str) -> String {
    format!("person:{id}")
}

pub(super) fn length(length: std::time::Duration) -> Duration {
    length.try_into().unwrap_or(ABSOLUTE)
}

fn caller(settings: &ProviderSettings, grant: Grant) -> Caller {
    let now = now();
    let for_so_long = length(settings.fresh).whole_seconds();
    let fresh = grant.auth_time.is_some_and(|at| at <= now + SKEW && now - at <= for_so_long);
    let subject = format!("{}#{}", grant.issuer, grant.sub);
    let caller = Caller::person(grant.name, subject, grant.access, fresh);
    match grant.auth_time.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()) {
        Some(at) => caller.proven(at),
        None => caller,
    }
}

/// The error that a failed sign-in leaves in the audit log: action, subject, detail.
#[must_use]
pub fn refusal(error: &SignInError, provider: &str) -> (String, String, String) {
    match error {
        SignInError::NoRole { name, subject, claim, found } => {
            let why = if *found { "no role in" } else { "no claim" };
            (name.clone(), subject.clone(), format!("{provider}: {why} `{claim}`"))
        }
        other => ("browser".into(), String::new(), format!("{provider}: {other}")),
    }
}
