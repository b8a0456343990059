//! The panel of a run in the browser: drawn where the server has drawn it, and kept alive by the run's stream.

use std::cell::RefCell;

use holdfast_model::{event::Event, view::RunView};
use leptos::{
    mount::{UnmountHandle, mount_to},
    prelude::*,
    tachys::view::any_view::AnyViewState,
};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{HtmlElement, Request};

use super::{answer, fresh, stream};
use crate::{backend::RunPage, components::run_panel, run_state::run_state};

thread_local! {
    /// The panel of this page; replacing it ends the stream of the one before.
    static OPEN: RefCell<Option<UnmountHandle<AnyViewState>>> = const { RefCell::new(None) };
}

/// Goes on from what the server has drawn, if there is a run to follow.
pub fn take_over() {
    let given = document().query_selector("[data-panel][data-run]").ok().flatten();
    let page = given.and_then(|place| serde_json::from_str::<RunPage>(&place.get_attribute("data-run")?).ok());
    if let Some(page) = page {
        open(page.run, &page.events);
    }
}

/// Draws the panel of a run, with the events that are known, and follows it.
pub fn open(run: RunView, events: &[Event]) {
    let place = document().query_selector("[data-panel]").ok().flatten();
    let Some(place) = place.and_then(|p| p.dyn_into::<HtmlElement>().ok()) else {
        let _ = window().location().set_href(&format!("/runs/{}", run.id));
        return;
    };
    OPEN.with_borrow_mut(Option::take);
    place.set_inner_html("");
    let progress = run_state(run.kind, events);
    let open = mount_to(place, move || {
        let (run, progress) = (RwSignal::new(run), RwSignal::new(progress));
        let id = run.with_untracked(|run| run.id.to_string());
        stream::follow(&id, progress, move || spawn_local(ended(run)));
        (move || run.with(|run| run_panel::panel(run, progress))).into_any()
    });
    OPEN.with_borrow_mut(|kept| *kept = Some(open));
}

/// The run has ended: its own facts, and all else on the page, are read again.
async fn ended(run: RwSignal<RunView>) {
    if let Some(now) = read(run).await {
        run.try_set(now);
    }
    fresh::read_again("[data-fresh]").await;
}

async fn read(run: RwSignal<RunView>) -> Option<RunView> {
    let id = run.try_with_untracked(|run| run.id.to_string())?;
    let request = Request::new_with_str(&format!("/ui/run?id={id}")).ok()?;
    request.headers().set("accept", "application/json").ok()?;
    let response = answer::fetch(&request).await.ok()?;
    serde_json::from_str(&answer::text(&response).await.ok()?).ok()
}
