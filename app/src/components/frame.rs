//! What stands around every page: the way to its parts, the running work, the person.

use std::time::Duration;

use holdfast_model::view::RunView;
use leptos::prelude::*;
use leptos_router::{components::Outlet, hooks::use_location};

use super::icon::{Icon, icon, mark};
use crate::{api::read_running, text};

/// How often running work is looked at while there is some.
const PULSE: Duration = Duration::from_secs(4);

/// The frame with the page inside.
#[component]
pub fn Frame() -> impl IntoView {
    let location = use_location();
    let path = location.pathname;
    let running = Resource::new(move || path.get(), |_| async { read_running().await.unwrap_or_default() });
    Effect::new(move |_| {
        if running.get().is_some_and(|runs| !runs.is_empty()) {
            let handle = set_timeout_with_handle(move || running.refetch(), PULSE);
            on_cleanup(move || {
                if let Ok(handle) = handle {
                    handle.clear();
                }
            });
        }
    });
    provide_context(Running(running));
    Effect::new(|_| {
        if let Some(root) = document().document_element() {
            _ = root.set_attribute("data-hydrated", "true");
        }
    });
    let link = move |href: &'static str, name: &'static str, shape: Icon, below: &'static [&'static str]| {
        let here = move || {
            let path = path.get();
            let inside = path == href || below.iter().any(|b| path.starts_with(b));
            inside.then_some(if path == href { "page" } else { "true" })
        };
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
                </ul>
            </nav>
            <header class="top">
                <Transition>
                    {move || Suspend::new(async move { pill(&running.await) })}
                </Transition>
                <form method="post" action="/sign-out"><button class="quiet">"Sign out"</button></form>
            </header>
            <main id="main" tabindex="-1">
                <Outlet />
            </main>
        </div>
    }
}

/// Lets a page that begins or ends a run have the pill looked at again.
#[derive(Clone, Copy)]
pub struct Running(Resource<Vec<RunView>>);

impl Running {
    /// Looks again.
    pub fn look() {
        if let Some(Self(running)) = use_context::<Self>() {
            running.refetch();
        }
    }
}

/// The running work; it opens the newest run.
fn pill(runs: &[RunView]) -> AnyView {
    let Some(first) = runs.first() else { return ().into_any() };
    let what = match runs.len() {
        1 => format!("{} of {}", text::run_kind(first.kind), first.environment.name),
        n => format!("{n} runs"),
    };
    let href = if runs.len() == 1 { format!("/runs/{}", first.id) } else { "/activity".to_owned() };
    view! { <a class="pill" href=href>{icon(Icon::Spinner)} <span>{what}</span></a> }.into_any()
}
