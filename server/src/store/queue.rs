//! The queue: runs wait in their own rows, a worker holds one by a lease in database time and a fence that goes up.
//!
//! Whatever a worker writes is conditional on its fence, so that one whose lease ran out can publish nothing. One
//! create or restore at a time per environment, and one run that works on a vault, is a unique index (`run_slot`), not a
//! habit.

use std::time::Duration;

use holdfast_model::{
    id::{CheckpointId, RunId},
    state::{RunKind, RunState},
};
use sqlx::Row as _;

use super::{
    Beat, Claim, Engine, Lane, NewRun, On, RunRow, Sight, Store, StoreError,
    runs::{run_row, select_run},
    value::{Columns as _, fresh, json},
    write::Write,
};

/// How long a worker holds a run without a heartbeat.
pub const LEASE: Duration = Duration::from_secs(30);
/// How often a worker says that it is there.
pub const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often a run is begun; after that it is only looked after: a seal that has happened is published.
pub const ATTEMPTS: u32 = 3;
/// The first wait before a further attempt; each later one is five times as long.
const BACK_OFF: Duration = Duration::from_secs(2);
/// How often a claim is tried again when other workers take what it wanted.
const TRIES: usize = 16;

const fn micros(time: Duration) -> i64 {
    // Leases and waits are minutes at most.
    time.as_secs().cast_signed() * 1_000_000
}

const fn needs_slot(kind: RunKind) -> bool {
    matches!(
        kind,
        RunKind::Create | RunKind::Restore | RunKind::Prune | RunKind::Check | RunKind::Repair | RunKind::Copy
    )
}

impl Store {
    /// Puts a run into the queue: run, job, audit and its first event in one transaction.
    ///
    /// # Errors
    /// When what it works on does not exist, its slot is taken, or the database fails.
    pub async fn enqueue(&self, run: NewRun) -> Result<RunId, StoreError> {
        let mut write = self.write().await?;
        let id = queue(&mut write, run).await?;
        write.commit().await?;
        Ok(id)
    }

    /// Begins a run that does not wait in the queue, because what it works on is here and now: run, audit and its first
    /// event in one transaction.
    ///
    /// # Errors
    /// When what it works on does not exist, or the database fails.
    pub async fn begin(&self, run: NewRun, worker: &str) -> Result<Claim, StoreError> {
        let mut write = self.write().await?;
        let id = insert(&mut write, &run, None).await?;
        take(&mut write, &id, worker).await?;
        write.state_event(&id, RunState::Running, None).await?;
        write.audit(&run.created_by, &format!("run.{}", run.kind), run.on.id(), id.as_str()).await?;
        let claim = read_claim(&mut write, &id).await?;
        write.commit().await?;
        Ok(claim)
    }

    /// Begins a run as a part of another one that is held: it does not wait for the environment's slot.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the other one is no longer held.
    pub async fn begin_part(&self, whole: &Claim, run: NewRun, worker: &str) -> Result<Claim, StoreError> {
        let mut write = self.write().await?;
        hold(&mut write, whole).await?;
        let id = insert(&mut write, &run, Some(whole.id())).await?;
        take(&mut write, &id, worker).await?;
        write.state_event(&id, RunState::Running, None).await?;
        let claim = read_claim(&mut write, &id).await?;
        write.commit().await?;
        Ok(claim)
    }

