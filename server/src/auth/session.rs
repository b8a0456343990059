//! Sessions of people: kept in the catalogue under the hash of their id, so that a copy of the catalogue signs nobody in.

use async_trait::async_trait;
use holdfast_model::access::{Access, Role};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, Session, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Error, Id, Record},
    session_store,
};
use url::Url;

use super::{Caller, token_hash};
use crate::store::Store;

/// A session ends when nothing was asked for so long.
const IDLE: Duration = Duration::hours(12);
/// A session ends in any case after so long.
const WHOLE: Duration = Duration::days(7);
/// How often use of a session is written down; more often would be a write per request.
const NOTED_EVERY: Duration = Duration::minutes(10);
/// The key in the session's data.
const PERSON: &str = "person";

/// Who is signed in, and since when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Person {
    name: String,
    /// Unix time of the sign-in.
    since: i64,
    /// Unix time of the last use that was written down.
    seen: i64,
}

/// The layer that reads and writes the cookie. `__Host-` and `Secure` where people come by https.
#[must_use]
pub fn layer(store: Store, public_url: Option<&Url>) -> SessionManagerLayer<CatalogueSessions> {
    let secure = public_url.is_some_and(|url| url.scheme() == "https");
    SessionManagerLayer::new(CatalogueSessions(store))
        .with_name(if secure { "__Host-holdfast" } else { "holdfast" })
        .with_secure(secure)
        .with_http_only(true)
        // Strict would lose the session on the way back from an identity provider.
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(IDLE))
}

/// Signs somebody in: a new id, so that an id from before is worth nothing.
///
/// # Errors
/// When the catalogue cannot be written.
pub async fn sign_in(session: &Session, name: &str) -> Result<(), Error> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    session.cycle_id().await?;
    session.insert(PERSON, Person { name: name.to_owned(), since: now, seen: now }).await
}

/// Who is signed in, if anybody is; writes down now and then that the session is in use.
///
/// # Errors
/// When the catalogue cannot be read.
pub async fn signed_in(session: &Session) -> Result<Option<Caller>, Error> {
    let Some(person) = session.get::<Person>(PERSON).await? else {
        return Ok(None);
    };
    let now = OffsetDateTime::now_utc().unix_timestamp();
    if now - person.since > WHOLE.whole_seconds() || now - person.seen > IDLE.whole_seconds() {
        session.flush().await?;
        return Ok(None);
    }
    // Whoever opened a link was let in by the host itself, and there is nobody to ask anew.
    let access = Access::everywhere(Role::Admin);
    let caller = Caller::person(person.name.clone(), format!("link:{}", person.name), access, true);
    if now - person.seen > NOTED_EVERY.whole_seconds() {
        session.insert(PERSON, Person { seen: now, ..person }).await?;
    }
    Ok(Some(caller))
}

/// Sessions in the catalogue.
#[derive(Clone)]
pub struct CatalogueSessions(Store);

impl std::fmt::Debug for CatalogueSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CatalogueSessions")
    }
}

fn hashed(id: &Id) -> String {
    token_hash(&format!("session:{id}"))
}

fn backend(error: impl std::fmt::Display) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for CatalogueSessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        while self.0.session(&hashed(&record.id)).await.map_err(backend)?.is_some() {
            record.id = Id::default();
        }
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let data =
            serde_json::to_string(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))?;
        self.0.put_session(&hashed(&record.id), &data, record.expiry_date).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let Some(data) = self.0.session(&hashed(id)).await.map_err(backend)? else {
            return Ok(None);
        };
        let data = serde_json::from_str(&data).map_err(|error| session_store::Error::Decode(error.to_string()))?;
        // The catalogue gives no session that has expired; a use prolongs it.
        Ok(Some(Record { id: *id, data, expiry_date: OffsetDateTime::now_utc() + IDLE }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.0.delete_session(&hashed(id)).await.map_err(backend)
    }
}
