//! Checkpoints: take, list, show, verify, drill, put back, delete, read from.

use holdfast_model::{
    access::Permission,
    id::CheckpointId,
    request::CreateCheckpoint,
    state::{RunKind, Trigger},
    view::{CheckpointList, CheckpointView, RunView},
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    ActionError, Actions,
    request::{check_create, check_selection},
};
use crate::{
    auth::{Caller, CallerKind},
    jobs::Content,
    store::{CheckpointFilter, CheckpointRow, EnvironmentRow, NewRun, On, RequestKey},
};

/// Most rows of one answer.
const MOST: u32 = 500;

/// The query of a list of checkpoints.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCheckpoints {
    /// Only of this environment: name, `project/name` or `env_…`.
    #[serde(default, alias = "app", alias = "database")]
    pub environment: Option<String>,
    /// Only with this tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// Only newer: an age (`7d`, `12h`) or a time by RFC 3339.
    #[serde(default)]
    pub since: Option<String>,
    /// At most so many rows; 20 when not given, 500 at most.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Only older than this checkpoint: `next` of the page before.
    #[serde(default)]
    pub before: Option<String>,
}

impl Actions {
    /// One page of checkpoints, newest first, with totals over all that match.
    ///
    /// # Errors
    /// When the query cannot be understood.
    pub async fn list_checkpoints(&self, query: ListCheckpoints) -> Result<CheckpointList, ActionError> {
        let environment = match &query.environment {
            Some(text) => Some(self.store().find_environment(text).await?.id),
            None => None,
        };
        let before = match &query.before {
            Some(text) => Some(self.store().find_checkpoint(text).await?.id),
            None => None,
        };
        let since = query.since.as_deref().map(|text| moment(text, OffsetDateTime::now_utc())).transpose()?;
        let limit = query.limit.unwrap_or(20);
        if limit == 0 || limit > MOST {
            return Err(ActionError::invalid("limit", format!("limit: give a number from 1 to {MOST}")));
        }
        let filter = CheckpointFilter { environment, tag: query.tag, since, limit: Some(limit), before };
        Ok(self.store().checkpoints(&filter).await?)
    }

    /// One checkpoint: by id, unique prefix, `ENV@latest`, `latest` or name.
    ///
    /// # Errors
    /// When there is none, or several are meant.
    pub async fn checkpoint(&self, text: &str) -> Result<CheckpointView, ActionError> {
        let row = self.store().find_checkpoint(text).await?;
        Ok(self.store().checkpoint_view(&row.id).await?)
    }

    /// Asks for a checkpoint; the run that takes it is queued.
    ///
    /// # Errors
    /// When the environment is unknown or ambiguous, or the request names what is not there.
    pub async fn create(&self, request: CreateCheckpoint) -> Result<RunView, ActionError> {
        check_create(&request)?;
        let trigger = trigger(&self.caller, request.trigger)?;
        let environment = self.environment_to(Permission::Create, &request.environment).await?;
        refuse_unconfirmed(&environment)?;
        let known: Vec<_> = environment.view.components.iter().map(|c| (c.name.clone(), c.kind)).collect();
        check_selection(&known, &request.components, &request.without)?;
        let run = NewRun {
            kind: RunKind::Create,
            on: On::Environment(environment.id),
            checkpoint: None,
            request: serde_json::to_value(&request).map_err(ActionError::internal)?,
            created_by: self.caller.name.clone(),
            trigger,
            slot: None,
        };
        self.enqueue(run).await
    }

    /// Asks for the sealed copy to be read back whole.
    ///
    /// # Errors
    /// When there is no such checkpoint.
    pub async fn verify(&self, text: &str) -> Result<RunView, ActionError> {
        self.work_on(RunKind::Verify, text).await
    }

    /// Asks for a drill.
    ///
    /// # Errors
    /// When there is no such checkpoint.
    pub async fn drill(&self, text: &str) -> Result<RunView, ActionError> {
        self.work_on(RunKind::Drill, text).await
    }

    /// Deletes a checkpoint, if the rules allow it.
    ///
    /// # Errors
    /// [`ActionError::Conflict`] with the reason when they do not.
    pub async fn delete(&self, text: &str) -> Result<(), ActionError> {
        let row = self.checkpoint_to(Permission::Delete, text).await?;
        Ok(self.parts.desk.delete_checkpoint(&row.id, &self.caller.name).await?)
    }

