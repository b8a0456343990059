//! What is set for all: keys of programs, the audit log; and the REST API.

use leptos::prelude::*;

pub mod api;
pub mod audit;
pub mod keys;

/// The way between the parts of the settings.
fn parts(here: &'static str) -> AnyView {
    let link = |href: &'static str, name: &'static str| {
        let current = (here == href).then_some("page");
        view! { <li><a href=href aria-current=current>{name}</a></li> }
    };
    view! {
        <nav class="parts" aria-label="Settings">
            <ul>{link("/settings/keys", "Keys")} {link("/settings/audit", "Audit")} {link("/settings/api", "REST API")}</ul>
        </nav>
    }
    .into_any()
}
