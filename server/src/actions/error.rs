//! Why something that was asked for is not done: one error for REST and dashboard, each variant for one reaction.

use holdfast_app::error::AppError;
use holdfast_engine::ExportError;
use holdfast_model::problem::{Fault, Problem};

use crate::{jobs::DeskError, store::StoreError, vaults::VaultsError};

/// What a caller is told. Texts are for people and hold no secrets.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Nothing of that name is there. Ask for the list, and name one of it.
    #[error("{0}")]
    NotFound(String),
    /// Several things are meant by that name. Name one of the candidates.
    #[error("{message}")]
    Ambiguous {
        /// What was asked for.
        message: String,
        /// What it can mean.
        candidates: Vec<String>,
    },
    /// The question itself is wrong. Correct it at the places named.
    #[error("{message}")]
    Invalid {
        /// In one sentence.
        message: String,
        /// Where, and how to mend it.
        errors: Vec<Fault>,
    },
    /// The question is right, yet the world is not as it says. Mend the places named.
    #[error("{message}")]
    Unprocessable {
        /// In one sentence.
        message: String,
        /// Where, and how to mend it.
        errors: Vec<Fault>,
    },
    /// The state of things does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// This caller may not do it.
    #[error("{0}")]
    Forbidden(String),
    /// This caller may do it, but has not proven who they are for some time.
    #[error("this asks you to sign in once more: it changes or gives away what cannot be taken back")]
    SignInAgain,
    /// Something that it needs cannot be had at the moment. Try again, or look at `/readyz`.
    #[error("{0}")]
    Unavailable(String),
    /// A fault of ours; logged with the request's id, and not shown.
    #[error("an internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ActionError {
    /// A wrong question with one place at fault.
    #[must_use]
    pub fn invalid(at: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Invalid { message: message.clone(), errors: vec![Fault { at: at.to_owned(), message }] }
    }

    /// A fault of ours.
    #[must_use]
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    /// The same for the REST API. `Internal` tells no more than that it happened.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let (kind, title, status) = match &self {
            Self::NotFound(_) => ("not-found", "There is no such thing", 404),
            Self::Ambiguous { .. } => ("ambiguous", "Several things are meant by that name", 409),
            Self::Invalid { .. } => ("invalid", "The request cannot be understood", 400),
            Self::Unprocessable { .. } => ("unprocessable", "The request cannot be carried out as it stands", 422),
            Self::Conflict(_) => ("conflict", "The state of things does not allow it", 409),
            Self::Forbidden(_) => ("forbidden", "This credential may not do it", 403),
            Self::SignInAgain => ("sign-in-again", "Sign in once more", 403),
            Self::Unavailable(_) => ("unavailable", "Something that it needs cannot be had now", 503),
            Self::Internal(_) => ("internal", "Holdfast failed; its log says why", 500),
        };
        let detail = (!matches!(self, Self::Internal(_))).then(|| self.to_string());
        let errors = match self {
            Self::Ambiguous { candidates, .. } => candidates
                .into_iter()
                .map(|candidate| Fault { at: candidate.clone(), message: format!("`{candidate}` is meant by it") })
                .collect(),
            Self::Invalid { errors, .. } | Self::Unprocessable { errors, .. } => errors,
            _ => Vec::new(),
        };
        Problem { kind: kind.into(), title: title.into(), status, detail, errors, pending: None }
    }
}

impl From<StoreError> for ActionError {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound { .. } => Self::NotFound(message),
            StoreError::Ambiguous { candidates, .. } => Self::Ambiguous { message, candidates },
            StoreError::Refused(reason) => Self::Conflict(reason),
            StoreError::Invalid(reason) => Self::Invalid { message: reason, errors: Vec::new() },
            other => Self::internal(other),
        }
    }
}

impl From<VaultsError> for ActionError {
    fn from(error: VaultsError) -> Self {
        match error {
            VaultsError::None(_) => Self::NotFound(error.to_string()),
            VaultsError::Store(error) => error.into(),
            VaultsError::Key(error) => Self::internal(error),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<DeskError> for ActionError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Vaults(error) => error.into(),
            DeskError::NoSuchPath(_) => Self::NotFound(error.to_string()),
            DeskError::Export(ExportError::Cancelled) => Self::Unavailable("the export was cancelled".into()),
            DeskError::Export(ExportError::Vault(error)) => Self::Unavailable(format!("the vault: {error}")),
            DeskError::Export(error) => Self::Unprocessable { message: error.to_string(), errors: Vec::new() },
            DeskError::Scratch(_) => Self::Unavailable(error.to_string()),
            DeskError::NotAFile(_) => Self::invalid("path", error.to_string()),
            DeskError::Unfit(message) => Self::Unprocessable { message, errors: Vec::new() },
        }
    }
}

/// The same for the dashboard.
impl From<ActionError> for AppError {
    fn from(error: ActionError) -> Self {
        let text = error.to_string();
        match error {
            ActionError::NotFound(_) => Self::NotFound(text),
            ActionError::Ambiguous { .. } | ActionError::Conflict(_) => Self::Conflict(text),
            ActionError::Invalid { .. } | ActionError::Unprocessable { .. } => Self::Invalid(text),
            ActionError::Forbidden(_) => Self::Forbidden(text),
            ActionError::SignInAgain => Self::SignInAgain,
            ActionError::Unavailable(_) => Self::Unavailable(text),
            ActionError::Internal(source) => {
                tracing::error!(error = %source, "an action failed");
                Self::Unavailable("Holdfast failed; its log says why. Try again, or look at /readyz.".into())
            }
        }
    }
}
