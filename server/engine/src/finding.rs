//! What `apply` says of a definition.

/// Something wrong, or worth knowing, about a definition on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the definition: `components[2].path`.
    pub at: String,
    /// What it is, and the mend.
    pub message: String,
    /// Whether a capture cannot work; otherwise it is a warning.
    pub fatal: bool,
}

impl Finding {
    pub(crate) fn fatal(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into(), fatal: true }
    }

    pub(crate) fn warning(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into(), fatal: false }
    }
}
