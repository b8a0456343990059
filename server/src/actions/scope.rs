//! Whom the actions are for. Whatever somebody asks for is looked up here, together with the permission that it takes:
//! a project without any role for them does not exist, one without the permission is refused.

use std::sync::Arc;

use holdfast_model::{access::Permission, name::Name, view::RunView};

use super::{ActionError, Actions, gate::check_key};
use crate::{
    auth::Caller,
    store::{CheckpointRow, EnvironmentRow, ProjectRow, Store},
};

impl Actions {
    /// The same actions, as this caller may ask for them.
    #[must_use]
    pub fn by(&self, caller: Caller) -> Self {
        Self {
            parts: self.parts.clone(),
            store: self.parts.desk.store().seen_by(&caller.access),
            caller: Arc::new(caller),
            once: None,
        }
    }

    /// The same actions for a request with this `Idempotency-Key`: the run that it starts is started once.
    ///
    /// # Errors
    /// When the key is empty or too long.
    pub fn once(mut self, key: Option<&str>) -> Result<Self, ActionError> {
        check_key(key)?;
        self.once = key.map(Arc::from);
        Ok(self)
    }

    /// Whom they are for.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The catalogue, as the caller sees it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Whether the caller may do it in a project, or, for `None`, to what belongs to no project.
    ///
    /// # Errors
    /// [`ActionError::Forbidden`].
    pub(super) fn allowed(&self, project: Option<&Name>, permission: Permission) -> Result<(), ActionError> {
        if self.caller.access.may(project, permission) {
            return Ok(());
        }
        Err(ActionError::Forbidden(refusal(&self.caller, project, permission)))
    }

    /// Whether the caller may do it in any project at all.
    ///
    /// # Errors
    /// [`ActionError::Forbidden`].
    pub(super) fn allowed_somewhere(&self, permission: Permission) -> Result<(), ActionError> {
        if self.caller.access.may_somewhere(permission) { Ok(()) } else { self.allowed(None, permission) }
    }

    /// Whether the caller may do it in a project, and whether a short time ago they have proven who they are, where the permission asks for that.
    ///
    /// # Errors
    /// [`ActionError::Forbidden`], [`ActionError::SignInAgain`].
    pub(super) fn require(&self, project: Option<&Name>, permission: Permission) -> Result<(), ActionError> {
        self.allowed(project, permission)?;
        if permission.needs_fresh_sign_in() && !self.caller.fresh {
            return Err(ActionError::SignInAgain);
        }
        Ok(())
    }

    /// A checkpoint, to do this with.
    pub(super) async fn checkpoint_to(&self, permission: Permission, text: &str) -> Result<CheckpointRow, ActionError> {
        let row = self.store.find_checkpoint(text).await?;
        self.require(Some(&row.environment.project), permission)?;
        Ok(row)
    }

    /// An environment, to do this with.
    pub(super) async fn environment_to(
        &self,
        permission: Permission,
        text: &str,
    ) -> Result<EnvironmentRow, ActionError> {
        let row = self.store.find_environment(text).await?;
        self.require(Some(&row.project), permission)?;
        Ok(row)
    }

    /// A project, to do this with.
    pub(super) async fn project_to(&self, permission: Permission, text: &str) -> Result<ProjectRow, ActionError> {
        let row = self.store.find_project(text).await?;
        self.require(Some(&row.name), permission)?;
        Ok(row)
    }

    /// A run, to do this with.
    pub(super) async fn run_to(&self, permission: Permission, text: &str) -> Result<RunView, ActionError> {
        let run = self.store.find_run(text).await?;
        self.require(Some(run.subject.project()), permission)?;
        Ok(run)
    }
}

/// Says what is missing, and who can mend it.
pub(crate) fn refusal(caller: &Caller, project: Option<&Name>, permission: Permission) -> String {
    let place = project.map_or_else(|| "here".to_owned(), |project| format!("in {project}"));
    let role = permission.role();
    match &caller.access.only {
        Some(_) if caller.subject == "host" && !permission.for_programs() => format!(
            "people sign in with an identity provider here, so client.json may not do this (`{permission}`): somebody \
             with the role `{role}` {place} does it in the dashboard, or, past the provider and audited as such, the \
             owner of the data directory by `holdfast admin …`"
        ),
        Some(_) if !permission.for_programs() => format!(
            "no key and no service account may do this (`{permission}`): somebody with the role `{role}` {place} has to \
             sign in and do it"
        ),
        Some(only) if !only.contains(&permission) => {
            format!("this key was made without `{permission}`; make one that has it")
        }
        _ => {
            format!("this takes the role `{role}` {place}, which {} has not; an admin can give it", caller.name)
        }
    }
}
