//! The one error of the dashboard: what a page or an action answers when it cannot do what was asked.

#[cfg(feature = "ssr")]
use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// Why a page cannot be shown or an action was not carried out. Each text is for people: what is the case, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum AppError {
    /// Nobody is signed in; the way on is the sign-in page.
    #[error("You are signed out. Sign in to go on.")]
    SignedOut,
    /// The person may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The person may do it, but signed in too long ago for that.
    #[error("Sign in once more: this changes or gives away what cannot be taken back.")]
    SignInAgain,
    /// There is no such thing (any more).
    #[error("{0}")]
    NotFound(String),
    /// It contradicts what is the case now: a run is going, a checkpoint is protected.
    #[error("{0}")]
    Conflict(String),
    /// What was entered cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The server could not do it now; trying again may help.
    #[error("{0}")]
    Unavailable(String),
}

impl AppError {
    /// The HTTP status that belongs to it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::SignedOut => 401,
            Self::Forbidden(_) | Self::SignInAgain => 403,
            Self::NotFound(_) => 404,
            Self::Conflict(_) => 409,
            Self::Invalid(_) => 422,
            Self::Unavailable(_) => 503,
        }
    }
}

#[cfg(feature = "ssr")]
impl FromServerFnError for AppError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => {
                Self::Invalid("The form could not be read. Reload the page and send it again.".into())
            }
            ServerFnErrorErr::Request(_) => Self::Unavailable(
                "The server did not answer. Check that `holdfast serve` is running, then try again.".into(),
            ),
            _ => Self::Unavailable("The server's answer could not be read. Reload the page and try again.".into()),
        }
    }
}