    /// Takes the oldest run of a lane that may start; none when nothing may.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, lane: Lane, worker: &str) -> Result<Option<Claim>, StoreError> {
        for _ in 0..TRIES {
            let mut write = self.write().await?;
            let candidate: Option<String> = sqlx::query_scalar(
                "select r.id from run r where r.state = 'queued' and r.not_before <= $1 \
                 and (r.vault is not null) = ($2 = 1) and (r.exclusive = 0 or not \
                 exists (select 1 from run o where coalesce(o.vault, o.environment) = coalesce(r.vault, r.environment) \
                 and o.exclusive = 1 and o.state = 'running')) order by r.created_at, r.id limit 1",
            )
            .bind(write.now())
            .bind(i64::from(lane == Lane::Vaults))
            .fetch_optional(write.on())
            .await?;
            let Some(candidate) = candidate else { return Ok(None) };
            let id: RunId = candidate.parse().map_err(|error| StoreError::corrupt("run id", error))?;
            match take(&mut write, &id, worker).await {
                Ok(true) => {}
                // Another worker was faster with this run, or with another one of the same environment.
                Ok(false) => continue,
                Err(error) if error.is_unique_violation() => continue,
                Err(error) => return Err(error),
            }
            write.state_event(&id, RunState::Running, None).await?;
            let claim = read_claim(&mut write, &id).await?;
            write.commit().await?;
            return Ok(Some(claim));
        }
        Ok(None)
    }

    /// Says that the worker is still there, for another lease.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the run is no longer held: the worker must stop.
    pub async fn heartbeat(&self, claim: &Claim) -> Result<Beat, StoreError> {
        let mut write = self.write().await?;
        let until = write.now() + micros(LEASE);
        let row = sqlx::query(
            "update run set lease_until = $1 where id = $2 and fence = $3 and state = 'running' \
             returning cancel_requested",
        )
        .bind(until)
        .bind(claim.id().as_str())
        .bind(claim.fence)
        .fetch_optional(write.on())
        .await?
        .ok_or(StoreError::Fenced)?;
        let beat = Beat { cancel_requested: row.try_get::<i64, _>(0)? != 0 };
        write.commit().await?;
        Ok(beat)
    }

    /// Whether the claim still holds, without a new lease.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it does not.
    pub async fn check_fence(&self, claim: &Claim) -> Result<(), StoreError> {
        let held: Option<i64> =
            sqlx::query_scalar("select fence from run where id = $1 and fence = $2 and state = 'running'")
                .bind(claim.id().as_str())
                .bind(claim.fence)
                .fetch_optional(&self.pool)
                .await?;
        held.map(|_| ()).ok_or(StoreError::Fenced)
    }

    /// Ends a run. Its last event is this state.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is no longer held; [`StoreError::Invalid`] for a state that is not final.
    pub async fn finish(
        &self,
        claim: &Claim,
        state: RunState,
        message: Option<String>,
        gate_open: Option<bool>,
    ) -> Result<(), StoreError> {
        if !state.is_final() {
            return Err(StoreError::Invalid(format!("a run cannot end as {state}")));
        }
        let mut write = self.write().await?;
        let now = write.now();
        let done = sqlx::query(
            "update run set state = $1, message = $2, ended_at = $3, gate_open = coalesce($4, gate_open), \
             lease_until = null, worker = null where id = $5 and fence = $6 and state = 'running'",
        )
        .bind(state.as_str())
        .bind(message.clone())
        .bind(now)
        .bind(gate_open.map(i64::from))
        .bind(claim.id().as_str())
        .bind(claim.fence)
        .execute(write.on())
        .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::Fenced);
        }
        write.state_event(claim.id(), state, message).await?;
        write.wake_queue();
        write.commit().await
    }

    /// Puts a held run back, because this server stops. It is taken up again as a further attempt.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when it is no longer held.
    pub async fn release(&self, claim: &Claim, message: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        put_back(&mut write, claim.id(), claim.fence, 0, message).await?;
        write.commit().await
    }

    /// Asks that a run ends. A queued one ends at once; a running one as soon as its worker has stopped.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Refused`] when it has ended already.
    pub async fn request_cancel(&self, id: &RunId, by: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let message = format!("cancelled by {by}");
        // A run that was begun before may have sealed something: a worker looks after it first.
        let ended = sqlx::query(
            "update run set state = 'cancelled', message = $1, ended_at = $2, cancel_requested = 1, cancel_by = $3 \
             where id = $4 and state = 'queued' and attempt = 0",
        )
        .bind(&message)
        .bind(now)
        .bind(by)
        .bind(id.as_str())
        .execute(write.on())
        .await?
        .rows_affected();
        if ended == 1 {
            write.state_event(id, RunState::Cancelled, Some(message)).await?;
        } else {
            let asked = sqlx::query(
                "update run set cancel_requested = 1, cancel_by = $1, not_before = 0 \
                 where id = $2 and state in ('queued', 'running')",
            )
            .bind(by)
            .bind(id.as_str())
            .execute(write.on())
            .await?
            .rows_affected();
            if asked == 0 {
                drop(write);
                let state = self.run(id).await?.state;
                return Err(StoreError::Refused(format!("the run has already ended: {state}")));
            }
        }
        write.audit(by, "run.cancel", id.as_str(), "").await?;
        write.wake_queue();
        write.commit().await?;
        let _ = self.cancels.send(id.clone());
        Ok(())
    }

    /// Puts back every run whose worker has gone: its lease ran out, or `mine` says that there can be no other worker.
    /// Gives the runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap(&self, mine: bool) -> Result<Vec<RunId>, StoreError> {
        let mut write = self.write().await?;
        let limit = if mine { i64::MAX } else { write.now() };
        let lost = sqlx::query(
            "select id, kind, fence, attempt from run where state = 'running' and coalesce(lease_until, 0) < $1",
        )
        .bind(limit)
        .fetch_all(write.on())
        .await?;
        let mut runs = Vec::new();
        for row in lost {
            let id: RunId = row.word("id")?;
            let attempt = u32::try_from(row.number("attempt")?).unwrap_or(u32::MAX);
            // A restore is only looked after, so nobody needs to wait for it.
            let wait = if row.text("kind")? == "restore" { 0 } else { back_off(attempt) };
            match put_back(&mut write, &id, row.number("fence")?, wait, "the worker that held this run stopped").await {
                Ok(()) => runs.push(id),
                Err(StoreError::Fenced) => {}
                Err(error) => return Err(error),
            }
        }
        write.commit().await?;
        Ok(runs)
    }

    /// Whether there can be only one server process on this catalogue.
    #[must_use]
    pub fn has_one_server(&self) -> bool {
        self.engine == Engine::Sqlite
    }
}

