//! What an issuer says of itself: its addresses and the keys that it signs with. Fetched when first needed, and not
//! more than once a minute, whatever tokens come.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use openidconnect::{ProviderMetadataWithLogout, core::CoreJsonWebKeySet};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use crate::config::identity::is_private;

/// Between two fetches, once one has succeeded: an unknown key id is no reason to ask again.
const PAUSE: Duration = Duration::from_mins(1);
/// Between two tries while nothing has ever been fetched.
const RETRY: Duration = Duration::from_secs(5);
/// Keys that are older are fetched again before they are used.
const AGE: Duration = Duration::from_mins(10);
/// The most that either document may have, in bytes.
const LIMIT: usize = 512 * 1024;

/// What is known of an issuer. `Debug` shows its address only.
pub struct Issuer {
    url: String,
    http: reqwest::Client,
    known: RwLock<Option<Arc<Known>>>,
    /// Held by whoever fetches; when that was last begun.
    turn: Mutex<Option<Instant>>,
}

/// One state of it.
pub struct Known {
    /// Its discovery document with its keys, where it is one of OpenID Connect.
    pub metadata: Option<ProviderMetadataWithLogout>,
    /// Origins that a browser may be sent to.
    pub origins: Vec<String>,
    keys: Vec<Key>,
    at: Instant,
}

/// A key that signatures are checked by.
pub struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    /// Itself.
    pub key: DecodingKey,
}

/// The issuer cannot be asked, or does not say what it must.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the identity provider {url} cannot be asked: {why}")]
pub struct IssuerError {
    url: String,
    why: String,
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Nothing is asked yet.
    pub fn new(url: String, http: reqwest::Client) -> Self {
        Self { url, http, known: RwLock::new(None), turn: Mutex::new(None) }
    }

    /// As it stands in `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is known now, without asking.
    pub fn current(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known, not much older than ten minutes unless the issuer cannot be reached.
    pub async fn known(&self) -> Result<Arc<Known>, IssuerError> {
        match self.current() {
            Some(known) if known.at.elapsed() < AGE => Ok(known),
            had => self.fetch(had.as_ref()).await,
        }
    }

    /// What is known after a signature was found whose key is not in `had`: newer, or the same within a minute.
    pub async fn renewed(&self, had: &Arc<Known>) -> Result<Arc<Known>, IssuerError> {
        self.fetch(Some(had)).await
    }

    async fn fetch(&self, had: Option<&Arc<Known>>) -> Result<Arc<Known>, IssuerError> {
        let mut turn = self.turn.lock().await;
        let current = self.current();
        if let Some(current) = &current
            && had.is_none_or(|had| !Arc::ptr_eq(had, current))
        {
            return Ok(Arc::clone(current));
        }
        let pause = if current.is_some() { PAUSE } else { RETRY };
        let asked = match *turn {
            Some(last) if last.elapsed() < pause => Err("it did not answer a moment ago".to_owned()),
            _ => {
                *turn = Some(Instant::now());
                self.ask().await
            }
        };
        match (asked, current) {
            (Ok(known), _) => {
                let known = Arc::new(known);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
                Ok(known)
            }
            (Err(_), Some(current)) => Ok(current),
            (Err(why), None) => {
                tracing::warn!(issuer = self.url, why, "an identity provider cannot be asked");
                Err(IssuerError { url: self.url.clone(), why })
            }
        }
    }

    async fn ask(&self) -> Result<Known, String> {
        let document =
            self.json(&format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'))).await?;
        match document["issuer"].as_str() {
            Some(issuer) if issuer == self.url => {}
            other => {
                return Err(format!(
                    "it calls itself `{}`; write exactly that as `issuer`, if it is the one that you mean",
                    other.unwrap_or_default()
                ));
            }
        }
        let mut origins = vec![origin(&self.url)?];
        for address in
            ["jwks_uri", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "end_session_endpoint"]
        {
            if let Some(url) = document[address].as_str() {
                let origin = origin(url).map_err(|why| format!("its {address} {why}"))?;
                if matches!(address, "authorization_endpoint" | "end_session_endpoint") && !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
        }
        let keys = self.json(document["jwks_uri"].as_str().ok_or("it names no jwks_uri")?).await?;
        let metadata = serde_json::from_value::<ProviderMetadataWithLogout>(document)
            .ok()
            .zip(serde_json::from_value::<CoreJsonWebKeySet>(keys.clone()).ok())
            .map(|(metadata, keys)| metadata.set_jwks(keys));
        let keys = keys["keys"].as_array().ok_or("its jwks_uri holds no keys")?;
        // A kind of key that we do not know is none of ours; the others count all the same.
        Ok(Known { metadata, origins, keys: keys.iter().filter_map(Key::read).collect(), at: Instant::now() })
    }

    async fn json(&self, url: &str) -> Result<Value, String> {
        let said = |error: reqwest::Error| plain(&error);
        let mut answer = self.http.get(url).header("accept", "application/json").send().await.map_err(said)?;
        if answer.status() != 200 {
            return Err(format!("{url} answers {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(said)? {
            if body.len() + piece.len() > LIMIT {
                return Err(format!("{url} answers more than {LIMIT} bytes"));
            }
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body).map_err(|error| format!("{url} answers no JSON: {error}"))
    }
}

impl Known {
    /// The keys that may have made a signature of this algorithm, by the id that the token names.
    pub fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        let fits = move |key: &&Key| {
            key.algorithms.contains(&algorithm)
                && match id {
                    Some(id) => key.id.as_deref() == Some(id),
                    None => true,
                }
        };
        self.keys.iter().filter(fits)
    }
}

impl Key {
    /// A public key for signatures; none for all others.
    fn read(value: &Value) -> Option<Self> {
        use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|used| *used != PublicKeyUse::Signature) {
            return None;
        }
        let all: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[ES256],
                EllipticCurve::P384 => &[ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(_) => &[EdDSA],
            // A shared secret signs nothing here.
            _ => return None,
        };
        let algorithms = match jwk.common.key_algorithm {
            None => all.to_vec(),
            Some(only) => all.iter().copied().filter(|algorithm| same(*algorithm, only)).collect(),
        };
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Self { id: jwk.common.key_id, algorithms, key })
    }
}

/// The two lists of the crate name the same algorithms in the same words.
fn same(algorithm: Algorithm, key: KeyAlgorithm) -> bool {
    format!("{algorithm:?}") == format!("{key:?}")
}

/// The origin of an address that may be used.
fn origin(url: &str) -> Result<String, String> {
    match Url::parse(url) {
        Ok(url) if is_private(&url) => Ok(url.origin().ascii_serialization()),
        _ => Err(format!("`{url}` is neither https nor on this machine")),
    }
}

/// Why a request failed, with its causes and without the address' query.
pub(super) fn plain(error: &reqwest::Error) -> String {
    let mut said = if error.is_timeout() { "it takes too long".to_owned() } else { String::new() };
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(error) = cause {
        let separator = if said.is_empty() { "" } else { ": " };
        said = format!("{said}{separator}{error}");
        cause = error.source();
    }
    if said.is_empty() { "the request failed".into() } else { said }
}
