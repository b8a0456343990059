//! Who may do what: roles of people, permissions that they bring, and what a caller has been given.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{name::Name, state::words};

words!(/// What somebody is in a project; each one may do all that those before it may.
    Role, "role" {
    /// Sees what there is and what it says.
    Viewer = "viewer",
    /// Takes checkpoints and proves them.
    Operator = "operator",
    /// Looks into checkpoints and puts them back.
    Restorer = "restorer",
    /// Decides what is captured and kept.
    Admin = "admin",
});

words!(/// One thing that somebody may do.
    Permission, "permission" {
    /// See environments, checkpoints, runs, vaults and comparisons, but no content.
    View = "view",
    /// Take a checkpoint.
    Create = "create",
    /// Prove a checkpoint again, read it back, check a vault.
    Drill = "drill",
    /// Stop a run.
    Cancel = "cancel",
    /// Read files and rows of checkpoints, download and export them.
    Read = "read",
    /// Take a checkpoint in that was exported elsewhere.
    Import = "import",
    /// Put back, over what is there.
    Restore = "restore",
    /// Read secret values.
    Reveal = "reveal",
    /// Delete a checkpoint.
    Delete = "delete",
    /// Lift the protection of a checkpoint.
    Unlock = "unlock",
    /// Decide how long checkpoints are kept.
    Retention = "retention",
    /// Decide what is captured: paths, addresses, commands, allow lists.
    Define = "define",
    /// Add, adopt, prune, repair and copy vaults.
    Vaults = "vaults",
    /// Read and confirm what opens a vault without Holdfast.
    RecoveryKit = "recovery_kit",
    /// Make, turn over and revoke keys, and ways to sign in.
    Keys = "keys",
    /// Decide who is told of what.
    Notify = "notify",
    /// See who may do what.
    Members = "members",
    /// Read the audit log.
    Audit = "audit",
});

impl Permission {
    /// The least role that brings it.
    #[must_use]
    pub const fn role(self) -> Role {
        match self {
            Self::View => Role::Viewer,
            Self::Create | Self::Drill | Self::Cancel => Role::Operator,
            Self::Read | Self::Import | Self::Restore => Role::Restorer,
            Self::Reveal
            | Self::Delete
            | Self::Unlock
            | Self::Retention
            | Self::Define
            | Self::Vaults
            | Self::RecoveryKit
            | Self::Keys
            | Self::Notify
            | Self::Members
            | Self::Audit => Role::Admin,
        }
    }

    /// Whether a program may ever have it. Whatever destroys, alters or gives away needs a person.
    #[must_use]
    pub const fn for_programs(self) -> bool {
        matches!(self, Self::View | Self::Create | Self::Drill | Self::Cancel)
    }

    /// Whether a person must have signed in anew a short time ago.
    #[must_use]
    pub const fn needs_fresh_sign_in(self) -> bool {
        matches!(
            self,
            Self::Restore
                | Self::Reveal
                | Self::Delete
                | Self::Unlock
                | Self::Retention
                | Self::Define
                | Self::Vaults
                | Self::RecoveryKit
                | Self::Keys
                | Self::Notify
        )
    }
}

/// What a caller has been given: a role everywhere, roles in projects, and for programs the only permissions of these
/// roles that they may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// In every project, and in what belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<Role>,
    /// In these projects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<Name, Role>,
    /// Nothing but these, where it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Permission>>,
}

impl Access {
    /// A role in every project.
    #[must_use]
    pub fn everywhere(role: Role) -> Self {
        Self { everywhere: Some(role), ..Self::default() }
    }

    /// Whether nothing was given at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everywhere.is_none() && self.projects.is_empty()
    }

    /// The role in a project; `None` stands for what belongs to no project.
    #[must_use]
    pub fn role(&self, project: Option<&Name>) -> Option<Role> {
        self.everywhere.max(project.and_then(|project| self.projects.get(project).copied()))
    }

    /// Whether it may be done in a project, or, for `None`, to what belongs to no project.
    #[must_use]
    pub fn may(&self, project: Option<&Name>, permission: Permission) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(&permission))
            && self.role(project).is_some_and(|role| role >= permission.role())
    }

    /// Whether it may be done anywhere at all.
    #[must_use]
    pub fn may_somewhere(&self, permission: Permission) -> bool {
        self.may(None, permission) || self.projects.keys().any(|project| self.may(Some(project), permission))
    }

    /// The same for a program, which has no more than what programs may ever have.
    #[must_use]
    pub fn of_program(mut self) -> Self {
        let may = |permission: &Permission| permission.for_programs();
        self.only = Some(match self.only {
            Some(only) => only.into_iter().filter(may).collect(),
            None => Permission::ALL.iter().copied().filter(may).collect(),
        });
        self
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_role_counts_in_its_project_only() {
        let access = Access { projects: [(name("shop"), Role::Operator)].into(), ..Access::default() };
        assert!(access.may(Some(&name("shop")), Permission::Create));
        assert!(!access.may(Some(&name("shop")), Permission::Restore));
        assert!(!access.may(Some(&name("blog")), Permission::View));
        assert!(!access.may(None, Permission::View), "what belongs to no project is not everybody's");
        assert!(access.may_somewhere(Permission::Create) && !access.may_somewhere(Permission::Delete));
    }

    #[test]
    fn a_program_never_destroys_alters_or_gives_away() {
        let access = Access::everywhere(Role::Admin).of_program();
        let may: Vec<&str> =
            Permission::ALL.iter().filter(|p| access.may(None, **p)).map(|permission| permission.as_str()).collect();
        assert_eq!(may, ["view", "create", "drill", "cancel"]);
        let asked =
            Access { only: Some([Permission::Create, Permission::Delete].into()), ..Access::everywhere(Role::Admin) };
        assert_eq!(asked.of_program().only, Some([Permission::Create].into()));
    }

    #[test]
    fn a_higher_role_may_all_that_a_lower_one_may() {
        for pair in Role::ALL.windows(2) {
            for permission in Permission::ALL {
                let lower = Access::everywhere(pair[0]).may(None, *permission);
                assert!(!lower || Access::everywhere(pair[1]).may(None, *permission), "{permission}");
            }
        }
    }

    #[test]
    fn whatever_a_program_may_never_do_and_that_changes_something_asks_a_person_anew() {
        let without: Vec<&str> = Permission::ALL
            .iter()
            .filter(|p| !p.for_programs() && !p.needs_fresh_sign_in())
            .map(|permission| permission.as_str())
            .collect();
        assert_eq!(without, ["read", "import", "members", "audit"]);
    }
}
