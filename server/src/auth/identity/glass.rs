//! The way in for the day when no provider answers: the password that the owner of the data directory has set. Whoever
//! comes in by it is an admin for an hour, everybody is told, and each try stands in the audit log.

use time::Duration;
use tokio::task::spawn_blocking;
use tower_sessions::Session;

use holdfast_model::secret::Secret;

use super::{Identity, SessionError, enter::Opening, sessions::Person};
use crate::{
    auth::{
        Browser,
        break_glass::{self, Glass, GlassError},
        machine,
    },
    store::{GlassTry, Seldom, SessionRow},
};

/// What such sessions have as their subject.
pub const GLASS: &str = "break-glass";
/// How long such a session lasts.
pub(super) const LASTS: Duration = Duration::hours(1);
/// For so long it counts as a new sign-in.
pub(super) const FRESH: Duration = Duration::minutes(10);
/// Tries beyond the limit stand in the audit log once in so long.
const SHUT_EVERY: Duration = Duration::minutes(10);

/// What came of a try.
pub enum GlassTried {
    /// Somebody is signed in.
    In,
    /// It is another password; so many tries are left.
    Wrong(usize),
    /// There were too many tries; the next one counts after this.
    Shut(Duration),
    /// No password is set, or there is no provider that it would be the way around.
    Off,
    /// The file is not as it must be.
    Unusable(GlassError),
}

impl Identity {
    /// Whether the sign-in page names this way: there is a provider, and a password is set.
    #[must_use]
    pub fn offers_glass(&self) -> bool {
        !self.0.links_sign_in && break_glass::is_there(&self.0.data_dir)
    }

    /// Whether this setting of the password is still the one that holds.
    pub(super) fn glass_is(&self, mark: &str) -> bool {
        !self.0.links_sign_in
            && break_glass::read(&self.0.data_dir).ok().flatten().is_some_and(|glass| glass.mark() == mark)
    }

    /// Notes that the password was set or taken away since this was asked last; audited.
    ///
    /// # Errors
    /// When the catalogue cannot be read or written.
    pub async fn notice_glass(&self) -> Result<(), SessionError> {
        if self.0.links_sign_in {
            return Ok(());
        }
        // A file that cannot be used is noticed when somebody tries it.
        let Ok(glass) = break_glass::read(&self.0.data_dir) else { return Ok(()) };
        let mark = glass.as_ref().map(Glass::mark);
        if self.0.store.notice_glass(&machine(), mark.as_deref()).await? {
            tracing::warn!(set = glass.is_some(), "BREAK GLASS: the password was set anew or taken away");
        }
        Ok(())
    }

    /// Who is in by it now.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn open_glass(&self) -> Result<Vec<SessionRow>, SessionError> {
        let mut open = Vec::new();
        if !self.offers_glass() {
            return Ok(open);
        }
        for row in self.0.store.sessions_of(GLASS).await? {
            let Some(kept) = self.0.store.signed_in(&row.id).await? else { continue };
            if matches!(self.read(&row.id, &kept), Some(Person::BreakGlass { mark, .. }) if self.glass_is(&mark)) {
                open.push(row);
            }
        }
        Ok(open)
    }

    /// Signs in whoever knows the password. Every try counts, and is audited.
    ///
    /// # Errors
    /// When the catalogue cannot be read or written.
    pub async fn try_glass(
        &self,
        session: &Session,
        password: Secret,
        browser: &Browser,
    ) -> Result<GlassTried, SessionError> {
        if self.0.links_sign_in {
            return Ok(GlassTried::Off);
        }
        self.notice_glass().await?;
        let glass = match break_glass::read(&self.0.data_dir) {
            Ok(Some(glass)) => glass,
            Ok(None) => return Ok(GlassTried::Off),
            Err(error) => {
                tracing::warn!(%error, "BREAK GLASS: refused");
                self.refused_for_now(&error.to_string()).await?;
                return Ok(GlassTried::Unusable(error));
            }
        };
        let (name, from) = (format!("{GLASS}@{}", machine()), browser.from());
        // Counted before it is looked at, so that many at once are no more than many one after the other.
        let left = match self.0.store.count_glass_try().await? {
            GlassTry::Counted { left } => left,
            GlassTry::Shut { wait } => {
                tracing::warn!(from, "BREAK GLASS: refused, too many tries");
                self.refused_for_now(&format!("too many tries, {from}")).await?;
                return Ok(GlassTried::Shut(wait));
            }
        };
        let (mark, since) = (glass.mark(), glass.since.date());
        if !self.opens(glass, password).await {
            tracing::warn!(from, left, "BREAK GLASS: refused, another password");
            self.0.store.audit(&name, "break_glass.refused", "", &format!("another password, {from}")).await?;
            return Ok(GlassTried::Wrong(left));
        }
        tracing::warn!(name, from, "BREAK GLASS: somebody signed in past the identity provider");
        let detail = format!("{from}, by the password of {since}");
        let opening = Opening {
            name: &name,
            issuer: None,
            subject: GLASS,
            sid: None,
            access: None,
            length: LASTS,
            audited: ("break_glass.sign_in", &detail),
        };
        self.open(session, opening, browser, Person::BreakGlass { name: name.clone(), mark }).await?;
        Ok(GlassTried::In)
    }

    async fn opens(&self, glass: Glass, password: Secret) -> bool {
        // It is never closed.
        let Ok(_turn) = self.0.hashing.acquire().await else { return false };
        spawn_blocking(move || glass.opens(&password)).await.unwrap_or(false)
    }

    /// What anybody can cause without end fills no audit log.
    async fn refused_for_now(&self, why: &str) -> Result<(), SessionError> {
        let name = format!("{GLASS}@{}", machine());
        let seldom = Seldom { by: GLASS, what: "break_glass.refused", every: SHUT_EVERY };
        Ok(self.0.store.audit_seldom(seldom, &name, "break_glass.refused", "", why).await?)
    }
}
