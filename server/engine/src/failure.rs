//! Why one component's part of the work failed, before it is known whose part it was.

use holdfast_vault::{Cancelled, Error};

/// A failure without its component.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// The work was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The vault cannot take or give anything: no component could go on.
    #[error("the vault: {0}")]
    Vault(Error),
    /// Something of this component; the text says what, and where known the mend.
    #[error("{0}")]
    Said(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Cancelled => Self::Cancelled,
            Error::NoSpace { .. } | Error::Locked { .. } | Error::VaultChanged { .. } | Error::Backend(_) => {
                Self::Vault(error)
            }
            other => Self::Said(other.to_string()),
        }
    }
}

impl From<Cancelled> for Failure {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Said(text)
    }
}

impl Failure {
    /// A file system error, with the place that it is about.
    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(vault) => vault.clone().into(),
            None => Self::Said(format!("{}: {error}", path.display())),
        }
    }
}

/// Runs work that blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::Said(format!("a worker thread ended unexpectedly: {error}"))),
    }
}
