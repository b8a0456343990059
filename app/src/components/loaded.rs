//! Around everything that is read: loading, the page, or the error with what to do about it.

use leptos::prelude::*;

use super::icon::{Icon, icon};
use crate::error::AppError;

/// Waits for what is read, then draws it, or says why it is not there. Pages hold only the case that all is well.
pub fn loaded<T, D>(resource: Resource<Result<T, AppError>>, draw: D) -> AnyView
where
    T: Clone + Send + Sync + 'static,
    D: Fn(T) -> AnyView + Clone + Send + Sync + 'static,
{
    view! {
        <Transition fallback=loading>
            {move || {
                let draw = draw.clone();
                Suspend::new(async move {
                    match resource.await {
                        Ok(read) => draw(read),
                        Err(error) => failure(&error),
                    }
                })
            }}
        </Transition>
    }
    .into_any()
}

/// What stands in a page's place until it has been read.
fn loading() -> AnyView {
    view! { <p class="loading" role="status">{icon(Icon::Spinner)} " Loading"</p> }.into_any()
}

/// An error as a page: what is the case, and what to do.
pub fn failure(error: &AppError) -> AnyView {
    let (title, next) = match error {
        AppError::SignedOut => {
            Effect::new(|_| _ = window().location().set_href("/sign-in"));
            ("You are signed out", view! { <a class="button" href="/sign-in" rel="external">"Sign in"</a> }.into_any())
        }
        AppError::NotFound(_) => {
            ("Not found", view! { <a class="button" href="/">"Go to the overview"</a> }.into_any())
        }
        AppError::Forbidden(_) => {
            ("Not allowed", view! { <a class="button" href="/">"Go to the overview"</a> }.into_any())
        }
        AppError::Conflict(_) | AppError::Invalid(_) => {
            ("Not possible now", view! { <a class="button" href="/">"Go to the overview"</a> }.into_any())
        }
        AppError::Unavailable(_) => {
            ("Not available", view! { <a class="button" href="" rel="external">"Try again"</a> }.into_any())
        }
    };
    view! {
        <section class="failure">
            <h1>{title}</h1>
            <p>{error.to_string()}</p>
            {next}
        </section>
    }
    .into_any()
}
