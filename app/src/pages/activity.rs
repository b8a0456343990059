//! All runs, newest first.

use leptos::prelude::*;

use crate::{
    api::{ActivityPage, read_activity},
    components::{
        copy,
        layout::{empty, heading},
        list,
        loaded::loaded,
        word::Tone,
    },
    text,
};

/// The page.
#[component]
pub fn Activity() -> impl IntoView {
    loaded(read_activity(), |page| draw(&page))
}

fn draw(page: &ActivityPage) -> AnyView {
    let going = page.runs.iter().filter(|run| !run.state.is_final()).count();
    let (tone, said) = match going {
        0 => (Tone::Plain, "Nothing is running.".to_owned()),
        n => (Tone::Live, format!("{} going or waiting.", text::counted(u64::try_from(n).unwrap_or(0), "run"))),
    };
    let body = if page.runs.is_empty() {
        empty(
            "A run is one execution of an operation: a checkpoint, a drill, a verification, a restore.",
            copy::commands("holdfast checkpoint create ENVIRONMENT".to_owned(), "the command that takes a checkpoint"),
        )
    } else {
        list::runs("Newest runs", page.now, &page.runs, true)
    };
    view! {
        {heading("Activity".to_owned(), tone, said, "Every run with its steps, log and figures. Times are UTC.".to_owned())}
        {body}
    }
    .into_any()
}
