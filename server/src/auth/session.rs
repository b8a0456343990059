//! Sessions of browsers: kept in the catalogue under the hash of their id and wrapped by the server key, so that a copy
//! of the catalogue signs nobody in.

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};
use tower_sessions::{
    Expiry, SessionManagerLayer, SessionStore,
    cookie::SameSite,
    session::{Id, Record},
    session_store,
};
use url::Url;
use zeroize::Zeroizing;

use super::token_hash;
use crate::{keys::ServerKey, store::Store};

/// How long a browser keeps the cookie when nothing else is said. What ends a session stands in the catalogue.
const WHOLE: Duration = Duration::days(7);

/// The layer that reads and writes the cookie. `__Host-` and `Secure` where people come by https.
#[must_use]
pub fn layer(store: Store, key: ServerKey, public_url: Option<&Url>) -> SessionManagerLayer<CatalogueSessions> {
    let secure = public_url.is_some_and(|url| url.scheme() == "https");
    SessionManagerLayer::new(CatalogueSessions { store, key })
        .with_name(if secure { "__Host-holdfast" } else { "holdfast" })
        .with_secure(secure)
        .with_http_only(true)
        // Strict would lose the session on the way back from an identity provider.
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnInactivity(WHOLE))
}

/// Sessions in the catalogue.
#[derive(Clone)]
pub struct CatalogueSessions {
    store: Store,
    key: ServerKey,
}

impl std::fmt::Debug for CatalogueSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CatalogueSessions")
    }
}

pub(super) fn hashed(id: &Id) -> String {
    token_hash(&format!("session:{id}"))
}

fn purpose(hash: &str) -> String {
    format!("session:{hash}")
}

fn backend(error: impl std::fmt::Display) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for CatalogueSessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        while self.store.session(&hashed(&record.id)).await.map_err(backend)?.is_some() {
            record.id = Id::default();
        }
        self.save(record).await
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let hash = hashed(&record.id);
        let data = Zeroizing::new(
            serde_json::to_vec(&record.data).map_err(|error| session_store::Error::Encode(error.to_string()))?,
        );
        let wrapped = self.key.wrap(&purpose(&hash), &data).map_err(backend)?;
        self.store.put_session(&hash, &wrapped, record.expiry_date).await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let hash = hashed(id);
        let Some(wrapped) = self.store.session(&hash).await.map_err(backend)? else {
            return Ok(None);
        };
        let data = self.key.unwrap(&purpose(&hash), &wrapped).map_err(backend)?;
        let data = serde_json::from_slice(&data).map_err(|error| session_store::Error::Decode(error.to_string()))?;
        // The catalogue gives no session that has expired.
        Ok(Some(Record { id: *id, data, expiry_date: OffsetDateTime::now_utc() + WHOLE }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        self.store.delete_session(&hashed(id)).await.map_err(backend)
    }
}
