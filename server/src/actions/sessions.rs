//! Sessions of one's own: seen, and ended.

use holdfast_app::backend::{SessionLine, SessionsPage};
use holdfast_model::access::Permission;
use time::{Duration, OffsetDateTime};

use super::{ActionError, Actions};
use crate::{
    auth::{GLASS, browser::words},
    store::SessionRow,
};

impl Actions {
    /// The caller's own open sessions, the latest used first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn sessions(&self) -> Result<SessionsPage, ActionError> {
        self.allowed_somewhere(Permission::View)?;
        let rows = self.store().sessions_of(&self.caller.subject).await?;
        let provided = rows.iter().any(|row| row.issuer.is_some());
        Ok(SessionsPage {
            now: OffsetDateTime::now_utc(),
            name: self.caller.name.clone(),
            sessions: rows.into_iter().map(|row| self.line(row)).collect(),
            provided,
        })
    }

    /// Ends one of them; audited.
    ///
    /// # Errors
    /// [`ActionError::NotFound`], also where it is somebody else's.
    pub async fn end_session(&self, id: &str) -> Result<(), ActionError> {
        self.allowed_somewhere(Permission::View)?;
        let ended = self.store().end_sessions_of(&self.caller.subject, Some(id), None, "ended by themselves").await?;
        if ended == 0 {
            return Err(ActionError::NotFound("this session is not there; it has ended already".into()));
        }
        Ok(())
    }

    /// Ends all of them but the one that asks; audited. Gives how many.
    ///
    /// # Errors
    /// When the catalogue cannot be written.
    pub async fn end_other_sessions(&self) -> Result<usize, ActionError> {
        self.allowed_somewhere(Permission::View)?;
        let kept = self.caller.session.as_deref();
        Ok(self.store().end_sessions_of(&self.caller.subject, None, kept, "ended with all others").await?)
    }

    fn line(&self, row: SessionRow) -> SessionLine {
        let providers = &self.settings().identity.providers;
        let provider = providers.iter().find(|provider| Some(&provider.issuer) == row.issuer.as_ref());
        let by = match (&row.issuer, provider) {
            (_, Some(provider)) => provider.name.to_string(),
            // Its settings are gone; so is the session, at its next request.
            (Some(issuer), None) => issuer.clone(),
            (None, None) if row.subject == GLASS => "break-glass password".to_owned(),
            (None, None) => "one-time link".to_owned(),
        };
        let most = provider.and_then(|provider| Duration::try_from(provider.absolute).ok());
        SessionLine {
            here: self.caller.session.as_ref() == Some(&row.id),
            id: row.id,
            by,
            browser: words(row.agent.as_deref()),
            address: row.address,
            signed_in_at: row.signed_in_at,
            seen_at: row.seen_at,
            ends_at: most.map_or(row.expires_at, |most| row.expires_at.min(row.signed_in_at + most)),
        }
    }
}
