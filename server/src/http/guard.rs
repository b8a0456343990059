//! The rules, carried out before any handler runs. A request that passes carries its [`Caller`].

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use holdfast_model::access::{Access, Role};
use time::Duration;
use tower_sessions::Session;

use super::{ApiError, Rule, Web, card, extract::idempotency_key, pace::Counted, peer::Peer, pending, problem, routes};
use crate::{
    actions::{ActionError, Actions, comes_from, refusal},
    auth::{Caller, CallerKind, SessionError, admin, key, owner, token_hash},
    store::{Came, Seldom, StoreError},
};

/// A page that is refused stands in the audit log once in so long, however often it is loaded again.
const DENIED_EVERY: Duration = Duration::minutes(10);

/// Lets the request through, or answers for it. A refusal of somebody who is known is audited.
pub(super) async fn check(State((web, rule)): State<(Web, Rule)>, request: Request, next: Next) -> Response {
    if rule == Rule::Open {
        return next.run(request).await;
    }
    let asked = format!("{} {}", request.method(), request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let page = wants_page(&request);
    let caller = if routes::for_programs(request.uri().path()) {
        bearer(&web, request.headers(), request.extensions().get().copied(), &asked).await
    } else {
        match person(&web, session(&request)).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => return signed_out(&request),
            Err(error) => Err(ActionError::internal(error).into()),
        }
    };
    let caller = match caller {
        Ok(caller) => caller,
        Err(error) => {
            let stranger = Counted::Stranger(request.extensions().get().map(|Peer(address)| *address));
            return web.0.pace.refusal(&stranger).unwrap_or_else(|| error.into_response());
        }
    };
    if let Some(slower) = web.0.pace.refusal(&Counted::Caller(caller.subject.clone())) {
        return slower;
    }
    let (who, subject) = (caller.name.clone(), caller.subject.clone());
    let again = page && caller.kind == CallerKind::Person;
    let response = match refused(&web, &caller, rule) {
        Some(why) if page => card::refusal(ActionError::Forbidden(why).into(), "Not allowed", "/".to_owned()),
        Some(why) => ApiError::from(ActionError::Forbidden(why)).into_response(),
        None => pending::carry_out(&web, caller, rule, request, next).await,
    };
    if response.status() == StatusCode::FORBIDDEN && response.extensions().get::<pending::Kept>().is_none() {
        let once = again.then_some((subject.as_str(), route.as_str()));
        if let Err(error) = denied(&web, once, &who, &asked).await {
            tracing::error!(%error, "the audit log cannot be written");
        }
    }
    response
}

/// The line in the audit log; of a page that somebody loads again and again, one for each person and route.
async fn denied(web: &Web, once: Option<(&str, &str)>, who: &str, asked: &str) -> Result<(), StoreError> {
    let store = web.unbound().store();
    match once {
        Some((by, route)) => {
            let what = format!("denied GET {route}");
            store.audit_seldom(Seldom { by, what: &what, every: DENIED_EVERY }, who, "denied", asked, "").await
        }
        None => store.audit(who, "denied", asked, "").await,
    }
}

/// Why this caller may not ask at all, whatever the request names; the actions ask again for the very project.
fn refused(web: &Web, caller: &Caller, rule: Rule) -> Option<String> {
    match rule {
        Rule::Open => None,
        Rule::Host if caller.kind == CallerKind::Host => None,
        Rule::Host if web.identity().links_sign_in() => {
            Some("only the host's own credential (client.json) may do this".to_owned())
        }
        Rule::Host => Some(
            "only the owner of the data directory may do this, on the server's host: `holdfast admin …`".to_owned(),
        ),
        Rule::May(permission) => (!caller.access.may_somewhere(permission)).then(|| refusal(caller, None, permission)),
    }
}

/// The session that the cookie of this request names.
pub(super) fn session(request: &Request) -> Option<Session> {
    request.extensions().get().cloned()
}

/// Who is signed in by it.
pub(super) async fn person(web: &Web, session: Option<Session>) -> Result<Option<Caller>, SessionError> {
    match session {
        Some(session) => web.identity().signed_in(&session).await,
        None => Ok(None),
    }
}

/// Whether somebody opens a page of the dashboard.
fn wants_page(request: &Request) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let path = request.uri().path();
    request.method() == Method::GET
        && accept.is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"))
        && !path.starts_with("/ui/")
        && !routes::for_programs(path)
}