/// 2 s, 10 s, 50 s, …
fn back_off(attempt: u32) -> i64 {
    micros(BACK_OFF) * 5_i64.saturating_pow(attempt.saturating_sub(1).min(4))
}

/// Puts a run into the queue as a part of a larger change.
pub(crate) async fn queue(write: &mut Write, run: NewRun) -> Result<RunId, StoreError> {
    let id = insert(write, &run, None).await?;
    write.state_event(&id, RunState::Queued, None).await?;
    let subject = run.checkpoint.as_ref().map_or_else(|| run.on.id().to_owned(), ToString::to_string);
    write.audit(&run.created_by, &format!("run.{}", run.kind), &subject, id.as_str()).await?;
    write.wake_queue();
    Ok(id)
}

async fn insert(write: &mut Write, run: &NewRun, part_of: Option<&RunId>) -> Result<RunId, StoreError> {
    let id = fresh(write.now(), RunId::from_parts)?;
    let checkpoint = match run.kind {
        kind if kind.makes_checkpoint() => Some(fresh(write.now(), CheckpointId::from_parts)?),
        _ => run.checkpoint.clone(),
    };
    let (what, query) = match &run.on {
        On::Environment(_) => ("environment", "select id from environment where id = $1"),
        On::Vault(_) => ("vault", "select id from vault where id = $1"),
    };
    let known: Option<String> = sqlx::query_scalar(query).bind(run.on.id()).fetch_optional(write.on()).await?;
    known.ok_or_else(|| StoreError::not_found(what, run.on.id()))?;
    sqlx::query(
        "insert into run (id, kind, environment, vault, checkpoint, parent, state, exclusive, request, cause, \
         created_by, created_at, schedule_slot) values ($1, $2, $3, $4, $5, $6, 'queued', $7, $8, $9, $10, $11, $12)",
    )
    .bind(id.as_str())
    .bind(run.kind.as_str())
    .bind(run.on.environment().map(ToString::to_string))
    .bind(run.on.vault().map(ToString::to_string))
    .bind(checkpoint.map(|checkpoint| checkpoint.to_string()))
    .bind(part_of.map(ToString::to_string))
    .bind(i64::from(part_of.is_none() && needs_slot(run.kind)))
    .bind(json("request", &run.request)?)
    .bind(run.trigger.as_str())
    .bind(&run.created_by)
    .bind(write.now())
    .bind(run.slot.clone())
    .execute(write.on())
    .await?;
    Ok(id)
}

/// Whether the run was queued and is now held.
async fn take(write: &mut Write, id: &RunId, worker: &str) -> Result<bool, StoreError> {
    let now = write.now();
    let taken = sqlx::query(
        "update run set state = 'running', fence = fence + 1, attempt = attempt + 1, worker = $1, lease_until = $2, \
         started_at = coalesce(started_at, $3) where id = $4 and state = 'queued'",
    )
    .bind(worker)
    .bind(now + micros(LEASE))
    .bind(now)
    .bind(id.as_str())
    .execute(write.on())
    .await?;
    Ok(taken.rows_affected() == 1)
}

async fn read_claim(write: &mut Write, id: &RunId) -> Result<Claim, StoreError> {
    let row = sqlx::query(select_run!(" where r.id = $2"))
        .bind(Sight::everything().bound())
        .bind(id.as_str())
        .fetch_one(write.on())
        .await?;
    let fence =
        sqlx::query_scalar("select fence from run where id = $1").bind(id.as_str()).fetch_one(write.on()).await?;
    let run: RunRow = run_row(&row)?;
    Ok(Claim { fence, attempt: run.attempt, run })
}

/// Keeps a claim's row to itself until the end of the transaction.
pub(crate) async fn hold(write: &mut Write, claim: &Claim) -> Result<(), StoreError> {
    let held = sqlx::query("update run set fence = fence where id = $1 and fence = $2 and state = 'running'")
        .bind(claim.id().as_str())
        .bind(claim.fence)
        .execute(write.on())
        .await?;
    if held.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Fenced) }
}

async fn put_back(write: &mut Write, id: &RunId, fence: i64, wait: i64, message: &str) -> Result<(), StoreError> {
    let not_before = write.now() + wait;
    let done = sqlx::query(
        "update run set state = 'queued', fence = fence + 1, worker = null, lease_until = null, not_before = $1 \
         where id = $2 and fence = $3 and state = 'running'",
    )
    .bind(not_before)
    .bind(id.as_str())
    .bind(fence)
    .execute(write.on())
    .await?;
    if done.rows_affected() != 1 {
        return Err(StoreError::Fenced);
    }
    write.state_event(id, RunState::Queued, Some(message.to_owned())).await?;
    write.wake_queue();
    Ok(())
}
