//! The browser's entry point: `start()` and nothing else.

use wasm_bindgen::prelude::wasm_bindgen;

/// Makes the server's pages live; called by the document's script once the wasm is there.
#[wasm_bindgen]
pub fn start() {
    console_error_panic_hook::set_once();
    holdfast_app::start();
}
