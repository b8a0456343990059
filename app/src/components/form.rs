//! Plain forms. Each lands on a page by itself; with `live` the browser sends it and shows the answer in place.

use leptos::{
    prelude::*,
    server::ServerAction,
    server_fn::{Http, ServerFn, codec::PostUrl},
};

use crate::error::AppError;

/// What the browser does with the answer of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    /// It lands on a page, with or without the wasm.
    No,
    /// The answer is a run: its panel opens in place.
    Run,
}

/// The form of a server function, with the error that it came back with.
pub fn form<S, O>(live: Live, fields: AnyView) -> AnyView
where
    S: ServerFn<Error = AppError, Protocol = Http<PostUrl, O>> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let live = (live == Live::Run).then_some("run");
    // The server finds the error of a plain form in the page's address.
    let refusal = ServerAction::<S>::new().value().with_untracked(|value| match value {
        Some(Err(error)) => Some(error.to_string()),
        _ => None,
    });
    view! {
        <form method="post" action=S::url() data-live=live>
            {fields}
            <p class="refusal" role="alert">{refusal}</p>
        </form>
    }
    .into_any()
}

/// A box to tick that is a part of a form.
pub fn tick(name: &'static str, value: String, label: AnyView, ticked: bool) -> AnyView {
    view! { <label class="tick"><input type="checkbox" name=name value=value checked=ticked /> <span>{label}</span></label> }
        .into_any()
}

/// One of several choices of a form.
pub fn pick(name: &'static str, value: &'static str, label: AnyView, picked: bool) -> AnyView {
    view! { <label class="tick"><input type="radio" name=name value=value checked=picked /> <span>{label}</span></label> }
        .into_any()
}

/// A line to fill in, with its name above and a hint below.
pub fn line(id: &'static str, name: &'static str, label: AnyView, hint: &'static str) -> AnyView {
    let hint_id = format!("{id}-hint");
    view! {
        <div class="line">
            <label for=id>{label}</label>
            <input id=id name=name type="text" autocomplete="off" spellcheck="false" aria-describedby=hint_id.clone() />
            <p class="hint" id=hint_id>{hint}</p>
        </div>
    }
    .into_any()
}
