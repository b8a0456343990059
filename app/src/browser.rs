//! The part of the dashboard that lives in the browser. Pages are whole without it.
//!
//! Everything hangs on the document: clicks on copy buttons, forms with `data-live`, and the one place for a run's
//! panel, `[data-panel]`, whose `data-run` holds what the server has drawn there while the run is going.

mod answer;
mod copy;
mod form;
mod fresh;
mod panel;
mod stream;

use leptos::prelude::document;

/// Makes the page live and says so: `document.documentElement.dataset.hydrated`.
pub fn start() {
    copy::listen();
    form::listen();
    panel::take_over();
    if let Some(root) = document().document_element() {
        // A page without its root element has nothing to say it to.
        let _ = root.set_attribute("data-hydrated", "true");
    }
}
