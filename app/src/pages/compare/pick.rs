//! Which two are compared: two lists, and the way to turn them round.

use holdfast_model::{diff::Diff, view::CheckpointSummary};
use leptos::prelude::*;

use super::address;
use crate::text;

/// The two lists, with the checkpoints of the second one's environment.
pub fn pickers(diff: &Diff, choices: &[CheckpointSummary]) -> AnyView {
    let (first, second) = (diff.first.checkpoint.to_string(), diff.second.checkpoint.to_string());
    let swapped = address::compare(&second, &first);
    view! {
        <form class="pickers" method="get" action="/compare">
            {picker("first", "First", &first, choices)}
            {picker("second", "Second", &second, choices)}
            <button>"Compare"</button>
            <a class="button" href=swapped>"Swap"</a>
        </form>
    }
    .into_any()
}

fn picker(name: &'static str, label: &'static str, chosen: &str, choices: &[CheckpointSummary]) -> AnyView {
    let known = choices.iter().any(|item| item.id.as_str() == chosen);
    let other =
        (!known).then(|| view! { <option value=chosen.to_owned() selected=true>{text::short_id(chosen)}</option> });
    let options: Vec<_> = choices
        .iter()
        .map(|item| {
            let short = text::short_id(item.id.as_str());
            let name = item.name.clone().map_or(short.clone(), |name| format!("{name} ({short})"));
            let shown = format!("{} · {name}", text::absolute(item.created_at));
            view! { <option value=item.id.to_string() selected=item.id.as_str() == chosen>{shown}</option> }
        })
        .collect();
    let id = format!("compare-{name}");
    view! {
        <div class="line">
            <label for=id.clone()>{label}</label>
            <select id=id name=name>{other} {options}</select>
        </div>
    }
    .into_any()
}