    /// The exact bytes of `manifest.json`.
    ///
    /// # Errors
    /// When there is no such checkpoint.
    pub async fn manifest(&self, text: &str) -> Result<String, ActionError> {
        let row = self.store().find_checkpoint(text).await?;
        Ok(self.store().manifest_text(&row.id).await?)
    }

    /// Opens one file of a checkpoint; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint or file.
    pub async fn content(&self, text: &str, path: &str) -> Result<Content, ActionError> {
        let row = self.checkpoint_to(Permission::Read, text).await?;
        Ok(self.parts.desk.content(&row.id, path, &self.caller.name).await?)
    }

    /// Why a checkpoint may not be deleted now; none when it may.
    ///
    /// # Errors
    /// When there is no such checkpoint.
    pub async fn why_not_delete(&self, id: &CheckpointId) -> Result<Option<String>, ActionError> {
        Ok(self.store().may_delete(id).await?.err().map(|refusal| refusal.to_string()))
    }

    async fn work_on(&self, kind: RunKind, text: &str) -> Result<RunView, ActionError> {
        let row = self.checkpoint_to(Permission::Drill, text).await?;
        self.enqueue(of(&self.caller, kind, row, serde_json::Value::Null)).await
    }

    pub(super) async fn enqueue(&self, run: NewRun) -> Result<RunView, ActionError> {
        let id = match &self.once {
            Some(key) => {
                let asked = RequestKey { caller: self.caller.subject.clone(), key: key.to_string() };
                self.store().enqueue_once(&asked, run).await?
            }
            None => self.store().enqueue(run).await?,
        };
        Ok(self.store().run(&id).await?)
    }
}

/// A definition that came from a vault names paths, databases and commands that nobody on this host has looked at yet.
pub(super) fn refuse_unconfirmed(environment: &EnvironmentRow) -> Result<(), ActionError> {
    if !environment.to_confirm {
        return Ok(());
    }
    Err(ActionError::Conflict(format!(
        "the definition of {0}/{1} came from a vault and nobody has looked at it yet; on the server's host: \
         holdfast env confirm {0}/{1}",
        environment.project, environment.name
    )))
}

fn of(caller: &Caller, kind: RunKind, row: CheckpointRow, request: serde_json::Value) -> NewRun {
    NewRun {
        kind,
        on: On::Environment(row.environment.id),
        checkpoint: Some(row.id),
        request,
        created_by: caller.name.clone(),
        trigger: asked_by(caller),
        slot: None,
    }
}

/// What caused a run that somebody asked for.
pub(super) fn asked_by(caller: &Caller) -> Trigger {
    if caller.kind == CallerKind::Person { Trigger::Button } else { Trigger::Api }
}

/// What caused a checkpoint: a person's button, or what a program says, as far as it can know.
fn trigger(caller: &Caller, asked: Option<Trigger>) -> Result<Trigger, ActionError> {
    match (caller.kind, asked) {
        (CallerKind::Person, _) => Ok(Trigger::Button),
        (_, None) => Ok(Trigger::Api),
        (_, Some(Trigger::Button | Trigger::PreRestore | Trigger::Import | Trigger::Schedule)) => {
            Err(ActionError::invalid("trigger", "trigger: this one is set by Holdfast itself; leave it out"))
        }
        (_, Some(trigger)) => Ok(trigger),
    }
}

/// `7d` before `now`, or the time itself.
pub(super) fn moment(text: &str, now: OffsetDateTime) -> Result<OffsetDateTime, ActionError> {
    if let Ok(age) = humantime::parse_duration(text) {
        return now.checked_sub(age.try_into().unwrap_or(time::Duration::MAX)).ok_or_else(|| {
            ActionError::invalid("since", "since: is longer ago than there is time; leave it out to have all")
        });
    }
    OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        ActionError::invalid(
            "since",
            format!("since: `{text}` is neither an age such as 7d or 12h nor a time by RFC 3339"),
        )
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_age_and_a_time_are_both_understood() {
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        assert_eq!(moment("7d", now).unwrap(), now - time::Duration::days(7));
        assert_eq!(moment("2026-01-01T00:00:00Z", now).unwrap().unix_timestamp(), 1_767_225_600);
        assert!(moment("yesterday", now).is_err());
        assert!(moment("99999999999999y", now).is_err());
    }
}
