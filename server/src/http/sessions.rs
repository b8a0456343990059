//! The forms by which somebody ends sessions of their own.

use axum::response::{IntoResponse as _, Redirect, Response};

use super::{card::refusal, extract::Path};
use crate::actions::{ActionError, Actions};

/// The page that lists them.
const PAGE: &str = "/settings/sessions";

/// `POST /ui/sessions/{id}/end`
pub(super) async fn end(actions: Actions, Path(id): Path<String>) -> Response {
    landed(actions.end_session(&id).await)
}

/// `POST /ui/sessions/end-others`
pub(super) async fn end_others(actions: Actions) -> Response {
    landed(actions.end_other_sessions().await.map(|_| ()))
}

fn landed(ended: Result<(), ActionError>) -> Response {
    match ended {
        Ok(()) => Redirect::to(PAGE).into_response(),
        Err(error) => refusal(error.into(), "Nothing was ended", PAGE.to_owned()),
    }
}
