//! Signing in with an identity provider: there, back again, once more, and the provider's own word that it is over.

use axum::{
    Form,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use leptos::prelude::*;
use serde::Deserialize;
use tower_sessions::Session;

use super::{Web, break_glass, document, failed, local};
use crate::auth::{Again, Answer, Browser, LogoutError, Provider, SessionError, SignInError, refusal};

/// Where to go afterwards.
#[derive(Deserialize)]
pub(in crate::http) struct Next {
    #[serde(default)]
    pub(super) next: Option<String>,
}

/// What a provider sends to say that a session has ended.
#[derive(Deserialize)]
pub(in crate::http) struct Logout {
    logout_token: String,
}

/// `POST /sign-in/{provider}`
pub(in crate::http) async fn begin(
    State(web): State<Web>,
    Path(name): Path<String>,
    session: Session,
    Form(form): Form<Next>,
) -> Response {
    leave_for(&web, &name, &session, form.next.as_deref(), false).await
}

/// `GET /sign-in/{provider}/again`: the provider must ask for the password, whoever is signed in there.
pub(in crate::http) async fn again(
    State(web): State<Web>,
    Path(name): Path<String>,
    session: Session,
    Query(query): Query<Next>,
) -> Response {
    leave_for(&web, &name, &session, query.next.as_deref(), true).await
}

/// `GET /sign-in/again`: with the provider that this session came from.
pub(in crate::http) async fn again_with_the_same(
    State(web): State<Web>,
    session: Session,
    Query(query): Query<Next>,
) -> Response {
    match web.identity().way_again(&session).await {
        Ok(Again::With(provider)) => {
            leave_for(&web, provider.settings.name.as_str(), &session, query.next.as_deref(), true).await
        }
        Ok(Again::ByGlass) => Redirect::to(&break_glass::href(&local(query.next.as_deref()))).into_response(),
        // Whoever came by a link has nobody to ask; whoever is signed out is sent to the sign-in page from there.
        Ok(Again::Nobody) => Redirect::to(&local(query.next.as_deref())).into_response(),
        Err(error) => broken(&error),
    }
}

async fn leave_for(web: &Web, name: &str, session: &Session, next: Option<&str>, anew: bool) -> Response {
    let Some(provider) = web.identity().provider(name) else { return unknown() };
    match provider.begin(local(next), anew).await {
        Ok((there, pending)) => match web.identity().remember(session, pending).await {
            Ok(()) => Redirect::to(there.as_str()).into_response(),
            Err(error) => broken(&error),
        },
        Err(error) => not_signed_in(web, provider, &error).await,
    }
}

/// `GET /sign-in/{provider}/callback`
pub(in crate::http) async fn finish(
    State(web): State<Web>,
    Path(name): Path<String>,
    session: Session,
    browser: Browser,
    Query(answer): Query<Answer>,
) -> Response {
    let identity = web.identity();
    let Some(provider) = identity.provider(&name) else { return unknown() };
    let pending = match identity.take(&session, answer.state.as_deref().unwrap_or_default()).await {
        Ok(Some(pending)) => pending,
        Ok(None) => return not_signed_in(&web, provider, &SignInError::Lost).await,
        Err(error) => return broken(&error),
    };
    let next = pending.next.clone();
    match provider.finish(pending, answer).await {
        Ok(grant) => match identity.enter(&session, provider, grant, &browser).await {
            Ok(()) => Redirect::to(&next).into_response(),
            Err(error) => broken(&error),
        },
        Err(error) => not_signed_in(&web, provider, &error).await,
    }
}

/// `POST /sign-in/{provider}/back-channel-logout`
pub(in crate::http) async fn logged_out(
    State(web): State<Web>,
    Path(name): Path<String>,
    Form(form): Form<Logout>,
) -> Response {
    let Some(provider) = web.identity().provider(&name) else { return unknown() };
    match web.identity().logged_out(provider, &form.logout_token).await {
        Ok(ended) => {
            tracing::info!(provider = %provider.settings.name, ended, "the identity provider ended sessions");
            StatusCode::OK.into_response()
        }
        Err(LogoutError::Store(error)) => {
            tracing::error!(%error, "a logout could not be carried out");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
        Err(error) => {
            tracing::warn!(provider = %provider.settings.name, %error, "a logout token was refused");
            let said = serde_json::json!({ "error": "invalid_request", "error_description": error.to_string() });
            (StatusCode::BAD_REQUEST, axum::Json(said)).into_response()
        }
    }
}

/// The page that says why nobody was signed in, and the line in the audit log.
async fn not_signed_in(web: &Web, provider: &Provider, error: &SignInError) -> Response {
    let name = provider.settings.name.as_str();
    let (who, subject, detail) = refusal(error, name);
    tracing::warn!(provider = name, %error, "nobody was signed in");
    // What anybody can cause who reaches the listener fills no audit log.
    if error.is_of_somebody()
        && let Err(error) = web.unbound().store().audit(&who, "sign_in.refused", &subject, &detail).await
    {
        tracing::error!(%error, "the audit log cannot be written");
    }
    let again = format!("/sign-in/{name}/again");
    if let SignInError::NoRole { name: person, subject, claim, found } = error {
        if let Err(error) = web.unbound().store().member_has_no_role(subject).await {
            tracing::error!(%error, "the catalogue cannot be written");
        }
        let looked = if *found { "none of its values has a role here" } else { "it is not there" };
        let body = view! {
            <p>"You are " <strong>{person.clone()}</strong> " to " {name.to_owned()} ", and you have no role in Holdfast."</p>
            <p>"Roles come from the claim " <code>{claim.clone()}</code> "; " {looked} ". Ask whoever runs Holdfast, or \
                whoever keeps the groups at " {name.to_owned()} ", to give you one, and sign in again."</p>
            <p><a class="button" href=again>"Sign in as somebody else"</a></p>
        };
        return document(StatusCode::FORBIDDEN, "No entry", body.into_any());
    }
    let status = match error {
        SignInError::Unavailable(_) | SignInError::NoAnswer(_) | SignInError::Unable(_) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        SignInError::Lost => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    let said = error.to_string();
    let mut letters = said.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let body = view! {
        <p>{format!("{first}{}.", letters.as_str())}</p>
        <p><a class="button" href="/sign-in">"Begin again"</a></p>
    };
    document(status, "You are not signed in", body.into_any())
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, "There is no identity provider of that name here.").into_response()
}

pub(super) fn broken(error: &SessionError) -> Response {
    tracing::error!(%error, "a session could not be read or written");
    document(StatusCode::SERVICE_UNAVAILABLE, "Signing in failed", failed())
}
