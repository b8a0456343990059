//! What stands around every page: the way to its parts, the running work, the person.

use holdfast_model::{access::Permission, view::RunView};
use leptos::prelude::*;
use leptos_router::{components::Outlet, hooks::use_location};

use super::icon::{Icon, icon, mark};
use crate::{
    api::read_running,
    backend::GlassOpen,
    may::{may_everywhere, may_somewhere},
    text,
};

/// The frame with the page inside.
#[component]
pub fn Frame() -> impl IntoView {
    let running = Suspend::new(async move { pill(&read_running().await.unwrap_or_default()) });
    let pill = view! { <Suspense>{running}</Suspense> };
    around(pill.into_any(), view! { <Outlet /> }.into_any())
}

/// The frame around a page; `pill` is the running work.
pub fn around(pill: AnyView, page: AnyView) -> AnyView {
    let path = use_location().pathname.get_untracked();
    let settings = if may_somewhere(Permission::Keys) { "/settings/keys" } else { "/settings/sessions" };
    let link = |href: &'static str, name: &'static str, shape: Icon, below: &[&str]| {
        let inside = path == href || below.iter().any(|b| path.starts_with(b));
        let here = inside.then_some(if path == href { "page" } else { "true" });
        view! { <li><a href=href aria-current=here>{icon(shape)} <span>{name}</span></a></li> }
    };
    view! {
        <a class="skip" href="#main">"Skip to the content"</a>
        <div class="frame">
            <nav class="rail" aria-label="Main">
                <a class="brand" href="/">{mark()} <span>"Holdfast"</span></a>
                <ul>
                    {link("/", "Overview", Icon::Tiles, &[])}
                    {link("/projects", "Projects", Icon::Layers, &["/projects/", "/checkpoints/"])}
                    {link("/activity", "Activity", Icon::Pulse, &["/runs/"])}
                    {link(settings, "Settings", Icon::Sliders, &["/settings/"])}
                </ul>
            </nav>
            <header class="top">
                <div class="work" data-fresh="work">{pill}</div>
                <form method="post" action="/sign-out"><button class="quiet">"Sign out"</button></form>
            </header>
            <main id="main" tabindex="-1">{glass()} {page}</main>
        </div>
    }
    .into_any()
}

/// Whoever is in by the break-glass password is named on every page.
fn glass() -> AnyView {
    let open = use_context::<Vec<GlassOpen>>().unwrap_or_default();
    let lines: Vec<_> = open
        .into_iter()
        .map(|one| {
            let (since, until) = (text::clock(one.since), text::absolute(one.until));
            view! {
                <p>
                    <strong>{one.name}</strong>
                    {format!(" signed in past the identity provider at {since} and is an admin everywhere, until {until} at most.")}
                </p>
            }
        })
        .collect();
    if lines.is_empty() {
        return ().into_any();
    }
    let audit = may_everywhere(Permission::Audit).then(|| {
        view! {
            <p class="note">
                <a href="/settings/audit?action=break_glass">"What the audit log says"</a>
                " · on the server's host " <code>"holdfast break-glass off"</code> " ends it"
            </p>
        }
    });
    view! {
        <div class="glass warn" role="note" aria-label="Break-glass">
            {icon(Icon::Alert)}
            <div>{lines} {audit}</div>
        </div>
    }
    .into_any()
}

/// The running work; it opens the run.
fn pill(runs: &[RunView]) -> AnyView {
    let Some(first) = runs.first() else { return ().into_any() };
    let (what, href) = match runs.len() {
        1 => (
            format!("{} of {}", text::run_kind(first.kind), text::subject_name(&first.subject)),
            format!("/runs/{}", first.id),
        ),
        n => (format!("{n} runs"), "/activity".to_owned()),
    };
    view! { <a class="pill" href=href>{icon(Icon::Spinner)} <span>{what}</span></a> }.into_any()
}
