//! What changed between two checkpoints, and a closer look at a file, a table, a variable of it.

use std::{sync::Arc, time::Duration};

use holdfast_app::backend::{Asked, CompareData, ComparePage, RunPage};
use holdfast_engine::shown;
use holdfast_model::{
    access::Permission,
    diff::{Diff, FileView, TableRows},
    name::Name,
    request::{CreateCheckpoint, LIVE},
    state::Trigger,
    view::RunView,
};
use serde::Deserialize;
use time::OffsetDateTime;

use super::{ActionError, Actions, ListCheckpoints, browse::PlaceQuery};
use crate::{compare::CompareError, store::CheckpointRow};

/// Checkpoints that a page offers for choice.
const CHOICES: u32 = 100;
/// Rows of one answer.
const PAGE: usize = 100;
/// A page waits so long for the count of changed rows before it is shown without it.
const PATIENCE: Duration = Duration::from_millis(2500);

/// The query of a comparison.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// Whether changed rows are counted, which reads the dumps of every table that differs; they are unless it says no.
    #[serde(default = "yes")]
    pub rows: bool,
}

/// The query for the changed rows of one table.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TableQuery {
    /// The component's name.
    pub component: String,
    /// The table's schema; none where the engine has no schemas.
    #[serde(default)]
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// How many rows have been seen already: `next` of the answer before.
    #[serde(default)]
    pub after: usize,
}

/// The query for both values of a variable.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueQuery {
    /// The component's name.
    pub component: String,
    /// The variable's name.
    pub variable: String,
}

/// The checkpoint that a run has sealed, or the run as it is.
enum Taken {
    Sealed(String),
    Not(Box<RunPage>),
}

const fn yes() -> bool {
    true
}

impl Actions {
    /// What changed from `first` to `second`.
    ///
    /// # Errors
    /// When there is no such checkpoint, or one cannot be read.
    pub async fn diff(&self, first: &str, second: &str, query: &DiffQuery) -> Result<Arc<Diff>, ActionError> {
        let (first, second) = self.ends(first, second).await?;
        Ok(self.parts.comparisons.whole(&self.parts.desk, &first, &second, query.rows).await?)
    }

    /// One file of a comparison, line by line; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or file.
    pub async fn diff_file(&self, first: &str, second: &str, query: &PlaceQuery) -> Result<FileView, ActionError> {
        let (first, second) = self.ends_to(Permission::Read, first, second).await?;
        let path = query.path()?;
        let opened = format!("{}/{}", query.component, shown(&path));
        self.look(&first, &second, "checkpoint.diff.file", &opened).await?;
        let component = component(&query.component)?;
        Ok(self.parts.comparisons.file(&self.parts.desk, &first, &second, &component, &path).await?)
    }

    /// A page of the changed rows of one table; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or table.
    pub async fn diff_table(&self, first: &str, second: &str, query: &TableQuery) -> Result<TableRows, ActionError> {
        let (first, second) = self.ends_to(Permission::Read, first, second).await?;
        let opened = format!("{}/{}.{}", query.component, query.schema, query.table);
        self.look(&first, &second, "checkpoint.diff.table", &opened).await?;
        let component = component(&query.component)?;
        let all = self
            .parts
            .comparisons
            .table(&self.parts.desk, &first, &second, &component, (&query.schema, &query.table))
            .await?;
        Ok(page(&all, query.after))
    }

    /// Both values of a variable in the clear; audited.
    ///
    /// # Errors
    /// When there is no such checkpoint, component or variable.
    pub async fn diff_value(
        &self,
        first: &str,
        second: &str,
        query: &ValueQuery,
    ) -> Result<(Option<String>, Option<String>), ActionError> {
        let (first, second) = self.ends_to(Permission::Reveal, first, second).await?;
        let opened = format!("{}/{}", query.component, query.variable);
        self.look(&first, &second, "checkpoint.reveal", &opened).await?;
        let component = component(&query.component)?;
        let values =
            self.parts.comparisons.value(&self.parts.desk, &first, &second, &component, &query.variable).await?;
        let clear = |value: Option<holdfast_model::secret::Secret>| value.map(|value| value.expose().to_owned());
        Ok((clear(values.0), clear(values.1)))
    }

