//! Ids and commands that can be copied. The button is there only once the wasm is: without it, it could do nothing.

use std::time::Duration;

use leptos::prelude::*;

use super::icon::{Icon, icon};

/// Puts a text on the clipboard; says whether the browser has one to offer.
fn put(text: &str) -> bool {
    let navigator = window().navigator();
    let there = js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|c| !c.is_undefined());
    if there {
        // The promise is not waited for: the browser copies, or asks the person.
        drop(navigator.clipboard().write_text(text));
    }
    there
}

/// The button that copies `text`; `what` names it for screen readers.
fn button(text: String, what: &str) -> AnyView {
    let copied = RwSignal::new(false);
    let name = format!("Copy {what}");
    let click = move |_| {
        if put(&text) {
            copied.set(true);
            set_timeout(move || _ = copied.try_set(false), Duration::from_millis(1_600));
        }
    };
    view! {
        <button type="button" class="copy js-only" aria-label=name title="Copy" on:click=click>
            {move || icon(if copied.get() { Icon::Check } else { Icon::Copy })}
        </button>
    }
    .into_any()
}

/// A short text that can be copied: an id, a commit. `shown` may be shorter than what is copied.
pub fn copyable(shown: String, text: String, what: &str) -> AnyView {
    view! { <span class="copyable"><code title=text.clone()>{shown}</code>{button(text, what)}</span> }.into_any()
}

/// Commands, ready to be copied as one.
pub fn commands(text: String, what: &str) -> AnyView {
    let label = what.to_owned();
    view! {
        <div class="commands">
            <pre tabindex="0" aria-label=label><code>{text.clone()}</code></pre>
            {button(text, what)}
        </div>
    }
    .into_any()
}
