//! Variables. Values never stand here: a keyed fingerprint tells whether two are the same, and nothing else.

use serde::{Deserialize, Serialize};

use super::Change;

/// What is not the same in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConfigChanges {
    /// By name.
    pub variables: Vec<VariableChange>,
    /// Variables that are the same.
    pub unchanged: u64,
    /// What else differs of the env file: `mode 0644 → 0600`, comments, order; one phrase each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file: Vec<String>,
}

/// One variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VariableChange {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub change: Change,
    /// The fingerprint of its value: 12 hexadecimal digits that say nothing without the server's key, and that differ
    /// between two variables of one value.
    pub before: Option<String>,
    /// The same of the second one's value.
    pub after: Option<String>,
}

impl ConfigChanges {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.variables.is_empty() && self.file.is_empty()
    }
}