/// A page sends the browser to the sign-in page and back; everything else is told.
fn signed_out(request: &Request) -> Response {
    if wants_page(request) {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", request.uri().path_and_query().map_or("/", |whole| whole.as_str()));
        return Redirect::to(&format!("/sign-in?{}", query.finish())).into_response();
    }
    (StatusCode::UNAUTHORIZED, "You are signed out. Sign in to go on.").into_response()
}

async fn bearer(web: &Web, headers: &HeaderMap, from: Option<Peer>, asked: &str) -> Result<Caller, ApiError> {
    let refused = |detail: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = given.and_then(|value| value.split_once(' ')) else {
        return refused("send `authorization: Bearer <token>`; on this machine the token is in client.json");
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return refused("only bearer tokens are taken here");
    }
    let token = token.trim();
    if admin::is_admin(token) {
        return by_owner(web, token, asked).await;
    }
    if key::is_key(token) {
        return by_key(web, token, from).await;
    }
    // A signed token has three parts; no key of ours has a dot.
    if token.matches('.').count() == 2 {
        let caller = web.identity().bearer(token).await.map_err(|error| {
            let status = error.status();
            ApiError::new(status, problem::word(status), format!("this bearer token is refused: {error}"))
        })?;
        let came = Came {
            subject: &caller.subject,
            name: &caller.name,
            program: caller.kind == CallerKind::Program,
            issuer: caller.subject.split_once('#').map(|(issuer, _)| issuer),
            access: &caller.access,
        };
        web.unbound().store().member_came(came).await.map_err(ActionError::from)?;
        return Ok(caller);
    }
    match web.unbound().store().credential(&token_hash(token)).await.map_err(ActionError::from)? {
        Some(name) if web.identity().links_sign_in() => Ok(Caller::host(name)),
        // Where people prove who they are, whoever can read a file on the host is a program like others.
        Some(name) => Ok(Caller::program(name, "host".into(), Access::everywhere(Role::Operator))),
        None => refused(
            "this token is not known; on this machine the token is in client.json, elsewhere make a key: holdfast key \
             create",
        ),
    }
}

/// The owner of the data directory, past the identity provider; each of its requests is audited.
async fn by_owner(web: &Web, token: &str, asked: &str) -> Result<Caller, ApiError> {
    if !admin::is_valid(&web.unbound().settings().data_dir, token) {
        let detail = "run `holdfast admin` on the server's host, as the owner of its data directory";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    }
    let name = format!("{} by holdfast admin", owner());
    tracing::warn!(name, asked, "BREAK GLASS: a request past the identity provider");
    web.unbound().store().audit(&name, "break_glass.admin", asked, "").await.map_err(ActionError::from)?;
    Ok(Caller::host(name))
}

/// The program that holds a key.
async fn by_key(web: &Web, token: &str, from: Option<Peer>) -> Result<Caller, ApiError> {
    let refused = |detail: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    if !key::is_whole(token) {
        return refused("this key is not whole: a part of it is missing or mistyped");
    }
    let store = web.unbound().store();
    let Some(found) = store.key_of(&token_hash(token)).await.map_err(ActionError::from)? else {
        return refused("this key is not known, its time is over, or it was revoked");
    };
    let from = from.map(|Peer(address)| address);
    if !comes_from(&found.view.networks, from) {
        let said = from.map_or_else(|| "an unknown address".to_owned(), |from| from.to_string());
        store
            .audit(&found.view.name, "denied", found.view.id.as_str(), &format!("from {said}"))
            .await
            .map_err(ActionError::from)?;
        return refused("this key may not be used from here");
    }
    let said = from.map(|from| from.to_string());
    store.key_used(&found.view, said.as_deref()).await.map_err(ActionError::from)?;
    let subject = format!("key:{}", found.view.id);
    Ok(Caller::program(found.view.name, subject, found.access))
}

/// Handlers behind a rule take the caller as an argument; behind `Open` there is none, and asking is a fault of ours.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ActionError::internal("a handler behind an open rule asked for its caller").into())
    }
}

/// What a handler behind a rule does, it does for the caller of its request.
impl FromRequestParts<Web> for Actions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, ApiError> {
        let actions = web.unbound().by(Caller::from_request_parts(parts, web).await?);
        let key = if parts.method == Method::POST { idempotency_key(&parts.headers)? } else { None };
        Ok(actions.once(key.as_deref())?)
    }
}
