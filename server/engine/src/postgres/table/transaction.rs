//! Tables locked together and put back, one after the other, in one transaction.

use std::time::{Duration, Instant};

use holdfast_model::table::TableMode;

use super::{
    super::{
        PgError,
        target::{Session, identifier},
    },
    TablePlan, TableRestored,
    live::Live,
    merge::{self, try_alone},
    place, rebuild,
    structure::View,
};

/// So long the tables are tried for without making anybody wait, then for as long in the queue behind whoever has them.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A session that ends, for whatever reason, before the commit has done nothing.
pub(super) async fn run(plans: &[TablePlan], mode: TableMode) -> Result<Vec<TableRestored>, PgError> {
    let Some(first) = plans.first() else { return Ok(Vec::new()) };
    let mut session = first.target.connect().await?;
    lock(plans, mode, &mut session).await?;
    let mut all = Vec::new();
    for plan in plans {
        let mut restored = match in_place(plan, mode) {
            Some(live) => merge::merge(plan, live, mode, &mut session).await,
            None => rebuild::rebuild(plan, plan.live.as_ref(), &mut session).await,
        }
        .map_err(|error| named(plan, plans, error))?;
        views(plan, &mut session, &mut restored).await?;
        all.push(restored);
    }
    session.run("commit", "committing the tables").await?;
    session.close().await;
    Ok(all)
}

/// The table as it is, where its rows are merged into it; none where it is made anew.
fn in_place(plan: &TablePlan, mode: TableMode) -> Option<&Live> {
    plan.live.as_ref().filter(|_| mode != TableMode::Replace || plan.report.structure.is_empty())
}

/// Begins the transaction with all tables locked. Who holds one lock and waits for another can stand in a ring with the
/// application, and then the server ends one of them: so all are taken at once or none, as long as there is hope.
async fn lock(plans: &[TablePlan], mode: TableMode, session: &mut Session) -> Result<(), PgError> {
    let doing = "locking the tables";
    let there = plans.iter().filter(|plan| plan.live.is_some());
    let locks: Vec<(String, &str)> = there
        .map(|plan| {
            let how = if in_place(plan, mode).is_some() { "share row exclusive" } else { "access exclusive" };
            (plan.place(), how)
        })
        .collect();
    let statements = |more: &str| -> String {
        locks.iter().map(|(table, how)| format!("lock table {table} in {how} mode {more}; ")).collect()
    };
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        session.run("begin", doing).await?;
        let Err(error) = session.try_run(statements("nowait")).await else { return Ok(()) };
        session.run("rollback", doing).await?;
        let taken = error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03");
        if !taken {
            return Err(PgError::query(&error, &session.place, doing));
        }
        tokio::time::sleep(PAUSE).await;
    }
    session.run(format!("begin; set local lock_timeout = '{}s'", PATIENCE.as_secs()), doing).await?;
    session.run(statements(""), doing).await
}

/// With several tables, an error says which one it is about.
fn named(plan: &TablePlan, plans: &[TablePlan], error: PgError) -> PgError {
    if plans.len() == 1 {
        return error;
    }
    PgError::Refused(format!("table {}.{}: {error}", plan.report.schema, plan.report.name))
}

/// Views that went with the table are made again, each alone.
async fn views(plan: &TablePlan, session: &mut Session, restored: &mut TableRestored) -> Result<(), PgError> {
    for View { entry, more } in &plan.views {
        // Another table of this restore may have brought it back.
        let name = place(&entry.schema, &entry.name);
        let there = format!("select to_regclass({}) is not null", super::literal(&name));
        if session.row(there, "looking for its views").await?.is(0) {
            continue;
        }
        try_alone(session, &entry.sql, restored).await?;
        try_alone(session, &format!("alter view {name} owner to {}", identifier(&entry.owner)), restored).await?;
        for entry in more {
            try_alone(session, &entry.sql, restored).await?;
        }
    }
    Ok(())
}
