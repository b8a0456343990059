//! Who a credential stands for, as the server says it, and where people sign in at a terminal.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    access::{Permission, Role},
    name::Name,
    state::words,
};

words!(/// What kind of caller a credential stands for.
    CallerWord, "kind of caller" {
    /// The owner of the data directory.
    Host = "host",
    /// A key, a workflow or a service account.
    Program = "program",
    /// Somebody who has signed in.
    Person = "person",
});

/// `GET /v1/me`: who asks, and what they may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Me {
    /// For people.
    pub name: String,
    /// What kind of caller.
    pub kind: CallerWord,
    /// The role in every project, and in what belongs to none.
    pub everywhere: Option<Role>,
    /// Roles in single projects.
    pub projects: BTreeMap<Name, Role>,
    /// Nothing but these permissions of the roles, where it is a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Permission>>,
}

/// One of `GET /sign-in/devices`: a provider that signs people in at a terminal, by device code (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct DeviceLogin {
    /// The provider's name in `holdfast.toml`.
    pub name: Name,
    /// Exactly as the provider writes itself.
    pub issuer: String,
    /// The public client.
    pub client_id: String,
    /// Asked for beside `openid`.
    pub scopes: Vec<String>,
}

/// `admin everywhere`, `viewer everywhere, operator in shop`, `no role`.
impl std::fmt::Display for Me {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let everywhere = self.everywhere.map(|role| format!("{role} everywhere"));
        let single = self.projects.iter().map(|(project, role)| format!("{role} in {project}"));
        let all: Vec<String> = everywhere.into_iter().chain(single).collect();
        f.write_str(if all.is_empty() { "no role".to_owned() } else { all.join(", ") }.as_str())
    }
}
