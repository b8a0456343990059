//! Runs as they are read.

use holdfast_model::{
    id::RunId,
    state::RunState,
    view::{EnvironmentRef, RunView, Subject, VaultRef},
};
use sqlx::{AssertSqlSafe, any::AnyRow};

use super::{
    RunFilter, RunRow, Store, StoreError,
    value::{Columns as _, from_json},
};

/// A run with the names of what it works on.
macro_rules! select_run {
    ($rest:literal) => {
        concat!(
            "select r.id, r.kind, r.environment, r.checkpoint, r.parent, r.state, r.request, r.cause, r.created_by, \
             r.created_at, r.started_at, r.ended_at, r.message, r.sealed, r.gate_open, r.last_event, r.attempt, \
             r.not_before, r.cancel_requested, r.vault, e.name as environment_name, p.name as project_name, \
             v.location as vault_location from run r left join environment e on e.id = r.environment \
             left join vault v on v.id = r.vault join project p on p.id = coalesce(e.project, v.project) and ",
            crate::store::sight::seen!(),
            $rest
        )
    };
}
pub(crate) use select_run;

/// How many a list gives when nobody says.
const PAGE: u32 = 50;

fn subject(row: &AnyRow) -> Result<Subject, StoreError> {
    let project = row.word("project_name")?;
    Ok(match row.maybe_word("vault")? {
        Some(id) => Subject::Vault(VaultRef { id, project, location: row.text("vault_location")? }),
        None => Subject::Environment(EnvironmentRef {
            id: row.word("environment")?,
            name: row.word("environment_name")?,
            project,
        }),
    })
}

pub(crate) fn run_row(row: &AnyRow) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        view: RunView {
            id: row.word("id")?,
            kind: row.word("kind")?,
            state: row.word("state")?,
            subject: subject(row)?,
            checkpoint: row.maybe_word("checkpoint")?,
            parent: row.maybe_word("parent")?,
            created_at: row.at("created_at")?,
            started_at: row.maybe_at("started_at")?,
            ended_at: row.maybe_at("ended_at")?,
            created_by: row.text("created_by")?,
            message: row.maybe_text("message")?,
            sealed: row.number("sealed")? != 0,
            gate_open: row.maybe_number("gate_open")?.map(|open| open != 0),
            last_event: row.count("last_event")?,
        },
        request: from_json("request", &row.text("request")?)?,
        trigger: row.word("cause")?,
        attempt: u32::try_from(row.number("attempt")?).unwrap_or(u32::MAX),
        cancel_requested: row.number("cancel_requested")? != 0,
        not_before: row.number("not_before")?,
    })
}

impl Store {
    /// One run.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none of that id.
    pub async fn run(&self, id: &RunId) -> Result<RunView, StoreError> {
        Ok(self.run_row(id).await?.view)
    }

    pub(crate) async fn run_row(&self, id: &RunId) -> Result<RunRow, StoreError> {
        let row = sqlx::query(select_run!(" where r.id = $2"))
            .bind(self.sight.bound())
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await?;
        run_row(&row.ok_or_else(|| StoreError::not_found("run", id.as_str()))?)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(&self, filter: &RunFilter) -> Result<Vec<RunView>, StoreError> {
        // The states come from a closed list of words, never from outside.
        let states: Vec<String> = filter.states.iter().map(|state| format!("'{state}'")).collect();
        let among = if states.is_empty() { String::new() } else { format!("and r.state in ({})", states.join(", ")) };
        let sql = format!(
            "{} {among} order by r.created_at desc, r.id desc limit $5",
            select_run!(
                " where ($2 is null or r.environment = $2) and ($3 is null or r.checkpoint = $3) and ($4 is null or \
                 (r.created_at, r.id) < (select b.created_at, b.id from run b where b.id = $4))"
            )
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(self.sight.bound())
            .bind(filter.environment.as_ref().map(ToString::to_string))
            .bind(filter.checkpoint.as_ref().map(ToString::to_string))
            .bind(filter.before.as_ref().map(ToString::to_string))
            .bind(i64::from(filter.limit.unwrap_or(PAGE)))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok(run_row(row)?.view)).collect()
    }

    /// The runs that are queued or running, oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_runs(&self) -> Result<Vec<RunView>, StoreError> {
        let states = vec![RunState::Queued, RunState::Running];
        let mut runs = self.runs(&RunFilter { states, limit: Some(500), ..RunFilter::default() }).await?;
        runs.reverse();
        Ok(runs)
    }

    /// By id or unique prefix, with or without `run_`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Ambiguous`].
    pub async fn find_run(&self, text: &str) -> Result<RunView, StoreError> {
        let prefix = format!("run_{}", text.strip_prefix("run_").unwrap_or(text));
        let rows = sqlx::query(select_run!(
            " where substr(r.id, 1, cast($2 as integer)) = $3 order by r.created_at desc, r.id desc limit 11"
        ))
        .bind(self.sight.bound())
        .bind(i64::try_from(prefix.len()).unwrap_or(i64::MAX))
        .bind(&prefix)
        .fetch_all(&self.pool)
        .await?;
        match rows.as_slice() {
            [] => Err(StoreError::not_found("run", text)),
            [row] => Ok(run_row(row)?.view),
            many => Err(StoreError::Ambiguous {
                what: "run",
                text: text.to_owned(),
                candidates: many.iter().map(|row| row.text("id")).collect::<Result<_, _>>()?,
            }),
        }
    }
}
