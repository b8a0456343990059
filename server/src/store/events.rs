//! What runs tell: stored first, streamed second.

use holdfast_model::{
    event::{Event, EventBody},
    id::{EnvironmentId, RunId},
    view::LogLine,
};
use time::OffsetDateTime;

use super::{
    Claim, Store, StoreError,
    value::{Columns as _, column, from_json},
};

/// The name under which a run's own lines stand among the components' logs.
pub const AGENT: &str = "checkpoint-agent";

impl Store {
    /// Stores events of a run that the claim holds, in order and in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held: nothing of it was stored.
    pub async fn append(&self, claim: &Claim, bodies: Vec<(OffsetDateTime, EventBody)>) -> Result<(), StoreError> {
        if bodies.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        write.fenced_events(claim.id(), claim.fence, bodies).await?;
        write.commit().await
    }

    /// Stored events after `after`, oldest first. A Progress event is not kept once a later one of its step exists,
    /// so its number may be missing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Event>, StoreError> {
        let rows = sqlx::query(
            "select sequence, at, body from event where run = $1 and sequence > $2 order by sequence limit $3",
        )
        .bind(run.as_str())
        .bind(column(after))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Event {
                    sequence: row.count("sequence")?,
                    at: row.at("at")?,
                    body: from_json("event", &row.text("body")?)?,
                })
            })
            .collect()
    }

    /// The newest log lines of an environment, oldest first: of one component, of the runs themselves
    /// (`checkpoint-agent`), or of all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logs(
        &self,
        environment: &EnvironmentId,
        component: Option<&str>,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        let rows = sqlx::query(
            "select e.run, e.at, e.body from event e join run r on r.id = e.run where r.environment = $1 \
             and e.kind = 'log' and ($2 is null or coalesce(e.component, 'checkpoint-agent') = $2) \
             order by e.at desc, e.run desc, e.sequence desc limit $3",
        )
        .bind(environment.as_str())
        .bind(component.map(ToOwned::to_owned))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            if let EventBody::Log { level, component, message } = from_json("event", &row.text("body")?)? {
                lines.push(LogLine {
                    run: row.word("run")?,
                    at: row.at("at")?,
                    level,
                    component: component.unwrap_or_else(|| AGENT.to_owned()),
                    message,
                });
            }
        }
        Ok(lines)
    }
}
