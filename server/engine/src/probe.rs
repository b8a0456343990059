//! What is wrong with a definition on this host, told before anything is captured.

/// One thing found, with its place and the mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, for example `components[2].url`.
    pub at: String,
    /// What is wrong, and the mend.
    pub message: String,
    /// Whether a checkpoint cannot be taken because of it.
    pub fatal: bool,
}
