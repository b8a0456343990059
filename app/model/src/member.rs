//! Who may do what: people who have signed in, programs, and the rules that their roles come from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    access::{Access, Permission, Role},
    name::Name,
};

/// `GET /v1/members`: what concerns the projects whose members the caller sees, and nothing of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Members {
    /// Who has signed in, the latest first.
    pub people: Vec<Member>,
    /// Keys that work, then service accounts and workflows that have come.
    pub programs: Vec<ProgramMember>,
    /// The rules of `holdfast.toml`, one entry an `[[identity]]` table.
    pub sources: Vec<RoleSource>,
    /// Whether a break-glass password is set; none where the caller is no admin of every project.
    pub break_glass: Option<bool>,
}

/// Roles, as far as they concern the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Roles {
    /// In every project, those that come later too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everywhere: Option<Role>,
    /// In these projects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<Name, Role>,
}

impl Roles {
    /// What an access gives, as somebody may see it who sees the members of these projects only; all of it where
    /// nothing is said.
    #[must_use]
    pub fn seen(access: &Access, within: Option<&[Name]>) -> Self {
        match within {
            None => Self { everywhere: access.everywhere, projects: access.projects.clone() },
            Some(projects) => Self {
                everywhere: None,
                projects: projects
                    .iter()
                    .filter_map(|project| Some((project.clone(), access.role(Some(project))?)))
                    .collect(),
            },
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.everywhere.is_none() && self.projects.is_empty()
    }

    /// In words: `admin everywhere, operator in shop`.
    #[must_use]
    pub fn words(&self) -> String {
        let everywhere = self.everywhere.map(|role| format!("{role} everywhere"));
        let higher = self.projects.iter().filter(|(_, role)| Some(**role) > self.everywhere);
        let all: Vec<String> =
            everywhere.into_iter().chain(higher.map(|(project, role)| format!("{role} in {project}"))).collect();
        if all.is_empty() { "no role any more".to_owned() } else { all.join(", ") }
    }
}

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Member {
    /// The same for the same one: issuer and subject.
    pub subject: String,
    /// How they were called last; it identifies nobody.
    pub name: String,
    /// By whose word: the provider's name, or its issuer where it is not set any more; none for a one-time link.
    pub provider: Option<String>,
    /// As of their last sign-in, or as their roles were read again.
    pub roles: Roles,
    /// The first time.
    #[serde(with = "time::serde::rfc3339")]
    pub first_seen_at: OffsetDateTime,
    /// The last time.
    #[serde(with = "time::serde::rfc3339")]
    pub last_seen_at: OffsetDateTime,
}

/// What kind of program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProgramKind {
    /// A key of ours.
    Key,
    /// A service account of a provider.
    ServiceAccount,
    /// A repository's workflows.
    Workflow,
}

impl ProgramKind {
    /// As it is shown.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::ServiceAccount => "service account",
            Self::Workflow => "workflow",
        }
    }
}

/// A program. Whatever its role, it views, creates, drills and cancels, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ProgramMember {
    /// What it is.
    pub kind: ProgramKind,
    /// The key's id, or the subject of its tokens.
    pub subject: String,
    /// For people.
    pub name: String,
    /// By whose word; none for a key.
    pub provider: Option<String>,
    /// Its roles.
    pub roles: Roles,
    /// Nothing but these.
    pub may: Vec<Permission>,
    /// When it came last.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub last_seen_at: Option<OffsetDateTime>,
}

/// Whom one `[[identity]]` table lets in, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleSource {
    /// Its name.
    pub provider: Name,
    /// Its issuer.
    pub issuer: String,
    /// The claim that is looked at; none for a repository's workflows.
    pub claim: Option<String>,
    /// What its values bring.
    pub rules: Vec<RoleRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoleRule {
    /// The value of the claim, or the repository's number.
    pub value: String,
    /// What it brings.
    pub roles: Roles,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn of_other_projects_nothing_is_told() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let access = Access {
            projects: [(name("shop"), Role::Operator), (name("blog"), Role::Admin)].into(),
            ..Access::default()
        };
        let shop = [name("shop")];
        assert_eq!(Roles::seen(&access, Some(&shop)).words(), "operator in shop");
        assert!(Roles::seen(&access, Some(&[name("wiki")])).is_empty());
        assert_eq!(Roles::seen(&Access::everywhere(Role::Viewer), Some(&shop)).words(), "viewer in shop");
        let both = Access { everywhere: Some(Role::Operator), ..access };
        assert_eq!(Roles::seen(&both, None).words(), "operator everywhere, admin in blog");
        assert_eq!(Roles::default().words(), "no role any more");
    }
}
