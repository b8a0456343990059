//! The way in for the day when no identity provider answers: a password that the owner of the data directory has set.
//! Plain HTML, no script.

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use holdfast_model::secret::Secret;
use leptos::prelude::*;
use serde::Deserialize;
use tower_sessions::Session;

use super::{
    Web, document, local,
    provider::{Next, broken},
};
use crate::auth::{Browser, GlassTried};

const PATH: &str = "/sign-in/break-glass";
const TITLE: &str = "Break glass";

/// What the form carries.
#[derive(Deserialize)]
pub(in crate::http) struct Try {
    password: Secret,
    #[serde(default)]
    next: Option<String>,
}

/// The page's address, with the way back.
pub(super) fn href(next: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", next);
    format!("{PATH}?{}", query.finish())
}

/// `GET /sign-in/break-glass`
pub(in crate::http) async fn page(State(web): State<Web>, Query(query): Query<Next>) -> Response {
    if !web.identity().offers_glass() {
        return off();
    }
    document(StatusCode::OK, TITLE, form(&local(query.next.as_deref()), None))
}

/// `POST /sign-in/break-glass`
pub(in crate::http) async fn sign_in(
    State(web): State<Web>,
    session: Session,
    browser: Browser,
    Form(Try { password, next }): Form<Try>,
) -> Response {
    let next = local(next.as_deref());
    let refused = |status, why: String| document(status, TITLE, form(&next, Some(why)));
    match web.identity().try_glass(&session, password, &browser).await {
        Ok(GlassTried::In) => Redirect::to(&next).into_response(),
        Ok(GlassTried::Off) => off(),
        Ok(GlassTried::Wrong(0)) => refused(
            StatusCode::FORBIDDEN,
            "This is not the password. There were five tries; the next one counts later.".into(),
        ),
        Ok(GlassTried::Wrong(left)) => {
            let tries = if left == 1 { "One try is".to_owned() } else { format!("{left} tries are") };
            refused(StatusCode::FORBIDDEN, format!("This is not the password. {tries} left."))
        }
        Ok(GlassTried::Shut(wait)) => {
            let seconds = wait.whole_seconds().max(0).unsigned_abs() + 1;
            let minutes = seconds.div_ceil(60);
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            let why =
                format!("There were five tries within a quarter of an hour. The next one counts in {minutes} {unit}.");
            let mut response = refused(StatusCode::TOO_MANY_REQUESTS, why);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Ok(GlassTried::Unusable(error)) => {
            let body = view! { <p>{format!("The password cannot be used: {error}.")}</p> {back()} };
            document(StatusCode::FORBIDDEN, TITLE, body.into_any())
        }
        Err(error) => broken(&error),
    }
}

fn form(next: &str, refused: Option<String>) -> AnyView {
    let refused = refused.map(|why| view! { <p class="refusal" role="alert">{why}</p> });
    view! {
        <p>"For the day when the identity provider does not answer. Whoever signs in here is an admin for an hour, everybody \
            is told, and each try stands in the audit log."</p>
        {refused}
        <form method="post" action=PATH class="stacked">
            <input type="hidden" name="next" value=next.to_owned() />
            <div class="line">
                <label for="glass-password">"Password"</label>
                <input id="glass-password" name="password" type="password" autocomplete="off" required=true autofocus=true />
            </div>
            <button type="submit" class="button primary">"Sign in"</button>
        </form>
        {back()}
    }
    .into_any()
}

fn off() -> Response {
    let body = view! {
        <p>"No break-glass password is set here. The owner of the data directory can set one on the machine that Holdfast \
            runs on:"</p>
        <pre><code>"holdfast break-glass set"</code></pre>
        {back()}
    };
    document(StatusCode::NOT_FOUND, TITLE, body.into_any())
}

fn back() -> AnyView {
    view! { <p class="note"><a href="/sign-in">"Sign in with the identity provider"</a></p> }.into_any()
}
