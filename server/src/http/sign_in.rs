//! Signing in and out. With an identity provider there is a button for each; without one, a one-time link signs in:
//! opening it only shows a page with a button, so that a preview in a chat or mail program does not burn it, and the
//! button's form uses it. Plain HTML, no script.

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use leptos::prelude::*;
use serde::Deserialize;
use tower_sessions::Session;

use super::{Web, card::document, guard, headers::content_policy};
use crate::{
    actions::ActionError,
    auth::{self, Browser, Identity},
};

pub(super) mod break_glass;
pub(super) mod provider;

/// What link and form carry.
#[derive(Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    next: Option<String>,
}

/// `GET /sign-in`
pub(super) async fn page(State(web): State<Web>, Query(entry): Query<Entry>, session: Session) -> Response {
    let next = local(entry.next.as_deref());
    if entry.token.is_none() && matches!(guard::person(&web, Some(session)).await, Ok(Some(_))) {
        return Redirect::to(&next).into_response();
    }
    let identity = web.identity();
    match entry.token.filter(|token| is_token(token) && identity.links_sign_in()) {
        Some(token) => document(StatusCode::OK, "Sign in", form(token, next)),
        None if identity.providers().is_empty() => document(StatusCode::OK, "Sign in", how_to()),
        None => {
            let mut origins = Vec::new();
            for provider in identity.providers() {
                origins.extend(provider.form_origins_asked().await);
            }
            let mut page = document(StatusCode::OK, "Sign in", buttons(identity, &next));
            if let Ok(policy) = HeaderValue::from_str(&content_policy(None, &origins)) {
                page.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
            }
            page
        }
    }
}

/// `POST /sign-in`
pub(super) async fn sign_in(
    State(web): State<Web>,
    session: Session,
    browser: Browser,
    Form(entry): Form<Entry>,
) -> Response {
    let identity = web.identity();
    if !identity.links_sign_in() {
        return document(StatusCode::FORBIDDEN, "This link cannot be used", links_off());
    }
    let token = entry.token.filter(|token| is_token(token)).unwrap_or_default();
    let outcome = async {
        if !auth::take_link(web.unbound().store(), &token).await.map_err(ActionError::from)? {
            return Ok(false);
        }
        identity.enter_by_link(&session, &browser).await.map_err(ActionError::internal)?;
        Ok::<_, ActionError>(true)
    };
    match outcome.await {
        Ok(true) => Redirect::to(&local(entry.next.as_deref())).into_response(),
        Ok(false) => document(StatusCode::FORBIDDEN, "This link cannot be used", used_up()),
        Err(error) => {
            tracing::error!(%error, "signing in failed");
            document(StatusCode::SERVICE_UNAVAILABLE, "Signing in failed", failed())
        }
    }
}

/// `POST /sign-out`: here, and then at the provider.
pub(super) async fn sign_out(State(web): State<Web>, session: Session) -> Response {
    match web.identity().leave(&session).await {
        Ok(out) => match out.told {
            Some((provider, id_token)) => match provider.end_address(&id_token).await {
                Some(there) => Redirect::to(there.as_str()).into_response(),
                None => Redirect::to("/sign-in").into_response(),
            },
            None => Redirect::to("/sign-in").into_response(),
        },
        Err(error) => {
            tracing::error!(%error, "signing out failed");
            document(StatusCode::SERVICE_UNAVAILABLE, "Signing out failed", failed())
        }
    }
}

/// Where to go afterwards: a path of this server, never another site.
fn local(next: Option<&str>) -> String {
    next.filter(|path| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() < 2_000
            && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
            && !path.starts_with("/sign-")
    })
    .unwrap_or("/")
    .to_owned()
}

fn is_token(token: &str) -> bool {
    token.len() < 200 && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn buttons(identity: &Identity, next: &str) -> AnyView {
    let forms = identity
        .providers()
        .iter()
        .map(|provider| {
            let name = provider.settings.name.to_string();
            view! {
                <form method="post" action=format!("/sign-in/{name}")>
                    <input type="hidden" name="next" value=next.to_owned() />
                    <button type="submit" class="button primary">{format!("Sign in with {name}")}</button>
                </form>
            }
        })
        .collect_view();
    let glass = identity.offers_glass().then(|| {
        view! {
            <p class="note">"The identity provider does not answer? " <a href=break_glass::href(next)>"Break glass"</a></p>
        }
    });
    view! {
        <p>"You are signed out. Your identity provider says who you are; what you may do here follows from it."</p>
        {forms}
        {glass}
    }
    .into_any()
}

fn form(token: String, next: String) -> AnyView {
    view! {
        <p>"This link signs this browser in, once. It works for 15 minutes after it was made."</p>
        <form method="post" action="/sign-in">
            <input type="hidden" name="token" value=token />
            <input type="hidden" name="next" value=next />
            <button type="submit" class="button primary">"Sign in"</button>
        </form>
    }
    .into_any()
}

fn how_to() -> AnyView {
    view! {
        <p>"You are signed out. A one-time link signs you in. On the machine that Holdfast runs on, type:"</p>
        <pre><code>"holdfast sign-in-link"</code></pre>
        <p>"and open the address that it prints."</p>
    }
    .into_any()
}

fn used_up() -> AnyView {
    view! {
        <p>"It has been used, or it is older than 15 minutes. A new one is made on the machine that Holdfast runs on:"</p>
        <pre><code>"holdfast sign-in-link"</code></pre>
    }
    .into_any()
}

fn links_off() -> AnyView {
    view! {
        <p>"People sign in with the identity provider here; one-time links open nothing."</p>
        <p><a class="button" href="/sign-in">"Sign in"</a></p>
    }
    .into_any()
}

fn failed() -> AnyView {
    view! { <p>"The server could not do it now; its log says why. Reload the page to try again."</p> }.into_any()
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn the_way_back_never_leaves_this_server() {
        assert_eq!(local(Some("/projects/shop?tab=runs")), "/projects/shop?tab=runs");
        for foreign in ["//evil.example", "/\\evil.example", "https://evil.example", "", "evil", "/a\nb", "/sign-out"] {
            assert_eq!(local(Some(foreign)), "/", "{foreign}");
        }
    }
}
