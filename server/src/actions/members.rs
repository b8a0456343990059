//! Who may do what, as far as it concerns the projects whose members the caller sees.

use holdfast_model::{
    access::{Access, Permission},
    key::KeyState,
    member::{Member, Members, ProgramKind, ProgramMember, RoleRule, RoleSource, Roles},
    name::Name,
};

use super::{ActionError, Actions};
use crate::{
    auth::break_glass,
    config::identity::grant,
    store::{KeyRow, MemberRow},
};

/// Whose members somebody sees: those of every project, or of these.
type Within = Option<Vec<Name>>;

impl Actions {
    /// People who have signed in, programs, and the rules that roles come from. Roles in other projects are not told,
    /// and whoever has no role in these does not appear.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn members(&self) -> Result<Members, ActionError> {
        self.allowed_somewhere(Permission::Members)?;
        let access = &self.caller.access;
        let all = access.may(None, Permission::Members);
        let mine = access.projects.keys().filter(|project| access.may(Some(project), Permission::Members));
        let within: Within = (!all).then(|| mine.cloned().collect());
        let came = self.store().members().await?;
        let (programs, people): (Vec<_>, Vec<_>) = came.into_iter().partition(|row| row.program);
        let keys = self.store().keys().await?.into_iter().filter_map(|key| key_member(key, &within));
        let programs = programs.into_iter().filter_map(|row| self.program(row, &within));
        Ok(Members {
            people: people.into_iter().filter_map(|row| self.person(row, &within)).collect(),
            programs: keys.chain(programs).collect(),
            sources: self.sources(&within),
            break_glass: all.then(|| {
                let settings = self.settings();
                !settings.identity.links_sign_in() && break_glass::is_there(&settings.data_dir)
            }),
        })
    }

    fn person(&self, row: MemberRow, within: &Within) -> Option<Member> {
        let roles = seen(&row.access, within)?;
        Some(Member {
            provider: self.provider_of(row.issuer),
            subject: row.subject,
            name: row.name,
            roles,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
        })
    }

    fn program(&self, row: MemberRow, within: &Within) -> Option<ProgramMember> {
        let roles = seen(&row.access, within)?;
        let workflows = &self.settings().identity.workflows;
        let of_workflow = workflows.iter().any(|workflow| row.issuer.as_ref() == Some(&workflow.issuer));
        Some(ProgramMember {
            kind: if of_workflow { ProgramKind::Workflow } else { ProgramKind::ServiceAccount },
            provider: self.provider_of(row.issuer),
            subject: row.subject,
            name: row.name,
            roles,
            may: row.access.only.into_iter().flatten().collect(),
            last_seen_at: Some(row.last_seen_at),
        })
    }

    /// The name of an issuer's table, or the issuer itself where it has none any more. Several repositories may have one.
    fn provider_of(&self, issuer: Option<String>) -> Option<String> {
        let (issuer, identity) = (issuer?, &self.settings().identity);
        let provider = identity.providers.iter().find(|provider| provider.issuer == issuer);
        Some(provider.map_or(issuer, |provider| provider.name.to_string()))
    }

    /// The rules of `holdfast.toml`.
    fn sources(&self, within: &Within) -> Vec<RoleSource> {
        let identity = &self.settings().identity;
        let providers = identity.providers.iter().map(|provider| RoleSource {
            provider: provider.name.clone(),
            issuer: provider.issuer.clone(),
            claim: Some(provider.role_claim.clone()),
            rules: provider
                .roles
                .iter()
                .filter_map(|rule| {
                    let mut access = Access::default();
                    grant(&mut access, rule.role, &rule.projects);
                    Some(RoleRule { value: rule.claim.clone(), roles: seen(&access, within)? })
                })
                .collect(),
        });
        let workflows = identity.workflows.iter().map(|workflow| RoleSource {
            provider: workflow.name.clone(),
            issuer: workflow.issuer.clone(),
            claim: None,
            rules: seen(&workflow.access, within)
                .map(|roles| RoleRule { value: workflow.repository_id.clone(), roles })
                .into_iter()
                .collect(),
        });
        providers.chain(workflows).filter(|source| !source.rules.is_empty()).collect()
    }
}

/// The roles that concern the reader; nothing at all where there are none and they see a part only.
fn seen(access: &Access, within: &Within) -> Option<Roles> {
    let roles = Roles::seen(access, within.as_deref());
    (within.is_none() || !roles.is_empty()).then_some(roles)
}

fn key_member(key: KeyRow, within: &Within) -> Option<ProgramMember> {
    if key.view.state != KeyState::Active {
        return None;
    }
    Some(ProgramMember {
        kind: ProgramKind::Key,
        subject: key.view.id.to_string(),
        name: key.view.name,
        provider: None,
        roles: seen(&key.access, within)?,
        may: key.view.scopes,
        last_seen_at: key.view.last_used_at,
    })
}
