//! Where there is no page.

use leptos::prelude::*;

use crate::{
    components::{frame::around, loaded::failure},
    error::AppError,
};

/// No page has this address.
#[component]
pub fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    let error =
        AppError::NotFound("No page has this address. It may have been deleted, or the address is mistyped.".into());
    around(().into_any(), failure(&error))
}
