//! Variables that differ. Values are shown as fingerprints; to reveal them is a step of its own.

use holdfast_model::diff::{Changes, ComponentDiff};
use leptos::prelude::*;

use super::files::sign;
use crate::{
    backend::Pair,
    components::layout::{plain, table},
    text,
};

/// The variables of one component. Without a pair nothing leads to their values.
pub fn draw(pair: Option<&Pair>, component: &ComponentDiff) -> AnyView {
    let Changes::Configuration(changes) = &component.changes else { return ().into_any() };
    let print = |value: &Option<String>| match value {
        Some(print) => {
            view! { <code class="dim" title="a keyed fingerprint of the value">{print.clone()}</code> }.into_any()
        }
        None => plain("–"),
    };
    let rows = changes
        .variables
        .iter()
        .map(|variable| {
            let mut cells = vec![
                view! { {sign(variable.change)} " " <code>{variable.name.clone()}</code> }.into_any(),
                print(&variable.before),
                print(&variable.after),
            ];
            cells.extend(pair.map(|pair| {
                view! { <a href=pair.value(component.name.as_str(), &variable.name)>"Reveal"</a> }.into_any()
            }));
            cells
        })
        .collect();
    let mut columns = vec![("Variable", false), ("First", false), ("Second", false)];
    columns.extend(pair.map(|_| ("Values", false)));
    let file = (!changes.file.is_empty())
        .then(|| view! { <p class="prose">{format!("The file: {}.", changes.file.join(", "))}</p> });
    let same = format!("{} without a difference.", text::counted(changes.unchanged, "variable"));
    view! {
        {file}
        {table(format!("Variables of {} that differ, values as fingerprints", component.name), &columns, rows)}
        <p class="note">{same}</p>
    }
    .into_any()
}
