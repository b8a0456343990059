//! The beginning of a session: somebody has proven who they are, by a provider's word or by a one-time link.

use holdfast_model::access::{Access, Role};
use time::{Duration, OffsetDateTime};
use tower_sessions::{Expiry, Session};

use super::{
    Grant, Identity, Provider, SessionError,
    sessions::{ABSOLUTE, Person, length},
};
use crate::{
    auth::{Browser, owner, session::hashed},
    store::OpenSession,
};

/// A key in the session's data, so that there is some.
const OPEN: &str = "open";

/// Who begins a session, and how it stands in the catalogue.
pub(super) struct Opening<'a> {
    pub(super) name: &'a str,
    pub(super) issuer: Option<&'a str>,
    pub(super) subject: &'a str,
    pub(super) sid: Option<&'a str>,
    /// None where nobody is known by it.
    pub(super) access: Option<&'a Access>,
    pub(super) length: Duration,
    pub(super) audited: (&'a str, &'a str),
}

impl Identity {
    /// Signs somebody in by what their provider said; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn enter(
        &self,
        session: &Session,
        provider: &Provider,
        grant: Grant,
        browser: &Browser,
    ) -> Result<(), SessionError> {
        let subject = format!("{}#{}", grant.issuer, grant.sub);
        let known = grant.clone();
        let open = Opening {
            name: &known.name,
            issuer: Some(&known.issuer),
            subject: &subject,
            sid: known.sid.as_deref(),
            access: Some(&known.access),
            length: length(provider.settings.absolute),
            audited: ("sign_in", provider.settings.name.as_str()),
        };
        self.open(session, open, browser, Person::Provider(Box::new(grant))).await
    }

    /// Signs in whoever has opened a one-time link; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn enter_by_link(&self, session: &Session, browser: &Browser) -> Result<(), SessionError> {
        let name = owner();
        let subject = format!("link:{name}");
        let open = Opening {
            name: &name,
            issuer: None,
            subject: &subject,
            sid: None,
            access: Some(&Access::everywhere(Role::Admin)),
            length: ABSOLUTE,
            audited: ("session.begin", "one-time link"),
        };
        self.open(session, open, browser, Person::Link { name: name.clone() }).await
    }

    /// A new id, so that an id from before is worth nothing, and no data from before.
    pub(super) async fn open(
        &self,
        session: &Session,
        opening: Opening<'_>,
        browser: &Browser,
        person: Person,
    ) -> Result<(), SessionError> {
        session.clear().await;
        session.cycle_id().await?;
        session.set_expiry(Some(Expiry::OnInactivity(opening.length)));
        session.insert(OPEN, true).await?;
        session.save().await?;
        let id = session.id().map(|id| hashed(&id)).unwrap_or_default();
        let person = self.wrapped(&id, &person)?;
        let open = OpenSession {
            name: opening.name,
            issuer: opening.issuer,
            subject: opening.subject,
            sid: opening.sid,
            person: &person,
            access: opening.access,
            agent: browser.agent.as_deref(),
            address: browser.address.as_deref(),
            expires_at: OffsetDateTime::now_utc() + opening.length,
            audited: opening.audited,
        };
        Ok(self.0.store.open_session(&id, open).await?)
    }
}
