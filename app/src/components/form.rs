//! Forms around server functions: what they answer, and buttons that are a whole form.

use leptos::{prelude::*, server::ServerAction, server_fn::ServerFn};

use super::icon::{Icon, icon};
use crate::error::AppError;

/// The error of an action, said where it was asked for; the server puts it there too when a plain form came back.
pub fn action_error<S>(action: ServerAction<S>) -> AnyView
where
    S: ServerFn<Error = AppError> + Clone + Send + Sync + 'static,
    S::Output: Clone + Send + Sync + 'static,
{
    let value = action.value();
    (move || {
        value.with(|value| match value {
            Some(Err(error)) => Some(refusal(error.to_string())),
            _ => None,
        })
    })
    .into_any()
}

/// A refusal, as it stands beside a form.
pub fn refusal(text: String) -> AnyView {
    view! { <p class="refusal" role="alert">{icon(Icon::Alert)} <span>{text}</span></p> }.into_any()
}

/// A box to tick that is a part of a form.
pub fn tick(name: &'static str, value: String, label: AnyView, ticked: bool) -> AnyView {
    view! { <label class="tick"><input type="checkbox" name=name value=value checked=ticked /> <span>{label}</span></label> }
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
