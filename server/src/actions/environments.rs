//! Projects and environments: list, show, apply, logs.

use holdfast_model::{
    access::Permission,
    definition::Definition,
    id::EnvironmentId,
    problem::Fault,
    state::Kind,
    view::{ComponentView, Confirmation, EnvironmentView, LogLine, ProjectView},
};
use serde::Deserialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{
    ActionError, Actions,
    definition::{our_own, outside_allow_lists, view},
};
use crate::store::{AppliedDefinition, AppliedView, StoreError};

/// `POST /v1/environments`. It has no `Debug`: a definition holds secrets.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// `holdfast.yaml` as JSON, with absolute paths.
    pub definition: serde_json::Value,
    /// Only look, change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

impl Actions {
    /// All projects.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn projects(&self) -> Result<Vec<ProjectView>, ActionError> {
        Ok(self.store().project_views().await?)
    }

    /// All environments, or the one that `name` means.
    ///
    /// # Errors
    /// When nothing or more than one has that name.
    pub async fn list_environments(&self, name: Option<&str>) -> Result<Vec<EnvironmentView>, ActionError> {
        let rows = match name {
            Some(text) => vec![self.store().find_environment(text).await?],
            None => self.store().environments().await?,
        };
        let mut views = Vec::with_capacity(rows.len());
        for row in rows {
            views.push(self.store().environment_view(&row.id).await?);
        }
        Ok(views)
    }

    /// One environment by name, `project/name`, `project~name` or `env_…`.
    ///
    /// # Errors
    /// When there is none, or several are meant.
    pub async fn environment(&self, text: &str) -> Result<EnvironmentView, ActionError> {
        let row = self.store().find_environment(text).await?;
        Ok(self.store().environment_view(&row.id).await?)
    }

    /// The newest log lines of an environment, oldest first.
    ///
    /// # Errors
    /// When there is no such environment or component.
    pub async fn logs(
        &self,
        text: &str,
        component: Option<&str>,
        limit: Option<u32>,
    ) -> Result<Vec<LogLine>, ActionError> {
        let row = self.store().find_environment(text).await?;
        if let Some(name) = component
            && name != "checkpoint-agent"
            && !row.view.components.iter().any(|c| c.name.as_str() == name)
        {
            let known: Vec<&str> = row.view.components.iter().map(|c| c.name.as_str()).collect();
            return Err(ActionError::invalid(
                "component",
                format!("`{name}` is no component of it; there are: checkpoint-agent, {}", known.join(", ")),
            ));
        }
        Ok(self.store().logs(&row.id, component, limit.unwrap_or(200).clamp(1, 5_000)).await?)
    }

    /// Makes or changes an environment by its definition. With `dry_run` everything is looked at and nothing stored.
    ///
    /// # Errors
    /// [`ActionError::Invalid`] for a definition that is wrong on its own, [`ActionError::Forbidden`] where it names
    /// what this caller may not, [`ActionError::Unprocessable`] where this host is not as it says.
    pub async fn apply(&self, apply: Apply) -> Result<EnvironmentView, ActionError> {
        let definition = read(&apply.definition)?;
        if apply.dry_run {
            self.allowed(Some(&definition.project), Permission::Define)?;
        } else {
            self.require(Some(&definition.project), Permission::Define)?;
        }
        self.check(&definition)?;
        let (fatal, warnings): (Vec<_>, Vec<_>) =
            holdfast_engine::probe(&definition, self.tools()).await.into_iter().partition(|finding| finding.fatal);
        if let Some(first) = fatal.first() {
            return Err(ActionError::Unprocessable {
                message: format!("{}: {}", first.at, first.message),
                errors: fatal.into_iter().map(|f| Fault { at: f.at, message: f.message }).collect(),
            });
        }
        let warnings = warnings.into_iter().map(|f| format!("{}: {}", f.at, f.message)).collect();
        let shown = view(&definition, self.settings(), warnings);
        if apply.dry_run {
            return self.as_if_applied(&definition, shown).await;
        }
        let raw = Zeroizing::new(serde_json::to_vec(&apply.definition).map_err(ActionError::internal)?);
        let applied =
            AppliedDefinition { project: definition.project, environment: definition.environment, raw, view: shown };
        let id = self.store().apply(&self.parts.key, &self.caller.name, applied).await?;
        Ok(self.store().environment_view(&id).await?)
    }

    /// What somebody should look at before a definition that came from a vault holds.
    ///
    /// # Errors
    /// When there is no such environment, or its definition cannot be read.
    pub async fn confirmation(&self, text: &str) -> Result<Confirmation, ActionError> {
        let row = self.store().find_environment(text).await?;
        self.allowed(Some(&row.project), Permission::Define)?;
        let definition = self.stored_definition(&row.id).await?;
        Ok(Confirmation {
            commands: definition.commands().into_iter().cloned().collect(),
            environment: self.store().environment_view(&row.id).await?,
        })
    }

    /// Somebody has looked: the definition holds from now on.
    ///
    /// # Errors
    /// As [`Self::confirmation`]; [`ActionError::Invalid`] where the definition names what belongs to Holdfast itself.
    pub async fn confirm(&self, text: &str) -> Result<EnvironmentView, ActionError> {
        let row = self.environment_to(Permission::Define, text).await?;
        let definition = self.stored_definition(&row.id).await?;
        self.check(&definition)?;
        self.store().confirm_environment(&row.id, &self.caller.name).await?;
        Ok(self.store().environment_view(&row.id).await?)
    }

    async fn stored_definition(&self, id: &EnvironmentId) -> Result<Definition, ActionError> {
        let raw = self.store().raw_definition(&self.parts.key, id).await?;
        let value = serde_json::from_slice(&raw).map_err(|_| {
            ActionError::Conflict("the stored definition cannot be read; apply a holdfast.yaml instead".into())
        })?;
        read(&value)
    }

    /// What this caller may name at all.
    pub(super) fn check(&self, definition: &Definition) -> Result<(), ActionError> {
        let mistakes = definition.mistakes().into_iter().map(|m| Fault { at: m.at, message: m.message });
        let faults: Vec<Fault> = mistakes.chain(our_own(definition, self.settings())).collect();
        if let Some(first) = faults.first() {
            return Err(ActionError::Invalid { message: format!("{}: {}", first.at, first.message), errors: faults });
        }
        if self.caller.owns_host() {
            return Ok(());
        }
        match outside_allow_lists(definition, self.settings()).first() {
            Some(first) => Err(ActionError::Forbidden(format!("{}: {}", first.at, first.message))),
            None => Ok(()),
        }
    }

    /// What the environment would look like; an environment that does not exist yet has the id of zeros.
    async fn as_if_applied(&self, definition: &Definition, shown: AppliedView) -> Result<EnvironmentView, ActionError> {
        let name = format!("{}/{}", definition.project, definition.environment);
        let mut view = match self.store().find_environment(&name).await {
            Ok(row) => self.store().environment_view(&row.id).await?,
            Err(StoreError::NotFound { .. }) => nothing_yet(definition),
            Err(error) => return Err(error.into()),
        };
        view.components = shown
            .components
            .into_iter()
            .map(|c| ComponentView {
                component_type: Kind::component_type(c.kind),
                name: c.name,
                kind: c.kind,
                host: c.host,
                location: c.location,
                not_covered: c.not_covered,
                recoverable: c.recoverable,
                sizes: Vec::new(),
            })
            .collect();
        view.address = shown.address;
        view.not_in_force = shown.not_in_force;
        view.warnings = shown.warnings;
        Ok(view)
    }
}

/// Reads a definition and names the place of the first mistake, such as `components[2].kind`.
pub(super) fn read(value: &serde_json::Value) -> Result<Definition, ActionError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let at = error.path().to_string();
        let at = if at == "." { "definition".to_owned() } else { at };
        let reason = error.into_inner().to_string();
        ActionError::Invalid { message: format!("{at}: {reason}"), errors: vec![Fault { at, message: reason }] }
    })
}

fn nothing_yet(definition: &Definition) -> EnvironmentView {
    EnvironmentView {
        id: EnvironmentId::from_parts(0, 0),
        name: definition.environment.clone(),
        project: definition.project.clone(),
        address: None,
        components: Vec::new(),
        not_in_force: Vec::new(),
        latest: None,
        latest_proven: None,
        recovery_ms: None,
        checkpoints: 0,
        total: 0,
        stored: 0,
        running: None,
        applied_at: OffsetDateTime::now_utc(),
        to_confirm: false,
        warnings: Vec::new(),
    }
}
