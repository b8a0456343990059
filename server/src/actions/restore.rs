//! Restore: what is asked for is resolved to one place, planned or queued.

use holdfast_model::{
    access::Permission,
    definition::{Definition, Settings},
    id::EnvironmentId,
    name::Name,
    plan::RestorePlan,
    problem::Fault,
    request::RestoreCheckpoint,
    state::{Kind, RunKind, selects},
    view::RunView,
};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    ActionError, Actions,
    checkpoints::{asked_by, refuse_unconfirmed},
    clone::Clone,
    definition::{place_fault, view},
    environments::read,
    request::{check_restore, check_selection},
};
use crate::{
    jobs::{Goal, Told, restore_request},
    store::{AppliedDefinition, CheckpointRow, EnvironmentRow, NewRun, On, StoreError},
};

/// A request that fits together, with the place that it means.
struct Asked {
    row: CheckpointRow,
    request: RestoreCheckpoint,
    goal: Goal,
    /// The text of a definition that is to be made.
    made: Option<Value>,
}

impl Actions {
    /// Asks for a restore: to where it came from, to another environment, into a folder or into a database.
    ///
    /// An environment that does not exist yet is made first, when all that would be done was looked at and nothing
    /// stands against it.
    ///
    /// # Errors
    /// When there is no such checkpoint, the request does not fit it, or this caller may not name that place.
    pub async fn restore(&self, text: &str, request: RestoreCheckpoint) -> Result<RunView, ActionError> {
        let asked = self.ask(text, request).await?;
        self.require(Some(&asked.row.environment.project), Permission::Restore)?;
        let environment = match (&asked.goal.id, &asked.made) {
            (Some(id), _) => id.clone(),
            (None, Some(made)) => self.make(&asked, made).await?,
            (None, None) => asked.row.environment.id.clone(),
        };
        let request = restore_request::keep(&self.parts.key, &asked.request).map_err(ActionError::internal)?;
        self.enqueue(NewRun {
            kind: RunKind::Restore,
            on: On::Environment(environment),
            checkpoint: Some(asked.row.id),
            request,
            created_by: self.caller.name.clone(),
            trigger: asked_by(&self.caller),
            slot: None,
        })
        .await
    }

    /// Everything that such a restore would do; nothing is touched.
    ///
    /// # Errors
    /// As [`Self::restore`]; what stands against the restore itself is a part of the plan.
    pub async fn restore_plan(&self, text: &str, request: RestoreCheckpoint) -> Result<RestorePlan, ActionError> {
        let asked = self.ask(text, request).await?;
        Ok(self.parts.desk.plan_restore(&asked.row, &asked.request, &asked.goal, &self.told()).await?)
    }

    async fn ask(&self, text: &str, request: RestoreCheckpoint) -> Result<Asked, ActionError> {
        check_restore(&request)?;
        let row = self.store().find_checkpoint(text).await?;
        let project = &row.environment.project;
        self.allowed(Some(project), Permission::Restore)?;
        if request.to_dir.is_some() || request.to_url.is_some() {
            // A place that no definition names.
            self.allowed(Some(project), Permission::Define)?;
        }
        let known: Vec<_> =
            self.store().checkpoint_view(&row.id).await?.components.iter().map(|c| (c.name.clone(), c.kind)).collect();
        check_selection(&known, &request.components, &[])?;
        if let Some(folder) = &request.to_dir
            && let Some(refusal) = place_fault("to_dir", folder, self.settings(), self.caller.owns_host())
        {
            return Err(refusal);
        }
        let own = self.store().environment(&row.environment.id).await?;
        let (goal, made) = match &request.to {
            Some(to) => self.goal(&own, to, &known, &request).await?,
            None => {
                if request.to_dir.is_none() && request.to_url.is_none() {
                    refuse_unconfirmed(&own)?;
                }
                (self.goal_of(&own).await?, None)
            }
        };
        Ok(Asked { row, request, goal, made })
    }

