//! The two values of one variable, revealed to a person who may see them. The audit trail notes it.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use crate::{
    api::read_compared_value,
    backend::{Pair, ValueAsked},
    components::{
        layout::{crumbs, heading, plain},
        loaded::loaded,
        word::Tone,
    },
};

/// The page.
#[component]
pub fn ComparedValue() -> impl IntoView {
    let query = use_query_map();
    let asked = query.with_untracked(|q| {
        let text = |name: &str| q.get(name).unwrap_or_default();
        ValueAsked {
            pair: Pair { first: text("first"), second: text("second") },
            component: text("component"),
            variable: text("variable"),
        }
    });
    let kept = asked.clone();
    loaded(read_compared_value(asked), move |values| draw(&kept, &values))
}

fn draw(asked: &ValueAsked, values: &(Option<String>, Option<String>)) -> AnyView {
    let value = |value: &Option<String>| match value {
        Some(text) => view! { <pre class="value" tabindex="0"><code>{text.clone()}</code></pre> }.into_any(),
        None => plain("It is not there."),
    };
    let way = vec![
        ("Compare".to_owned(), asked.pair.href()),
        (asked.component.clone(), format!("{}#configuration", asked.pair.href())),
    ];
    view! {
        {crumbs(way)}
        {heading(
            asked.variable.clone(),
            Tone::Warn,
            "Both values are shown in the clear.".to_owned(),
            "The audit trail notes that you have looked.".to_owned(),
        )}
        <h2>"First"</h2>
        {value(&values.0)}
        <h2>"Second"</h2>
        {value(&values.1)}
    }
    .into_any()
}
