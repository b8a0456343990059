//! What whoever looks at a page may do: a page offers that alone. The server asks again when it is done.

use holdfast_model::{
    access::{Access, Permission},
    name::Name,
};
use leptos::prelude::{AnyView, IntoAny as _, use_context};

/// Whether they may do it in a project. The server puts their [`Access`] into the context of each page.
pub fn may(project: &Name, permission: Permission) -> bool {
    use_context::<Access>().is_some_and(|access| access.may(Some(project), permission))
}

/// What is drawn for those alone who may do it in a project.
pub fn if_may(project: &Name, permission: Permission, drawn: impl FnOnce() -> AnyView) -> AnyView {
    if may(project, permission) { drawn() } else { ().into_any() }
}
