//! What a run works on: an environment, or a vault.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EnvironmentRef;
use crate::{id::VaultId, name::Name};

/// What a run works on; in JSON one key, `environment` or `vault`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A running application.
    Environment(EnvironmentRef),
    /// A vault as a whole.
    Vault(VaultRef),
}

/// A vault, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct VaultRef {
    /// Its id.
    pub id: VaultId,
    /// The project that owns it.
    pub project: Name,
    /// Where it lies, in restic's syntax.
    pub location: String,
}

impl Subject {
    /// The environment, if it is one.
    #[must_use]
    pub const fn environment(&self) -> Option<&EnvironmentRef> {
        match self {
            Self::Environment(environment) => Some(environment),
            Self::Vault(_) => None,
        }
    }

    /// The vault, if it is one.
    #[must_use]
    pub const fn vault(&self) -> Option<&VaultRef> {
        match self {
            Self::Environment(_) => None,
            Self::Vault(vault) => Some(vault),
        }
    }

    /// The project that it belongs to.
    #[must_use]
    pub const fn project(&self) -> &Name {
        match self {
            Self::Environment(environment) => &environment.project,
            Self::Vault(vault) => &vault.project,
        }
    }
}

/// `shop / production`, or `shop / vault`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment(environment) => write!(f, "{} / {}", environment.project, environment.name),
            Self::Vault(vault) => write!(f, "{} / vault", vault.project),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Holds {
        #[serde(flatten)]
        subject: Subject,
    }

    #[test]
    fn in_json_it_is_one_key() {
        let text = r#"{"vault":{"id":"vlt_00000000000000000000","project":"shop","location":"/v"}}"#;
        let holds: Holds = serde_json::from_str(text).unwrap();
        assert_eq!(holds.subject.to_string(), "shop / vault");
        assert_eq!(serde_json::to_string(&holds).unwrap(), text);
    }
}
