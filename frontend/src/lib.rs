//! The browser's entry point: `hydrate()` and nothing else.

use wasm_bindgen::prelude::wasm_bindgen;

/// Wakes the server's HTML; called by the document's script once the wasm is there.
#[wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(holdfast_app::App);
}
