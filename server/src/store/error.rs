//! What can go wrong with the catalogue, and what a caller can do about it.

use crate::keys::KeyError;

/// Why a call to the catalogue did not give its result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing of that name or id exists.
    #[error("there is no {what} `{text}`")]
    NotFound {
        /// `environment`, `checkpoint`, `run`, …
        what: &'static str,
        /// What was asked for.
        text: String,
    },
    /// Several things match.
    #[error("`{text}` means more than one {what}: {}", candidates.join(", "))]
    Ambiguous {
        /// `environment`, `checkpoint`, …
        what: &'static str,
        /// What was asked for.
        text: String,
        /// What it may mean; each can be asked for as it stands.
        candidates: Vec<String>,
    },
    /// A rule forbids it; the text says which and why.
    #[error("{0}")]
    Refused(String),
    /// What was asked cannot be done as it was asked; the text names the mend.
    #[error("{0}")]
    Invalid(String),
    /// The run was taken up by another worker, ended, or cancelled: this worker must stop and publish nothing.
    #[error("the run is no longer held by this worker: its lease expired or it was ended")]
    Fenced,
    /// The catalogue belongs to another server key.
    #[error(
        "the catalogue was made with another server key; put the right file back, or point HOLDFAST_KEY_FILE at it"
    )]
    WrongServerKey,
    /// The address of the catalogue cannot be used.
    #[error("the database address `{0}` is neither sqlite://… nor postgres://…")]
    Address(String),
    /// The catalogue's file or folder cannot be used.
    #[error("the catalogue {path}: {source}")]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// The tables could not be brought up to date.
    #[error("the catalogue cannot be brought up to date: {0}; a newer Holdfast may have written it")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A stored value is not what this version writes.
    #[error("the catalogue holds a {what} that cannot be read: {message}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// A secret cannot be wrapped or unwrapped.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The database itself failed.
    #[error("the catalogue's database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    pub(crate) fn not_found(what: &'static str, text: impl Into<String>) -> Self {
        Self::NotFound { what, text: text.into() }
    }

    pub(crate) fn corrupt(what: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Corrupt { what, message: error.to_string() }
    }

    /// Whether a unique index refused the row.
    pub(crate) fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }
}
