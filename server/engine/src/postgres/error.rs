//! What can go wrong with PostgreSQL, told apart by what a person can do about it.

/// An error of this room. No variant ever holds a password or a whole URL.
#[derive(Debug, thiserror::Error)]
pub enum PgError {
    /// A request that cannot be met as it stands; the text says why, and the mend.
    #[error("{0}")]
    Refused(String),
    /// Cancelled; nothing was published.
    #[error("cancelled")]
    Cancelled,
}
