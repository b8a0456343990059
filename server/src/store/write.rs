//! One change of the catalogue: rows, audit and events in one transaction, the live stream after its commit.

use holdfast_model::{
    event::{Event, EventBody},
    id::RunId,
    state::RunState,
};
use sqlx::{Any, AnyConnection, Row as _, Transaction};
use tokio::sync::OwnedMutexGuard;

use super::{
    Engine, Store, StoreError,
    value::{column, count, json, micros, moment},
};

/// A transaction that writes. Dropped without [`Write::commit`], nothing of it has happened.
pub(crate) struct Write {
    tx: Transaction<'static, Any>,
    store: Store,
    now: i64,
    events: Vec<(RunId, Event)>,
    wakes_queue: bool,
    /// Kept until the transaction is over.
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Store {
    /// The database's own clock, in microseconds since 1970: leases must not depend on a worker's clock.
    pub(crate) const fn now_sql(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "select cast(unixepoch('subsec') * 1000000 as integer)",
            Engine::Postgres => "select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }

    /// The database's time now, in microseconds since 1970.
    pub(crate) async fn now(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query(self.now_sql()).fetch_one(&self.pool).await?.try_get(0)?)
    }

    pub(crate) async fn write(&self) -> Result<Write, StoreError> {
        let (turn, mut tx) = match self.engine {
            Engine::Sqlite => {
                let turn = self.turn.clone().lock_owned().await;
                (Some(turn), self.pool.begin_with("begin immediate").await?)
            }
            Engine::Postgres => (None, self.pool.begin().await?),
        };
        let now = sqlx::query(self.now_sql()).fetch_one(&mut *tx).await?.try_get(0)?;
        Ok(Write { tx, store: self.clone(), now, events: Vec::new(), wakes_queue: false, _turn: turn })
    }
}

impl Write {
    /// The connection, for a statement.
    pub(crate) fn on(&mut self) -> &mut AnyConnection {
        &mut self.tx
    }

    /// The database's time at the beginning, in microseconds since 1970.
    pub(crate) const fn now(&self) -> i64 {
        self.now
    }

    /// Those who do the same wait here for each other, until the end of this transaction; SQLite has one writer anyway.
    pub(crate) async fn in_turn(&mut self, what: &str) -> Result<(), StoreError> {
        if self.store.engine == Engine::Postgres {
            sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 10))::text")
                .bind(what)
                .execute(self.on())
                .await?;
        }
        Ok(())
    }

    /// Workers look at the queue once this is committed.
    pub(crate) const fn wake_queue(&mut self) {
        self.wakes_queue = true;
    }

    /// A change of a run's state, as its next event.
    pub(crate) async fn state_event(
        &mut self,
        run: &RunId,
        state: RunState,
        message: Option<String>,
    ) -> Result<(), StoreError> {
        let last: i64 =
            sqlx::query_scalar("update run set last_event = last_event + 1 where id = $1 returning last_event")
                .bind(run.as_str())
                .fetch_one(self.on())
                .await?;
        let at = self.now;
        self.insert_event(run, last, at, EventBody::State { state, message }).await
    }

    /// Events of a run that is held by `fence`, in order.
    pub(crate) async fn fenced_events(
        &mut self,
        run: &RunId,
        fence: i64,
        bodies: Vec<(time::OffsetDateTime, EventBody)>,
    ) -> Result<(), StoreError> {
        let many = column(u64::try_from(bodies.len()).unwrap_or(u64::MAX));
        let last: Option<i64> = sqlx::query_scalar(
            "update run set last_event = last_event + $1 where id = $2 and fence = $3 and state = 'running' \
             returning last_event",
        )
        .bind(many)
        .bind(run.as_str())
        .bind(fence)
        .fetch_optional(self.on())
        .await?;
        let mut sequence = last.ok_or(StoreError::Fenced)? - many;
        for (at, body) in bodies {
            sequence += 1;
            self.insert_event(run, sequence, micros(at), body).await?;
        }
        Ok(())
    }

    async fn insert_event(&mut self, run: &RunId, sequence: i64, at: i64, body: EventBody) -> Result<(), StoreError> {
        let (kind, step, component) = match &body {
            EventBody::State { .. } => ("state", None, None),
            EventBody::Step { step, component, .. } => ("step", Some(step.clone()), component.clone()),
            EventBody::Progress { step, component, .. } => ("progress", Some(step.clone()), component.clone()),
            EventBody::Check { check } => ("check", None, Some(check.component.clone())),
            EventBody::Log { component, .. } => ("log", None, component.clone()),
        };
        if kind == "progress" {
            sqlx::query("delete from event where run = $1 and kind = 'progress' and step = $2")
                .bind(run.as_str())
                .bind(step.clone())
                .execute(self.on())
                .await?;
        }
        sqlx::query(
            "insert into event (run, sequence, at, kind, step, component, body) values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(run.as_str())
        .bind(sequence)
        .bind(at)
        .bind(kind)
        .bind(step)
        .bind(component)
        .bind(json("event", &body)?)
        .execute(self.on())
        .await?;
        self.events.push((run.clone(), Event { sequence: count(sequence), at: moment(at)?, body }));
        Ok(())
    }

    /// Makes it true, then tells those who listen.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        let Self { tx, store, events, wakes_queue, _turn, .. } = self;
        tx.commit().await?;
        for (run, event) in events {
            store.live.send(&run, event);
        }
        if wakes_queue {
            store.queued.notify_waiters();
        }
        Ok(())
    }
}
