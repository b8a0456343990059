//! Around everything that is read: the page, or the error with what to do about it.

use std::future::Future;

use leptos::prelude::*;

use crate::error::AppError;

/// Reads, then draws what was read, or says why it is not there. Pages hold only the case that all is well.
pub fn loaded<T, R, D>(read: R, draw: D) -> AnyView
where
    T: Send + 'static,
    R: Future<Output = Result<T, AppError>> + Send + 'static,
    D: FnOnce(T) -> AnyView + Send + 'static,
{
    let page = Suspend::new(async move {
        match read.await {
            Ok(read) => draw(read),
            Err(error) => failure(&error),
        }
    });
    view! { <Suspense>{page}</Suspense> }.into_any()
}

/// An error as a page: what is the case, and what to do.
pub fn failure(error: &AppError) -> AnyView {
    let (title, href, next) = match error {
        AppError::SignedOut => ("You are signed out", "/sign-in", "Sign in"),
        AppError::SignInAgain => ("Sign in once more", "/sign-in/again", "Sign in"),
        AppError::NotFound(_) => ("Not found", "/", "Go to the overview"),
        AppError::Forbidden(_) => ("Not allowed", "/", "Go to the overview"),
        AppError::Conflict(_) | AppError::Invalid(_) => ("Not possible now", "/", "Go to the overview"),
        AppError::Unavailable(_) => ("Not available", "", "Try again"),
    };
    view! {
        <leptos_meta::Title text=title />
        <section class="failure">
            <h1>{title}</h1>
            <p>{error.to_string()}</p>
            <a class="button" href=href>{next}</a>
        </section>
    }
    .into_any()
}
