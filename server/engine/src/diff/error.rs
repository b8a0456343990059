//! Why two checkpoints, or one thing in them, could not be compared.

use holdfast_model::name::Name;

use crate::failure::Failure;

/// Why a comparison was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiffError {
    /// Somebody said so.
    #[error("cancelled")]
    Cancelled,
    /// A manifest is of a newer format than this version reads: use a newer Holdfast.
    #[error("a manifest has format {found}; this version reads up to {known}")]
    Format {
        /// What it says.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// Neither checkpoint has it, or it has no such things in it: look at the list of components.
    #[error("neither checkpoint has a component `{name}` {of}")]
    NoSuchComponent {
        /// What was asked for.
        name: Name,
        /// What was looked for in it: `with files`, `with variables`, …
        of: &'static str,
    },
    /// Neither side has it: look at the list of changes.
    #[error("neither checkpoint has `{path}` in `{component}`")]
    NoSuchFile {
        /// The component.
        component: Name,
        /// What was asked for, as it is shown.
        path: String,
    },
    /// It is not on both sides: look at the list of tables.
    #[error("there is no table `{table}` in both checkpoints")]
    NoSuchTable {
        /// With its schema.
        table: String,
    },
    /// Something of this component; the text says what. The others can be compared all the same.
    #[error("{0}")]
    Component(String),
    /// The host failed: scratch folder not writable, a program that could not be started.
    #[error("{0}")]
    Host(String),
    /// A vault could not be reached or is locked.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
}

impl From<Failure> for DiffError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Cancelled => Self::Cancelled,
            Failure::Vault(error) => Self::Vault(error),
            Failure::Said(why) => Self::Component(why),
        }
    }
}

impl From<holdfast_vault::Error> for DiffError {
    fn from(error: holdfast_vault::Error) -> Self {
        Failure::from(error).into()
    }
}
