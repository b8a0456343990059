//! The rules, carried out before any handler runs. A request that passes carries its [`Caller`].

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use holdfast_model::access::{Access, Role};
use tower_sessions::Session;

use super::{ApiError, Rule, Web};
use crate::{
    actions::ActionError,
    auth::{Caller, CallerKind, signed_in, token_hash},
};

/// Lets the request through, or answers for it.
pub(super) async fn check(State((web, rule)): State<(Web, Rule)>, mut request: Request, next: Next) -> Response {
    let caller = match rule {
        Rule::Open => return next.run(request).await,
        Rule::Bearer => bearer(&web, request.headers()).await,
        Rule::HostCredential => bearer(&web, request.headers()).await.and_then(|caller| {
            if caller.kind == CallerKind::Host {
                Ok(caller)
            } else {
                Err(ActionError::Forbidden("only the host's own credential (client.json) may do this".into()).into())
            }
        }),
        Rule::Session => match person(session(&request)).await {
            Ok(Some(caller)) => Ok(caller),
            Ok(None) => return signed_out(&request),
            Err(error) => Err(ActionError::internal(error).into()),
        },
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The session that the cookie of this request names.
pub(super) fn session(request: &Request) -> Option<Session> {
    request.extensions().get().cloned()
}

/// Who is signed in by it.
pub(super) async fn person(session: Option<Session>) -> Result<Option<Caller>, tower_sessions::session::Error> {
    match session {
        Some(session) => signed_in(&session).await,
        None => Ok(None),
    }
}

/// A page sends the browser to the sign-in page and back; everything else is told.
fn signed_out(request: &Request) -> Response {
    let wants_page = request
        .headers()
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_none_or(|accept| accept.contains("text/html") || accept.contains("*/*"));
    let path = request.uri().path();
    if request.method() == Method::GET && wants_page && !path.starts_with("/ui/") {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", request.uri().path_and_query().map_or("/", |whole| whole.as_str()));
        return Redirect::to(&format!("/sign-in?{}", query.finish())).into_response();
    }
    (StatusCode::UNAUTHORIZED, "You are signed out. Sign in to go on.").into_response()
}

async fn bearer(web: &Web, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let refused = |detail: &str| Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", detail));
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, token)) = given.and_then(|value| value.split_once(' ')) else {
        return refused("send `authorization: Bearer <token>`; on this machine the token is in client.json");
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return refused("only bearer tokens are taken here");
    }
    let found = web.actions().store().credential(&token_hash(token.trim())).await.map_err(ActionError::from)?;
    match found {
        Some(row) => {
            if row.kind == "host" {
                Ok(Caller::host(row.name))
            } else {
                let subject = format!("key:{}", row.name);
                Ok(Caller::program(row.name, subject, Access::everywhere(Role::Operator)))
            }
        }
        None => refused("this token is not known; on this machine the token is in client.json"),
    }
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