    /// The environment that `to` means: one that there is, or one that would be made.
    async fn goal(
        &self,
        own: &EnvironmentRow,
        to: &str,
        known: &[(Name, Kind)],
        request: &RestoreCheckpoint,
    ) -> Result<(Goal, Option<Value>), ActionError> {
        let is_id = to.parse::<EnvironmentId>().is_ok();
        let whole = if is_id || to.contains(['/', '~']) { to.to_owned() } else { format!("{}/{to}", own.project) };
        match self.store().find_environment(&whole).await {
            Ok(row) => {
                self.allowed(Some(&row.project), Permission::Restore)?;
                refuse_unconfirmed(&row)?;
                let goal = self.goal_of(&row).await?;
                refuse_other_places(&goal.definition, request)?;
                return Ok((goal, None));
            }
            Err(StoreError::NotFound { .. }) if !is_id => {}
            Err(error) => return Err(error.into()),
        }
        let (project, environment) = whole.split_once(['/', '~']).unwrap_or((own.project.as_str(), to));
        let named = |text: &str| {
            text.parse::<Name>()
                .map_err(|error| ActionError::invalid("to", format!("to: `{text}` is no name: {error}")))
        };
        let (project, environment) = (named(project)?, named(environment)?);
        self.allowed(Some(&project), Permission::Define)?;
        let source = self.goal_of(own).await?;
        let raw = self.store().raw_definition(&self.parts.key, &own.id).await?;
        let raw: Value = serde_json::from_slice(&raw).map_err(|_| unreadable())?;
        let chosen: Vec<Name> = known
            .iter()
            .filter(|(name, kind)| {
                let words = &request.components;
                words.is_empty() || words.iter().any(|word| selects(word, name.as_str(), *kind))
            })
            .map(|(name, _)| name.clone())
            .collect();
        let clone = Clone {
            source: (&raw, &source.definition),
            project: &project,
            environment: &environment,
            components: &chosen,
            map: &request.map,
        };
        let made = clone.definition()?;
        let definition = read(&made)?;
        self.check(&definition)?;
        Ok((Goal { id: None, definition }, Some(made)))
    }

    fn told(&self) -> Told {
        Told::To(self.caller.access.clone())
    }

    async fn goal_of(&self, row: &EnvironmentRow) -> Result<Goal, ActionError> {
        let raw = self.store().raw_definition(&self.parts.key, &row.id).await?;
        let definition = serde_json::from_slice(&raw).map_err(|_| unreadable())?;
        Ok(Goal { id: Some(row.id.clone()), definition })
    }

    /// Makes the environment of a clone, once everything was looked at.
    async fn make(&self, asked: &Asked, made: &Value) -> Result<EnvironmentId, ActionError> {
        let plan = self.parts.desk.plan_restore(&asked.row, &asked.request, &asked.goal, &self.told()).await?;
        if let Some(first) = plan.refused.first() {
            return Err(ActionError::Unprocessable {
                message: format!("nothing was made and nothing was touched: {first}"),
                errors: plan.refused.iter().map(|why| Fault { at: "restore".into(), message: why.clone() }).collect(),
            });
        }
        let definition = &asked.goal.definition;
        let told = format!(
            "it was made for a restore of {}: its address, commands and schedule are not known; apply a holdfast.yaml that has them",
            asked.row.id
        );
        let applied = AppliedDefinition {
            project: definition.project.clone(),
            environment: definition.environment.clone(),
            raw: Zeroizing::new(serde_json::to_vec(made).map_err(ActionError::internal)?),
            view: view(definition, self.settings(), vec![told]),
        };
        Ok(self.store().apply(&self.parts.key, &self.caller.name, applied).await?)
    }
}

fn unreadable() -> ActionError {
    ActionError::Conflict("the stored definition cannot be read; apply a holdfast.yaml instead".into())
}

/// An environment that there is has its places; a mapping may repeat them, so that a restore that made it can be asked
/// for again.
fn refuse_other_places(definition: &Definition, request: &RestoreCheckpoint) -> Result<(), ActionError> {
    for (name, place) in &request.map {
        let same = match definition.component(name.as_str()).map(|component| &component.settings) {
            Some(Settings::Postgres { url: holdfast_model::definition::Source::Given(url) }) => {
                let place = place.expose();
                place == url.expose()
                    || !place.contains("://")
                        && holdfast_engine::postgres::name_of(url).is_ok_and(|database| database == place)
            }
            Some(Settings::Config { file: None, .. } | Settings::Postgres { .. }) | None => false,
            Some(_) => definition
                .component(name.as_str())
                .is_some_and(|component| component.paths().iter().any(|path| path.as_os_str() == place.expose())),
        };
        if !same {
            let whole = format!("{}/{}", definition.project, definition.environment);
            let message = format!(
                "{whole} is there already, and its definition says where `{name}` goes; leave the mapping out, or apply another definition"
            );
            let errors = vec![Fault { at: format!("map.{name}"), message: message.clone() }];
            return Err(ActionError::Unprocessable { message, errors });
        }
    }
    Ok(())
}
