//! Pending actions, at the guard. Whoever has signed in at a terminal sends an access token, which proves no presence, so
//! whatever asks for a new sign-in is refused there. With the header `Holdfast-Pending: wanted` the refusal brings a
//! page on which they sign in anew and say yes; the very same request with `Holdfast-Pending: pnd_…` is then carried out
//! once. For people alone: no key, no service account, no cookie and no host's credential is ever let further by it.
//!
//! | room | what it holds |
//! |---|---|
//! | `page` | the page, its two buttons, and what the command asks meanwhile |
//! | `words` | what a request would do, for people |
//! | `mask` | the body as it may be shown |

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderName, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use holdfast_model::{access::Permission, id::PendingId, pending::PendingNote};
use sha2::{Digest as _, Sha256};

use super::{ApiError, BODY, Rule, Web, peer::Peer};
use crate::{
    actions::ActionError,
    auth::{Caller, CallerKind},
    store::{NewPending, SameRequest},
};

mod mask;
pub(super) mod page;
mod words;

/// What a request says of it.
const HEADER: HeaderName = HeaderName::from_static("holdfast-pending");

/// Stands in an answer that asks for a new sign-in.
#[derive(Debug, Clone, Copy)]
pub(super) struct AsksToSignIn;

/// Stands in an answer whose refusal is in the audit log already, as the pending action that was made of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept;

/// What the header says.
enum Wish {
    /// Make one if the answer asks for a new sign-in.
    Wanted,
    /// This one was confirmed.
    Confirmed(PendingId),
}

/// Hands a request that its rule lets through to its handler, by way of what its person has confirmed.
pub(super) async fn carry_out(web: &Web, caller: Caller, rule: Rule, request: Request, next: Next) -> Response {
    let wish = match wish(&request) {
        Ok(wish) => wish,
        Err(error) => return error.into_response(),
    };
    match (wish, rule) {
        (Some(Wish::Wanted), Rule::May(permission)) if is_of_somebody(&caller) => {
            wanted(web, caller, permission, request, next).await
        }
        (Some(Wish::Confirmed(id)), Rule::May(_)) => confirmed(web, caller, &id, request, next).await,
        _ => hand_on(caller, request, next).await,
    }
}

async fn hand_on(caller: Caller, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Whether the caller is a person who has come by an access token.
fn is_of_somebody(caller: &Caller) -> bool {
    caller.kind == CallerKind::Person && !caller.fresh
}

fn wish(request: &Request) -> Result<Option<Wish>, ApiError> {
    if !request.uri().path().starts_with("/v1/") {
        return Ok(None);
    }
    let Some(value) = request.headers().get(HEADER) else { return Ok(None) };
    match value.to_str() {
        Ok("wanted") => Ok(Some(Wish::Wanted)),
        Ok(id) if id.parse::<PendingId>().is_ok() => Ok(id.parse().ok().map(Wish::Confirmed)),
        _ => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid",
            "Holdfast-Pending: say `wanted`, or give the id of a pending action (pnd_…)",
        )),
    }
}

/// The request with its body read: no more than any request but an import may have.
async fn whole(request: Request) -> Result<(Parts, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    match to_bytes(body, BODY).await {
        Ok(bytes) => Ok((parts, bytes)),
        Err(_) => Err(ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "a request that may wait for its person has a body of at most 1 MB; send it without `Holdfast-Pending`",
        )),
    }
}

fn hash(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

fn target(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| parts.uri.path().to_owned(), ToString::to_string)
}

async fn wanted(web: &Web, caller: Caller, permission: Permission, request: Request, next: Next) -> Response {
    let (parts, body) = match whole(request).await {
        Ok(whole) => whole,
        Err(error) => return error.into_response(),
    };
    let again = parts.clone();
    let response = hand_on(caller.clone(), Request::from_parts(parts, Body::from(body.clone())), next).await;
    if response.extensions().get::<AsksToSignIn>().is_none() {
        return response;
    }
    match make(web, &caller, permission, again, &body).await {
        Ok(note) => {
            let mut problem = ApiError::from(ActionError::SignInAgain);
            problem.0.pending = Some(Box::new(note));
            let mut response = problem.into_response();
            response.extensions_mut().insert(Kept);
            response
        }
        Err(error) => error.into_response(),
    }
}

/// Keeps the request for its person to decide.
async fn make(
    web: &Web,
    caller: &Caller,
    permission: Permission,
    mut parts: Parts,
    body: &Bytes,
) -> Result<PendingNote, ApiError> {
    let words = words::of(&web.unbound().by(caller.clone()), &mut parts, body, permission).await?;
    let store = web.unbound().store();
    let id = store.new_pending_id().await.map_err(ActionError::from)?;
    let shown = web.identity().key().wrap(&purpose(&id), mask::body(body).as_bytes()).map_err(ActionError::internal)?;
    let from = parts.extensions.get().map(|Peer(address)| address.to_string());
    let new = NewPending {
        id: &id,
        subject: &caller.subject,
        name: &caller.name,
        request: SameRequest { method: parts.method.as_str(), target: &target(&parts), body_hash: &hash(body) },
        permission,
        project: words.project.as_ref(),
        description: &words.text,
        shown: &shown,
        asked_from: from.as_deref(),
    };
    let expires_at = store.put_pending(&new).await.map_err(ActionError::from)?;
    let mut page = web.base().clone();
    page.set_path(&address(&id));
    Ok(PendingNote { id, page: page.into(), expires_at })
}

async fn confirmed(web: &Web, mut caller: Caller, id: &PendingId, request: Request, next: Next) -> Response {
    let refused = |why: String| ApiError::new(StatusCode::FORBIDDEN, "not-confirmed", why).into_response();
    if caller.kind != CallerKind::Person {
        return refused("only a person's own access token carries out what that person has confirmed".into());
    }
    let (parts, body) = match whole(request).await {
        Ok(whole) => whole,
        Err(error) => return error.into_response(),
    };
    let same = SameRequest { method: parts.method.as_str(), target: &target(&parts), body_hash: &hash(&body) };
    match web.unbound().store().take_pending(&caller.subject, &caller.name, id.as_str(), same).await {
        Ok(Ok(())) => caller.fresh = true,
        Ok(Err(why)) => return refused(why.to_string()),
        Err(error) => return ApiError::from(ActionError::from(error)).into_response(),
    }
    hand_on(caller, Request::from_parts(parts, Body::from(body)), next).await
}

/// What the server key wraps its text for.
fn purpose(id: &PendingId) -> String {
    format!("pending:{id}")
}

/// Its page's path.
fn address(id: &PendingId) -> String {
    format!("/pending/{id}")
}
