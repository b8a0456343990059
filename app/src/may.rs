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

/// Whether they may do it anywhere.
pub fn may_somewhere(permission: Permission) -> bool {
    use_context::<Access>().is_some_and(|access| access.may_somewhere(permission))
}

/// Whether they may do it in every project.
pub fn may_everywhere(permission: Permission) -> bool {
    use_context::<Access>().is_some_and(|access| access.may(None, permission))
}

/// Who may do what somebody may not: `Putting back takes the role restorer in shop. An admin can give it.`
pub fn who_may(project: &Name, permission: Permission, what: &str) -> String {
    let has = use_context::<Access>().and_then(|access| access.role(Some(project)));
    let has = has.map_or_else(String::new, |role| format!("; yours is {role}"));
    format!("{what} takes the role {} in {project}{has}. An admin can give it.", permission.role())
}

/// What is drawn for those alone who may do it in a project.
pub fn if_may(project: &Name, permission: Permission, drawn: impl FnOnce() -> AnyView) -> AnyView {
    if may(project, permission) { drawn() } else { ().into_any() }
}
