//! An issuer whose private key the tests have: it answers discovery and keys on loopback, counts who asks, and refuses
//! every code but the one that a test announces. People sign in with a real Keycloak elsewhere.

use std::sync::{
    Arc, LazyLock, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::{
    RsaPrivateKey,
    pkcs1::{EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _, LineEnding},
    traits::PublicKeyParts as _,
};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::harness::{Server, cookie};

/// One key for all; making it takes a moment.
static KEY: LazyLock<RsaPrivateKey> = LazyLock::new(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap());

/// Another one, which no issuer publishes.
static STRANGER: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).unwrap());

pub struct Issuer {
    pub url: String,
    fetches: Arc<AtomicUsize>,
    announced: Announced,
    given: Arc<Mutex<Vec<String>>>,
}

/// The ID token of the next code that is asked for.
type Announced = Arc<Mutex<Option<String>>>;

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fetches = Arc::new(AtomicUsize::new(0));
        let discovery = json!({
            "issuer": url,
            "authorization_endpoint": format!("{url}/authorize"),
            "token_endpoint": format!("{url}/token"),
            "end_session_endpoint": format!("{url}/end"),
            "jwks_uri": format!("{url}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        });
        let announced = Announced::default();
        let answers = Arc::clone(&announced);
        let given = Arc::<Mutex<Vec<String>>>::default();
        let gives = Arc::clone(&given);
        let router = Router::new()
            .route("/.well-known/openid-configuration", routing::get(move || async { Json(discovery) }))
            .route("/keys", routing::get(keys))
            .route(
                "/token",
                routing::post(move || async move {
                    match answers.lock().unwrap().take() {
                        Some(id_token) => {
                            let all = [id_token, random("access"), random("refresh")];
                            *gives.lock().unwrap() = all.to_vec();
                            (StatusCode::OK, Json(tokens(&all)))
                        }
                        None => (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))),
                    }
                }),
            )
            .with_state(Arc::clone(&fetches));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, fetches, announced, given }
    }

    /// The claims of an access token that a person's device login has brought.
    pub fn person(&self, name: &str, group: &str) -> Value {
        let changes = json!({
            "sub": name, "preferred_username": name, "azp": "holdfast-cli", "client_id": null, "groups": [group],
            "sid": format!("terminal-{name}"), "auth_time": now() - 3_600,
        });
        with(self.claims(), changes)
    }

    /// Signs a person in by a browser who has given their password so many seconds ago; gives the cookie.
    pub async fn sign_in(&self, server: &Server, name: &str, group: &str, ago: i64) -> String {
        let begun = server.ask("POST", "/sign-in/sso").form(&[("next", "/")]).send().await.unwrap();
        let there: url::Url = begun.headers()["location"].to_str().unwrap().parse().unwrap();
        let said: std::collections::HashMap<_, _> = there.query_pairs().into_owned().collect();
        *self.announced.lock().unwrap() = Some(sign(&json!({
            "iss": self.url, "aud": "holdfast", "sub": name, "exp": now() + 300, "iat": now(), "nonce": said["nonce"],
            "auth_time": now() - ago, "sid": format!("browser-{name}"), "preferred_username": name, "groups": [group],
        })));
        let back = format!("/sign-in/sso/callback?code=c&state={}", said["state"]);
        let entered = server.ask("GET", &back).header("cookie", cookie(&begun).unwrap()).send().await.unwrap();
        assert_eq!(entered.status(), 303, "{}", entered.text().await.unwrap());
        cookie(&entered).unwrap()
    }

    /// The ID, access and refresh token of the last sign-in.
    pub fn given(&self) -> Vec<String> {
        self.given.lock().unwrap().clone()
    }

    /// How often the keys were fetched.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// The claims of an access token as Keycloak makes it for a service account.
    pub fn claims(&self) -> Value {
        let now = now();
        json!({
            "iss": self.url, "aud": ["holdfast-api", "account"], "sub": "5f0e", "exp": now + 300, "iat": now,
            "jti": format!("jti-{}", getrandom::u64().unwrap()), "typ": "Bearer", "azp": "holdfast-ci",
            "client_id": "holdfast-ci", "preferred_username": "service-account-holdfast-ci", "groups": ["ops"],
        })
    }
}

fn tokens([id, access, refresh]: &[String; 3]) -> Value {
    json!({ "access_token": access, "refresh_token": refresh, "id_token": id, "token_type": "Bearer", "expires_in": 300 })
}

fn random(what: &str) -> String {
    format!("{what}-token-{:016x}", getrandom::u64().unwrap())
}

/// The same claims with some changed; null takes one away.
pub fn with(mut claims: Value, changes: Value) -> Value {
    let all = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name)
        } else {
            all.insert(name.clone(), value.clone())
        };
    }
    claims
}

pub fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

pub fn header(kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) }
}

/// Signed by the issuer's key.
pub fn sign(claims: &Value) -> String {
    sign_as(&header("one"), claims)
}

pub fn sign_as(header: &Header, claims: &Value) -> String {
    encode(header, claims, &private(&KEY)).unwrap()
}

/// Signed by somebody else, with the issuer's key id.
pub fn forge(claims: &Value) -> String {
    encode(&header("one"), claims, &private(&STRANGER)).unwrap()
}

/// "Signed" by what everybody knows: the public key, as the secret of an HMAC.
pub fn sign_by_public_key(claims: &Value) -> String {
    let public = KEY.to_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
    let header = Header { kid: Some("one".into()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(public.as_bytes())).unwrap()
}

/// Not signed at all.
pub fn unsigned(claims: &Value) -> String {
    format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(claims))
}

/// The good token's head and signature with other claims between them.
pub fn tampered(token: &str, claims: &Value) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], part(claims), parts[2])
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn private(key: &RsaPrivateKey) -> EncodingKey {
    EncodingKey::from_rsa_pem(key.to_pkcs1_pem(LineEnding::LF).unwrap().as_bytes()).unwrap()
}

async fn keys(State(fetches): State<Arc<AtomicUsize>>) -> Json<Value> {
    fetches.fetch_add(1, Ordering::SeqCst);
    let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let key = |id: &str, algorithm: &str, used: &str| json!({ "kty": "RSA", "kid": id, "alg": algorithm, "use": used, "n": number(KEY.n()), "e": number(KEY.e()) });
    Json(json!({ "keys": [key("one", "RS256", "sig"), key("other", "PS256", "sig"), key("box", "RSA-OAEP", "enc")] }))
}
