//! Runs: list, show, stop, follow.

use holdfast_model::{
    access::Permission,
    event::Event,
    id::RunId,
    state::RunState,
    view::{RunList, RunView},
};
use serde::Deserialize;

use super::{ActionError, Actions};
use crate::store::RunFilter;

/// Most rows of one answer.
const MOST: u32 = 500;

/// The query of a list of runs.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRuns {
    /// Only of this environment: name, `project/name` or `env_…`.
    #[serde(default)]
    pub environment: Option<String>,
    /// Only in these states, separated by commas.
    #[serde(default)]
    pub state: Option<String>,
    /// At most so many; 50 when not given, 500 at most.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Only older than this run: `next` of the page before.
    #[serde(default)]
    pub before: Option<String>,
}

impl Actions {
    /// One page of runs, newest first.
    ///
    /// # Errors
    /// When the query cannot be understood.
    pub async fn list_runs(&self, query: ListRuns) -> Result<RunList, ActionError> {
        let environment = match &query.environment {
            Some(text) => Some(self.store().find_environment(text).await?.id),
            None => None,
        };
        let states = query.state.iter().flat_map(|list| list.split(',')).map(|word| word.trim().parse::<RunState>());
        let states = states.collect::<Result<Vec<_>, _>>().map_err(|e| ActionError::invalid("state", e.to_string()))?;
        let before = match &query.before {
            Some(text) => Some(self.store().find_run(text).await?.id),
            None => None,
        };
        let limit = query.limit.unwrap_or(50);
        if limit == 0 || limit > MOST {
            return Err(ActionError::invalid("limit", format!("limit: give a number from 1 to {MOST}")));
        }
        // One more than is shown, to know whether there are more.
        let filter = RunFilter { environment, checkpoint: None, states, before, limit: Some(limit + 1) };
        let mut items = self.store().runs(&filter).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| last.id.clone());
        Ok(RunList { items, next })
    }

    /// One run, by id or unique prefix.
    ///
    /// # Errors
    /// When there is none, or several are meant.
    pub async fn run(&self, text: &str) -> Result<RunView, ActionError> {
        Ok(self.store().find_run(text).await?)
    }

    /// Asks a run to stop: its children are killed, nothing is published, leftovers are swept.
    ///
    /// # Errors
    /// When there is no such run, or it has ended.
    pub async fn cancel(&self, text: &str) -> Result<RunView, ActionError> {
        let run = self.run_to(Permission::Cancel, text).await?;
        if run.state.is_final() {
            return Err(ActionError::Conflict(format!("the run has ended already: {}", run.state)));
        }
        self.store().request_cancel(&run.id, &self.caller.name).await?;
        Ok(self.store().run(&run.id).await?)
    }

    /// Every event of a run that is kept, oldest first.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub async fn events(&self, run: &RunId) -> Result<Vec<Event>, ActionError> {
        let mut all: Vec<Event> = Vec::new();
        loop {
            let page = self.store().events(run, all.last().map_or(0, |event| event.sequence), 1_000).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
