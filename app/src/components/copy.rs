//! Ids and commands that can be copied. The button is seen only once the wasm is there: without it, it could do nothing.

use leptos::prelude::*;

use super::icon::{Icon, icon};

/// The button; `text` is what it copies, or none for the code beside it. `what` names it for screen readers.
fn button(text: Option<String>, what: &str) -> AnyView {
    view! {
        <button type="button" class="copy js-only" data-copy=text.unwrap_or_default() aria-label=format!("Copy {what}") title="Copy">
            {icon(Icon::Copy)}
            {icon(Icon::Check)}
        </button>
    }
    .into_any()
}

/// A short text that can be copied: an id, a commit. `shown` may be shorter than what is copied.
pub fn copyable(shown: String, text: String, what: &str) -> AnyView {
    view! { <span class="copyable"><code title=text.clone()>{shown}</code>{button(Some(text), what)}</span> }.into_any()
}

/// Commands, ready to be copied as one.
pub fn commands(text: String, what: &str) -> AnyView {
    let label = what.to_owned();
    view! {
        <div class="commands">
            <pre tabindex="0" role="region" aria-label=label><code>{text}</code></pre>
            {button(None, what)}
        </div>
    }
    .into_any()
}
