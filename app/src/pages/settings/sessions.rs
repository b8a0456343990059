//! One's own open sessions: where somebody is signed in, and the end of it.

use leptos::prelude::*;

use super::parts;
use crate::{
    api::read_sessions,
    backend::{SessionLine, SessionsPage},
    components::{
        icon::Icon,
        layout::{ago, heading, moment, plain, table},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

/// The page.
#[component]
pub fn Sessions() -> impl IntoView {
    loaded(read_sessions(), |page| draw(&page))
}

fn draw(page: &SessionsPage) -> AnyView {
    let count = u64::try_from(page.sessions.len()).unwrap_or(0);
    let others = page.sessions.iter().filter(|session| !session.here).count();
    let said = format!("You are signed in by {}.", text::counted(count, "session"));
    let why =
        format!("These are all of {}. End what you do not know: that browser is out at its next request.", page.name);
    let columns = [
        ("Browser", false),
        ("From", false),
        ("By", false),
        ("Signed in", false),
        ("Last used", false),
        ("Ends", false),
        ("End it", false),
    ];
    let rows = page.sessions.iter().map(|session| row(page, session)).collect();
    let all = (others > 0).then(|| {
        view! {
            <form method="post" action="/ui/sessions/end-others" class="below">
                <button class="danger">"End all others"</button>
            </form>
        }
    });
    let provided = page.provided.then(|| {
        view! {
            <p class="note">
                "A session ends here. Whoever sits at that browser may still be signed in at the identity provider, and come \
                in again without a password: end it there too."
            </p>
        }
    });
    view! {
        {heading("Sessions".to_owned(), Tone::Plain, said, why)}
        {parts("/settings/sessions")}
        {table("Your open sessions, the latest used first", &columns, rows)}
        {all}
        {provided}
    }
    .into_any()
}

fn row(page: &SessionsPage, session: &SessionLine) -> Vec<AnyView> {
    let here = session.here.then(|| view! { <br /> {word::word((Tone::Good, Icon::Check, "this browser"))} });
    let end = if session.here {
        view! { <form method="post" action="/sign-out"><button class="quiet">"Sign out"</button></form> }.into_any()
    } else {
        let label = format!("End {} from {}", session.browser, session.address.as_deref().unwrap_or("elsewhere"));
        view! {
            <form method="post" action=format!("/ui/sessions/{}/end", session.id)>
                <button class="quiet danger" aria-label=label>"End"</button>
            </form>
        }
        .into_any()
    };
    vec![
        view! { <strong>{session.browser.clone()}</strong> {here} }.into_any(),
        session.address.clone().map_or_else(|| plain("–"), |address| view! { <code>{address}</code> }.into_any()),
        plain(session.by.clone()),
        ago(page.now, session.signed_in_at),
        ago(page.now, session.seen_at),
        moment(session.ends_at),
        end,
    ]
}