    /// Asks for a checkpoint of how the environment of `text` is now, to compare with: tagged, and without a drill.
    ///
    /// # Errors
    /// As for every checkpoint that is asked for.
    pub async fn create_live(&self, text: &str) -> Result<RunView, ActionError> {
        let row = self.store().find_checkpoint(text).await?;
        let request = CreateCheckpoint {
            environment: row.environment.id.to_string(),
            description: Some(format!("To compare {} with", row.id)),
            tags: vec![LIVE.to_owned()],
            drill: false,
            trigger: (self.caller.kind != crate::auth::CallerKind::Person).then_some(Trigger::Api),
            ..CreateCheckpoint::default()
        };
        self.create(request).await
    }

    /// The page of a comparison, as far as it is known at once; or the run that takes the second checkpoint.
    ///
    /// # Errors
    /// When there is no such checkpoint, or nothing to compare with.
    pub(super) async fn compare_page(&self, asked: Asked) -> Result<CompareData, ActionError> {
        let (first, second) = match (asked.first, asked.second) {
            (Some(first), Some(run)) if run.starts_with("run_") => match self.taken(&run).await? {
                Taken::Sealed(second) => (first, second),
                Taken::Not(live) => return Ok(CompareData::Waiting { first, live }),
            },
            (Some(first), Some(second)) => (first, second),
            (first, second) => self.named(first, second, &asked.picked).await?,
        };
        let (one, other) = self.ends(&first, &second).await?;
        // The count goes on when the page is there: whoever looks again finds it.
        let (actions, ids) = (self.clone(), (one.id.to_string(), other.id.to_string()));
        let counted = tokio::spawn(async move { actions.diff(&ids.0, &ids.1, &DiffQuery { rows: true }).await });
        let (diff, counting) = match tokio::time::timeout(PATIENCE, counted).await {
            Ok(counted) => (counted.map_err(ActionError::internal)??, false),
            Err(_) => (self.diff(one.id.as_str(), other.id.as_str(), &DiffQuery { rows: false }).await?, true),
        };
        let query = ListCheckpoints {
            environment: Some(other.environment.id.to_string()),
            limit: Some(CHOICES),
            ..ListCheckpoints::default()
        };
        Ok(CompareData::Ready(Box::new(ComparePage {
            now: OffsetDateTime::now_utc(),
            counting,
            choices: self.list_checkpoints(query).await?.items,
            diff: Arc::unwrap_or_clone(diff),
        })))
    }

    /// What a run that was asked for by [`Self::create_live`] has come to.
    async fn taken(&self, run: &str) -> Result<Taken, ActionError> {
        let run = self.run(run).await?;
        if let Some(id) = run.checkpoint.as_ref().filter(|_| run.sealed) {
            return Ok(Taken::Sealed(id.to_string()));
        }
        let events = self.events(&run.id).await?;
        Ok(Taken::Not(Box::new(RunPage { now: OffsetDateTime::now_utc(), run, events })))
    }

    /// Both by what is known: two that were ticked, or one and its neighbour in time.
    async fn named(
        &self,
        first: Option<String>,
        second: Option<String>,
        picked: &[String],
    ) -> Result<(String, String), ActionError> {
        if let [one, other] = picked {
            let (one, other) = self.ends(one, other).await?;
            let (one, other) = if one.created_at <= other.created_at { (one, other) } else { (other, one) };
            return Ok((one.id.to_string(), other.id.to_string()));
        }
        if let Some(first) = first {
            return Ok((first, "latest".to_owned()));
        }
        let Some(second) = second.as_deref().or(picked.first().map(String::as_str)).filter(|_| picked.len() < 2) else {
            let message = format!("{} checkpoints are ticked; tick two of them, then compare", picked.len());
            return Err(ActionError::invalid("pick", message));
        };
        let second = self.store().find_checkpoint(second).await?;
        let query = ListCheckpoints {
            environment: Some(second.environment.id.to_string()),
            before: Some(second.id.to_string()),
            limit: Some(1),
            ..ListCheckpoints::default()
        };
        let earlier = self.list_checkpoints(query).await?.items.into_iter().next().ok_or_else(|| {
            let message = format!(
                "{} is the first checkpoint of {}: there is nothing before it to compare with",
                second.id, second.environment.name
            );
            ActionError::Conflict(message)
        })?;
        Ok((earlier.id.to_string(), second.id.to_string()))
    }

