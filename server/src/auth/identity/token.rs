//! A signed token (RFC 7519), believed only when everything about it fits: the algorithm is on our own list, the key
//! is the issuer's and made for that algorithm, and what must be said is said in the right type.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use serde_json::{Map, Value};

use super::issuer::{Issuer, IssuerError, Known};

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// Signatures by a private key; never a shared secret, and never none.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// How far clocks may differ, in seconds.
pub const LEEWAY: i64 = 30;
/// The most that a token may have, in bytes.
const LIMIT: usize = 16 * 1024;

/// Why a token is not believed. Only those after `Signature` may say what the token holds.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// Not three parts of JSON in base64.
    #[error("this is no signed token (JWT)")]
    Shape,
    /// `none`, a shared secret, or something unknown.
    #[error("its algorithm is not taken here; sign tokens with RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    /// No key of the issuer fits.
    #[error("no key of its issuer fits its key id and algorithm")]
    Key,
    /// Changed on the way, or somebody else's.
    #[error("its signature is not its issuer's")]
    Signature,
    /// Over.
    #[error("it has expired; fetch a new one")]
    Expired,
    /// Not yet.
    #[error("it is not valid yet; compare the clocks")]
    NotYet,
    /// Another service's.
    #[error("it is not meant for `{0}`, which its `aud` must name")]
    Audience(String),
    /// Another issuer's.
    #[error("its issuer is not the one whose key has signed it")]
    Issuer,
    /// A claim is not there.
    #[error("its claim `{0}` is missing or not of the right type")]
    Claim(String),
    /// Whom to ask cannot be reached.
    #[error(transparent)]
    Provider(#[from] IssuerError),
}

/// A token whose signature and times hold, and which is meant for `audience`.
pub struct Token {
    /// `typ` of its header, in lower case and without `application/`.
    pub kind: Option<String>,
    /// What it says.
    pub claims: Claims,
}

/// What must be said in a token beside `iss` and `aud`.
pub struct Wanted<'a> {
    /// Whom it is meant for.
    pub audience: &'a str,
    /// Registered claims that it must have.
    pub required: &'a [&'a str],
}

/// Verifies a token of this issuer.
pub async fn verify(issuer: &Issuer, token: &str, wanted: &Wanted<'_>) -> Result<Token, TokenError> {
    if token.len() > LIMIT {
        return Err(TokenError::Shape);
    }
    let header = decode_header(token).map_err(|error| match error.kind() {
        ErrorKind::Json(_) if named_algorithm(token).is_some() => TokenError::Algorithm,
        _ => TokenError::Shape,
    })?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenError::Algorithm);
    }
    // Whatever a header declares critical must be understood, and we understand none of it.
    if header.crit.is_some() {
        return Err(TokenError::Shape);
    }
    let mut known = issuer.known().await?;
    if known.keys(header.kid.as_deref(), header.alg).next().is_none() {
        known = issuer.renewed(&known).await?;
    }
    let claims = signed(&known, issuer.url(), &header, token, wanted)?;
    let kind = header.typ.map(|typ| typ.to_ascii_lowercase().trim_start_matches("application/").to_owned());
    Ok(Token { kind, claims })
}

fn signed(
    known: &Known,
    issuer: &str,
    header: &Header,
    token: &str,
    wanted: &Wanted<'_>,
) -> Result<Claims, TokenError> {
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY.unsigned_abs();
    validation.validate_nbf = true;
    validation.validate_exp = true;
    validation.set_audience(&[wanted.audience]);
    validation.set_issuer(&[issuer]);
    let required: Vec<&str> = ["iss", "aud"].iter().chain(wanted.required).copied().collect();
    validation.set_required_spec_claims(&required);
    let mut why = TokenError::Key;
    for key in known.keys(header.kid.as_deref(), header.alg) {
        let claims = match decode::<Claims>(token, &key.key, &validation) {
            Ok(read) => read.claims,
            Err(error) => match error.into_kind() {
                // Without a key id another key may be the right one.
                ErrorKind::InvalidSignature => {
                    why = TokenError::Signature;
                    continue;
                }
                ErrorKind::ExpiredSignature => return Err(TokenError::Expired),
                ErrorKind::ImmatureSignature => return Err(TokenError::NotYet),
                ErrorKind::InvalidIssuer => return Err(TokenError::Issuer),
                ErrorKind::InvalidAudience => return Err(TokenError::Audience(wanted.audience.into())),
                ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => {
                    return Err(TokenError::Audience(wanted.audience.into()));
                }
                ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                    return Err(TokenError::Claim(claim));
                }
                _ => return Err(TokenError::Shape),
            },
        };
        return typed(claims, issuer, wanted);
    }
    Err(why)
}

/// The same once more by our own eyes, and with the types that the standard gives them.
fn typed(claims: Claims, issuer: &str, wanted: &Wanted<'_>) -> Result<Claims, TokenError> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(TokenError::Issuer);
    }
    let audience = match claims.get("aud") {
        Some(Value::String(one)) => one == wanted.audience,
        Some(Value::Array(all)) => {
            all.iter().all(Value::is_string) && all.iter().any(|one| one.as_str() == Some(wanted.audience))
        }
        _ => false,
    };
    if !audience {
        return Err(TokenError::Audience(wanted.audience.into()));
    }
    for claim in ["exp", "nbf", "iat"] {
        let required = wanted.required.contains(&claim);
        if claims.get(claim).map_or(required, |at| !at.is_number()) {
            return Err(TokenError::Claim(claim.into()));
        }
    }
    for claim in ["sub", "jti"] {
        let required = wanted.required.contains(&claim);
        if claims.get(claim).map_or(required, |text| text.as_str().is_none_or(str::is_empty)) {
            return Err(TokenError::Claim(claim.into()));
        }
    }
    Ok(claims)
}

/// A moment in a token, in whole seconds since 1970.
pub fn seconds(claims: &Claims, claim: &str) -> Option<i64> {
    let value = claims.get(claim)?;
    value.as_i64().or_else(|| {
        let at = value.as_f64()?;
        // Beyond 2^53 it is no time.
        #[allow(clippy::cast_possible_truncation)]
        (at.is_finite() && at.abs() < 9.0e15).then(|| at.floor() as i64)
    })
}

/// What a token says before anybody has looked whether it is true.
pub fn unverified(token: &str) -> Option<Claims> {
    part(token, 1)
}

fn named_algorithm(token: &str) -> Option<String> {
    part(token, 0)?.get("alg")?.as_str().map(str::to_owned)
}

fn part(token: &str, which: usize) -> Option<Claims> {
    if token.len() > LIMIT || token.split('.').count() != 3 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(which)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}
