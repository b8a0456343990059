//! The page of a pending action: plain HTML that works without script. What would be done with its exact parameters, who
//! asks and from where; a new sign-in where the last one is too old; then yes or no.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use holdfast_model::pending::{PendingState, PendingView};
use leptos::prelude::*;
use time::{OffsetDateTime, UtcOffset};

use super::{address, purpose};
use crate::{
    actions::{ActionError, refusal},
    auth::Caller,
    http::{ApiError, Web, card, extract::Path},
    store::{PendingRow, StoreError},
};

/// `GET /v1/pending/{id}`: how far one's own is.
pub(in crate::http) async fn view(
    State(web): State<Web>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<PendingView>, ApiError> {
    let row = web.unbound().store().pending(&caller.subject, &id).await.map_err(ActionError::from)?;
    Ok(axum::Json(row.view))
}

/// `GET /pending/{id}`
pub(in crate::http) async fn show(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Response {
    match web.unbound().store().pending(&caller.subject, &id).await {
        Ok(row) => drawn(&web, &caller, &row),
        Err(error) => missing(error),
    }
}

/// `POST /ui/pending/{id}/confirm`
pub(in crate::http) async fn confirm(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Response {
    let row = match web.unbound().store().pending(&caller.subject, &id).await {
        Ok(row) => row,
        Err(error) => return missing(error),
    };
    let page = address(&row.view.id);
    if !caller.has_signed_in_since(row.made_at) {
        return Redirect::to(&again(&page)).into_response();
    }
    // Their roles may be others than when it was asked for.
    let may = match &row.project {
        Some(project) => caller.access.may(Some(project), row.permission),
        None => caller.access.may_somewhere(row.permission),
    };
    if !may {
        let why = ActionError::Forbidden(refusal(&caller, row.project.as_ref(), row.permission));
        return card::refusal(why.into(), "Nothing was confirmed", page);
    }
    decide(&web, &caller, &row, true).await
}

/// `POST /ui/pending/{id}/refuse`
pub(in crate::http) async fn refuse(State(web): State<Web>, caller: Caller, Path(id): Path<String>) -> Response {
    match web.unbound().store().pending(&caller.subject, &id).await {
        Ok(row) => decide(&web, &caller, &row, false).await,
        Err(error) => missing(error),
    }
}

/// The page says afterwards what is true, whoever was faster.
async fn decide(web: &Web, caller: &Caller, row: &PendingRow, yes: bool) -> Response {
    let id = &row.view.id;
    match web.unbound().store().decide_pending(&caller.subject, &caller.name, id.as_str(), yes).await {
        Ok(_) => Redirect::to(&address(id)).into_response(),
        Err(error) => card::refusal(ActionError::from(error).into(), "Nothing was decided", address(id)),
    }
}

fn missing(error: StoreError) -> Response {
    match error {
        StoreError::NotFound { .. } => {
            let body = view! {
                <p>"It was never made, it is more than a day old, or somebody else asked for it. Whoever asked for it \
                    has to sign in here."</p>
                <p><a class="button" href="/">"Back"</a></p>
            };
            card::document(StatusCode::NOT_FOUND, "There is no such action", body.into_any())
        }
        other => card::refusal(ActionError::from(other).into(), "This page cannot be shown", "/".to_owned()),
    }
}

fn drawn(web: &Web, caller: &Caller, row: &PendingRow) -> Response {
    let PendingView { id, state, description, method, target, expires_at } = &row.view;
    let shown = web.identity().key().unwrap(&purpose(id), &row.shown);
    let body = match shown.map(|text| String::from_utf8_lossy(&text).into_owned()) {
        Ok(body) => body,
        Err(error) => {
            return card::refusal(ActionError::internal(error).into(), "This page cannot be shown", "/".into());
        }
    };
    let (title, then) = match state {
        PendingState::Waiting => {
            ("Shall this be done?", buttons(&address(id), caller.has_signed_in_since(row.made_at)))
        }
        PendingState::Confirmed => ("Confirmed", said("The command goes on by itself; close this page.")),
        PendingState::Refused => ("Refused", said("Nothing was done, and nothing will be.")),
        PendingState::Expired => {
            ("Too late", said("Ten minutes are over, and nothing was done. Type the command again."))
        }
        PendingState::Used => ("Carried out", said("The command has gone on. What came of it stands at the terminal.")),
    };
    let parameters = (!body.is_empty()).then(|| {
        view! {
            <dt>"With"</dt>
            <dd><pre tabindex="0"><code>{body}</code></pre></dd>
        }
    });
    let from = row.asked_from.clone().unwrap_or_else(|| "an unknown address".into());
    let body = view! {
        <div class="pending-action">
            <p class="asked">{description.clone()}</p>
            {then}
            <dl>
                <dt>"Asked by"</dt>
                <dd>{caller.name.clone()}", at a terminal"</dd>
                <dt>"From"</dt>
                <dd>{from}", at "{moment(row.made_at)}</dd>
                <dt>"Until"</dt>
                <dd>{moment(*expires_at)}</dd>
                <dt>"Request"</dt>
                <dd><code>{format!("{method} {target}")}</code></dd>
                {parameters}
            </dl>
        </div>
    };
    card::document(StatusCode::OK, title, body.into_any())
}

fn said(text: &'static str) -> AnyView {
    view! { <p role="status">{text}</p> }.into_any()
}

fn buttons(page: &str, anew: bool) -> AnyView {
    let post = |what: &str| format!("/ui{page}/{what}");
    let confirm = if anew {
        view! {
            <form method="post" action=post("confirm")>
                <button type="submit" class="button primary">"Confirm"</button>
            </form>
        }
        .into_any()
    } else {
        view! { <a class="button primary" href=again(page)>"Sign in once more"</a> }.into_any()
    };
    let why = if anew {
        "A command waits for your word. If you did not type it, refuse."
    } else {
        "A command waits for your word. Sign in once more to confirm it. If you did not type it, refuse."
    };
    view! {
        <p>{why}</p>
        <div class="acts">
            {confirm}
            <form method="post" action=post("refuse")>
                <button type="submit" class="button">"Refuse"</button>
            </form>
        </div>
    }
    .into_any()
}

fn again(page: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("next", page);
    format!("/sign-in/again?{}", query.finish())
}

/// `2026-01-15 14:32:01 UTC`
fn moment(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{} {:02}:{:02}:{:02} UTC", at.date(), at.hour(), at.minute(), at.second())
}