    /// Both checkpoints, to do this with.
    async fn ends_to(
        &self,
        permission: Permission,
        first: &str,
        second: &str,
    ) -> Result<(CheckpointRow, CheckpointRow), ActionError> {
        let (first, second) = self.ends(first, second).await?;
        self.require(Some(&first.environment.project), permission)?;
        self.require(Some(&second.environment.project), permission)?;
        Ok((first, second))
    }

    /// Both checkpoints. `latest` is the newest of the other one's environment.
    async fn ends(&self, first: &str, second: &str) -> Result<(CheckpointRow, CheckpointRow), ActionError> {
        const LATEST: &str = "latest";
        let of = |row: &CheckpointRow| format!("{}@{LATEST}", row.environment.id);
        let store = self.store();
        Ok(match (first, second) {
            (LATEST, LATEST) => {
                let row = store.find_checkpoint(LATEST).await?;
                (row.clone(), row)
            }
            (LATEST, _) => {
                let second = store.find_checkpoint(second).await?;
                (store.find_checkpoint(&of(&second)).await?, second)
            }
            (_, LATEST) => {
                let first = store.find_checkpoint(first).await?;
                let second = store.find_checkpoint(&of(&first)).await?;
                (first, second)
            }
            _ => (store.find_checkpoint(first).await?, store.find_checkpoint(second).await?),
        })
    }

    /// Notes that somebody looked into both.
    async fn look(
        &self,
        first: &CheckpointRow,
        second: &CheckpointRow,
        action: &str,
        what: &str,
    ) -> Result<(), ActionError> {
        for row in [first, second] {
            self.store().audit(&self.caller.name, action, row.id.as_str(), what).await?;
        }
        Ok(())
    }
}

/// The rows behind the first `after`.
fn page(all: &TableRows, after: usize) -> TableRows {
    let rows: Vec<_> = all.rows.iter().skip(after).take(PAGE).cloned().collect();
    let seen = after.saturating_add(rows.len());
    TableRows {
        next: (seen < all.rows.len()).then(|| seen.to_string()),
        rows,
        schema: all.schema.clone(),
        name: all.name.clone(),
        columns: all.columns.clone(),
        key: all.key.clone(),
        masked: all.masked.clone(),
        ..*all
    }
}

fn component(text: &str) -> Result<Name, ActionError> {
    text.parse().map_err(|_| ActionError::NotFound(format!("neither checkpoint has a component `{text}`")))
}

impl From<CompareError> for ActionError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Desk(error) => error.into(),
            other => (&other).into(),
        }
    }
}

impl From<Arc<CompareError>> for ActionError {
    fn from(error: Arc<CompareError>) -> Self {
        match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            // Several waited for the same answer.
            Err(shared) => (&*shared).into(),
        }
    }
}

impl From<&CompareError> for ActionError {
    fn from(error: &CompareError) -> Self {
        use holdfast_engine::diff::DiffError;
        let text = error.to_string();
        match error {
            CompareError::Diff(
                DiffError::NoSuchComponent { .. } | DiffError::NoSuchFile { .. } | DiffError::NoSuchTable { .. },
            ) => Self::NotFound(text),
            CompareError::Diff(_) | CompareError::Desk(_) | CompareError::Scratch { .. } => Self::Unavailable(text),
        }
    }
}
