//! Putting a checkpoint back, on one page: what, where, what will happen, and the name typed.

use holdfast_model::request::RestoreCheckpoint;
use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::{Restore, RestoreData, read_restore, restore_word},
    components::{
        form::{Live, form},
        icon::{Icon, icon},
        layout::{ago, crumbs, heading},
        loaded::loaded,
        word::{self, Tone},
    },
    text,
};

mod ask;
mod happens;

pub use ask::href_of_table;

/// The page. Its query holds what is asked, so that a plan has an address.
#[component]
pub fn RestoreForm() -> impl IntoView {
    let id = use_params_map().with_untracked(|p| p.get("checkpoint").unwrap_or_default());
    let request = use_query_map().with_untracked(ask::request);
    loaded(read_restore(id, request), |data| draw(&data))
}

fn draw(data: &RestoreData) -> AnyView {
    let RestoreData { page, request, plan } = data;
    let (c, now) = (&page.checkpoint, page.now);
    let place = &c.environment;
    let name = c.name.clone().unwrap_or_else(|| text::short_id(c.id.as_str()));
    let proven = matches!(c.proof, holdfast_model::state::Proof::Proven);
    let (tone, said) = if proven {
        (Tone::Good, "It is proven: it was restored before, into a throwaway copy.".to_owned())
    } else {
        (Tone::Warn, format!("It is {}: whether all of it can be restored is not known.", c.proof))
    };
    let (happens, confirm) = match plan {
        Ok(plan) if plan.refused.is_empty() => (happens::plan(plan), confirm(data)),
        Ok(plan) => (happens::plan(plan), nothing_to_confirm()),
        Err(why) => (happens::none(why), nothing_to_confirm()),
    };
    view! {
        {crumbs(vec![
            (place.project.to_string(), format!("/projects/{}", place.project)),
            (place.name.to_string(), text::environment_href(&place.project, &place.name)),
            (name.clone(), format!("/checkpoints/{}", c.id)),
        ])}
        {heading(
            format!("Restore {name}"),
            tone,
            said,
            format!("What you choose goes back to how it was {}.", text::ago(now, c.created_at)),
        )}
        <ol class="asks">
            <li>{ask::what_and_where(page, request)}</li>
            <li>{happens}</li>
            <li>{confirm}</li>
        </ol>
        <p class="note">"Taken " {ago(now, c.created_at)} " by " {c.created_by.clone()} ". " {word::proof(c.proof)}</p>
    }
    .into_any()
}

/// The name typed, and everything that was chosen, as it was planned.
fn confirm(data: &RestoreData) -> AnyView {
    let shown = restore_word(&data.page.checkpoint, data.request.to.as_deref()).to_owned();
    let fields = view! {
        <h2>"Confirm"</h2>
        <input type="hidden" name="id" value=data.page.checkpoint.id.to_string() />
        {hidden(&data.request)}
        <div class="confirm">
            <label for="restore-confirm">"Type " <code>{shown}</code> " to restore it"</label>
            <input id="restore-confirm" name="confirm" type="text" required=true autocomplete="off" spellcheck="false" />
            <button class="danger">"Restore"</button>
        </div>
    };
    form::<Restore, _>(Live::No, fields.into_any())
}

/// The request once more, as fields that nobody sees.
fn hidden(request: &RestoreCheckpoint) -> AnyView {
    let field = |name: &'static str, value: String| view! { <input type="hidden" name=name value=value /> };
    let lists = request
        .components
        .iter()
        .map(|name| field("choice[components][]", name.clone()))
        .chain(request.paths.iter().map(|path| field("choice[paths][]", path.clone())))
        .chain(request.tables.iter().map(|table| field("choice[tables][]", table.clone())))
        .collect_view();
    view! {
        {lists}
        {request.mode.map(|mode| field("choice[mode]", mode.as_str().to_owned()))}
        {request.to.clone().map(|to| field("choice[to]", to))}
        {request.backup.then(|| field("choice[backup]", "true".to_owned()))}
    }
    .into_any()
}

fn nothing_to_confirm() -> AnyView {
    view! {
        <h2>"Confirm"</h2>
        <p class="aside plain">{icon(Icon::Lock)} <span>"Nothing can be confirmed before the reasons above are gone."</span></p>
    }
    .into_any()
}
