//! What is set for all, and one's own sessions: who may do what, keys of programs, the audit log; and the REST API.

use holdfast_model::access::Permission;
use leptos::prelude::*;

use crate::may::{may_everywhere, may_somewhere};

pub mod api;
pub mod audit;
pub mod keys;
pub mod members;
pub mod sessions;

/// The parts of the settings that the reader may see: address and name.
pub fn seen() -> Vec<(&'static str, &'static str)> {
    [
        ("/settings/members", "Members", may_somewhere(Permission::Members)),
        ("/settings/keys", "Keys", may_somewhere(Permission::Keys)),
        ("/settings/sessions", "Sessions", true),
        ("/settings/audit", "Audit", may_everywhere(Permission::Audit)),
        ("/settings/api", "REST API", true),
    ]
    .into_iter()
    .filter_map(|(href, name, may)| may.then_some((href, name)))
    .collect()
}

/// The way between them.
fn parts(here: &'static str) -> AnyView {
    let links: Vec<_> = seen()
        .into_iter()
        .map(|(href, name)| {
            let current = (here == href).then_some("page");
            view! { <li><a href=href aria-current=current>{name}</a></li> }
        })
        .collect();
    view! { <nav class="parts" aria-label="Settings"><ul>{links}</ul></nav> }.into_any()
}
