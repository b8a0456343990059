//! Copy buttons: `data-copy` is the text, or empty for the code beside the button.

use std::time::Duration;

use leptos::prelude::{document, set_timeout, window};
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{Element, Event};

/// How long a button shows that it has copied.
const SHOWN: Duration = Duration::from_millis(1_600);

/// Listens to the whole document.
pub fn listen() {
    let click = Closure::<dyn Fn(Event)>::new(|event: Event| {
        let target = event.target().and_then(|t| t.dyn_into::<Element>().ok());
        if let Some(button) = target.and_then(|t| t.closest("button[data-copy]").ok().flatten()) {
            copy(&button);
        }
    });
    let _ = document().add_event_listener_with_callback("click", click.as_ref().unchecked_ref());
    click.forget();
}

fn copy(button: &Element) {
    let given = button.get_attribute("data-copy").filter(|text| !text.is_empty());
    let beside = || button.parent_element()?.query_selector("code").ok()??.text_content();
    let Some(text) = given.or_else(beside) else { return };
    // There is no clipboard on a page that came without encryption from another host.
    let navigator = window().navigator();
    if js_sys::Reflect::get(&navigator, &"clipboard".into()).is_ok_and(|c| c.is_undefined()) {
        return;
    }
    drop(navigator.clipboard().write_text(&text));
    let _ = button.set_attribute("data-copied", "");
    let button = button.clone();
    set_timeout(move || drop(button.remove_attribute("data-copied")), SHOWN);
}
