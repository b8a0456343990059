//! One table put back out of a sealed dump, the rest of the database left as it is.
//!
//! Its rows are read from the vault into a staging schema of the live database, and compared there with what it has now:
//! that is the plan. Then one transaction, under a lock on the table, carries out the chosen mode; it looks at the
//! outcome before it commits, and whatever fails leaves the live table as it was. The staging schema goes either way.
//!
//! | room | what it does |
//! |---|---|
//! | `structure` | which entries of an archive belong to the table, and how they differ from what it is now |
//! | `live` | what the table is now, what it refers to, what refers to it |
//! | `staging` | its rows as they were, in the live database, and how they compare |
//! | `merge` | rows into the table that is there |
//! | `rebuild` | the table made anew as it was |
//! | `transaction` | one or several tables, locked together and put back |

use holdfast_model::{
    event::Level,
    id::RunId,
    manifest::{Facts, ManifestComponent},
    secret::Secret,
    table::{TableMode, TableName, TableReport},
};
use holdfast_vault::{TreeId, Vault};

use super::{
    PgError,
    archive::Entry,
    capture::{blocking, cancellable, install_for, version},
    target::{Session, Target, identifier, literal},
};
use crate::{
    context::Context,
    diff::database::{Input, dump::Dump},
    tools::Tools,
};

mod live;
mod merge;
mod rebuild;
mod staging;
mod structure;
mod transaction;

use live::Live;
use staging::Staging;
use structure::{MATERIALIZED, View};

/// Which table, out of which dump, into which database.
#[derive(Clone)]
pub struct TableWork {
    /// Where the dump lies.
    pub vault: Vault,
    /// The component's own tree.
    pub dir: TreeId,
    /// The component as it was sealed.
    pub component: ManifestComponent,
    /// The live database.
    pub url: Secret,
    /// The table's schema.
    pub schema: String,
    /// The table's name.
    pub table: String,
    /// Tables that are put back by the same restore, those that others refer to first.
    pub along: Vec<TableName>,
    /// The run that does it: the staging schema is named after it.
    pub run: RunId,
}

/// A table whose rows are in a staging schema and compared. End it by [`TablePlan::carry_out`] or [`TablePlan::discard`].
pub struct TablePlan {
    /// What was found.
    pub report: TableReport,
    target: Target,
    component: String,
    /// What belonged to it, in the archive's order.
    entries: Vec<Entry>,
    /// Of these, what it has not now, or has otherwise.
    missing: Vec<Entry>,
    live: Option<Live>,
    /// Views over it that are gone.
    views: Vec<View>,
    staging: Staging,
    /// As long as it is there, nobody takes the staging schema for one that was left behind.
    grip: Session,
}

/// What putting it back did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableRestored {
    /// Rows that came back.
    pub inserted: u64,
    /// Rows that got other values.
    pub updated: u64,
    /// Rows that went.
    pub deleted: u64,
    /// Whether the table was made anew.
    pub rebuilt: bool,
    /// What a person should read.
    pub warnings: Vec<String>,
}

/// Reads the table into a staging schema and compares it; the live table is only read.
///
/// # Errors
/// The table is not in the dump or cannot be restored alone; the database cannot be reached, or nothing may be made in
/// it. The staging schema is gone then.
pub async fn plan_table(work: &TableWork, tools: &Tools, ctx: &Context) -> Result<TablePlan, PgError> {
    let target = Target::read(&work.url)?;
    let staging = Staging::named(work);
    let planned = cancellable(ctx, plan(work, &target, &staging, tools, ctx)).await;
    if planned.is_err() {
        clean_up(&target, &staging, work.component.name.as_str(), ctx).await;
    }
    planned
}

async fn plan(
    work: &TableWork,
    target: &Target,
    staging: &Staging,
    tools: &Tools,
    ctx: &Context,
) -> Result<TablePlan, PgError> {
    let sealed_major = match &work.component.facts {
        Facts::Postgres { major, .. } => *major,
        _ => return Err(PgError::Refused(format!("component {} is no PostgreSQL database", work.component.name))),
    };
    let input = Input { vault: work.vault.clone(), root: work.dir, component: work.component.clone() };
    // The component's own tree is the root here.
    let input = Input { component: ManifestComponent { place: String::new(), ..input.component }, ..input };
    let dump = blocking(move || Dump::open(&input).map_err(|error| PgError::Refused(error.to_string()))).await?;
    dump.known().map_err(PgError::Refused)?;
    let entries = structure::belonging(&dump.contents.entries, &work.schema, &work.table)?;
    structure::refuse_relatives(&dump.contents.entries, &entries)?;

    let mut session = target.connect().await?;
    staging::sweep(&mut session).await?;
    let (_, major) = version(&mut session).await?;
    if major < sealed_major {
        return Err(PgError::Refused(format!(
            "the checkpoint is of PostgreSQL {sealed_major} and the server is {major}, which is older"
        )));
    }
    let live = Live::read(&mut session, &work.schema, &work.table).await?;
    let was_partition = structure::was_partition(&dump.contents.entries, &work.schema, &work.table);
    if was_partition && !live.as_ref().is_some_and(|live| live.related) {
        return Err(PgError::Refused(format!(
            "{}.{} was a partition of another table and is none now: restore the whole database beside, or attach it",
            work.schema, work.table
        )));
    }
    let mut report = TableReport {
        schema: work.schema.clone(),
        name: work.table.clone(),
        exists: live.is_some(),
        ..TableReport::default()
    };
    let mut missing = entries.clone();
    if live.is_some() {
        let install = install_for(tools, major)?;
        let now = structure::now(target, &install, &work.schema, &work.table, ctx).await?;
        (report.structure, missing) = structure::difference(&now, &entries);
    }
    let views = gone(&mut session, structure::views(&dump.contents.entries, &entries), &mut report).await?;
    let staging = staging.fill(&mut session, dump, &entries, (&work.schema, &work.table), ctx).await?;
    if let Some(live) = &live {
        staging.compare(&mut session, live, &mut report).await?;
        live.references(&mut session, &staging, &work.along, &mut report).await?;
    } else {
        report.then = staging.rows;
        report.only_then = staging.rows;
    }
    refuse(&mut report, live.as_ref(), &staging);
    Ok(TablePlan {
        report,
        target: target.clone(),
        component: work.component.name.to_string(),
        entries,
        missing,
        live,
        views,
        staging,
        grip: session,
    })
}

/// Removes staging schemas that work which could not end has left in a database.
///
/// # Errors
/// The database cannot be reached.
pub async fn sweep_staging(url: &Secret) -> Result<(), PgError> {
    let mut session = Target::read(url)?.connect().await?;
    staging::sweep(&mut session).await?;
    session.close().await;
    Ok(())
}

/// Those that are not there any more, told in the report.
async fn gone(session: &mut Session, views: Vec<View>, report: &mut TableReport) -> Result<Vec<View>, PgError> {
    let mut gone = Vec::new();
    for view in views {
        let entry = &view.entry;
        let there = format!("select to_regclass({}) is not null", literal(&place(&entry.schema, &entry.name)));
        if session.row(there, "looking for its views").await?.is(0) {
            continue;
        }
        let name = format!("{}.{}", entry.schema, entry.name);
        if entry.tag == MATERIALIZED {
            report.warnings.push(format!("the materialized view {name} is gone and does not come back with the table"));
        } else {
            report.warnings.push(format!("the view {name} is gone and comes back too"));
            gone.push(view);
        }
    }
    Ok(gone)
}

/// What stands in the way of each mode.
fn refuse(report: &mut TableReport, live: Option<&Live>, staging: &Staging) {
    let Some(live) = live else { return };
    let mut all: Vec<String> = Vec::new();
    if live.rules > 0 {
        all.push("it has rules, which would rewrite what is put back; drop them, or restore the whole database".into());
    }
    if !live.ours {
        all.push(format!("it belongs to {}; use that role, or one that is a member of it", live.owner));
    }
    let (mut replace, mut merge) = (all.clone(), all);
    for broken in report.broken.iter().filter(|broken| !broken.comes_back) {
        if broken.out {
            merge.push(format!(
                "{} rows of the checkpoint refer to rows of {} that are not there now ({}); put that table back with it",
                broken.rows, broken.to, broken.constraint
            ));
        } else {
            replace.push(format!(
                "{} rows of {} refer to rows that would go ({}); delete them first, or use `insert` or `overwrite`",
                broken.rows, broken.from, broken.constraint
            ));
        }
    }
    replace.extend(merge.iter().filter(|why| why.contains("of the checkpoint refer")).cloned());
    if !report.structure.is_empty() {
        if live.related {
            replace.push("its structure is not as it was, and it is part of a partitioned or inheriting table".into());
        }
        if !live.dependents.is_empty() {
            replace.push(format!(
                "its structure is not as it was, and these depend on it: {}; drop them first, or use `insert` or `overwrite`",
                live.dependents.join(", ")
            ));
        }
    }
    if report.key.is_empty() {
        merge.push("it has no primary key that it had then too: rows cannot be told apart; use `replace`".into());
        if report.structure.is_empty() && live.referred {
            replace.push("it has no primary key, and other tables refer to it".into());
        }
    }
    for column in staging.columns.iter().filter(|column| !live.has(&column.name)) {
        let name = &column.name;
        report.warnings.push(format!("column {name} is not there now and comes back with its values"));
    }
    if !replace.is_empty() {
        report.refused.insert(TableMode::Replace, replace);
    }
    if !merge.is_empty() {
        report.refused.insert(TableMode::Insert, merge.clone());
        report.refused.insert(TableMode::Overwrite, merge);
    }
}

impl TablePlan {
    /// Puts the table back in a transaction of its own; see [`carry_out`].
    ///
    /// # Errors
    /// As [`carry_out`].
    pub async fn carry_out(self, mode: TableMode, ctx: &Context) -> Result<TableRestored, PgError> {
        Ok(carry_out(vec![self], mode, ctx).await?.into_iter().next().unwrap_or_default())
    }

    /// Removes the staging schema.
    pub async fn discard(self, ctx: &Context) {
        clean_up(&self.target, &self.staging, &self.component, ctx).await;
        self.grip.close().await;
    }

    /// Schema and name as SQL.
    fn place(&self) -> String {
        place(&self.report.schema, &self.report.name)
    }
}

/// Puts tables of one database back in one transaction, in their order, so that none refers to what another one has
/// not yet; whatever fails leaves all of them as they were.
///
/// # Errors
/// [`PgError::Refused`] with what a report says of the mode, a lock that does not become free, and all that the database
/// says.
pub async fn carry_out(plans: Vec<TablePlan>, mode: TableMode, ctx: &Context) -> Result<Vec<TableRestored>, PgError> {
    let why: Vec<&str> = plans
        .iter()
        .filter(|plan| plan.live.is_some())
        .filter_map(|plan| plan.report.refused.get(&mode))
        .flatten()
        .map(String::as_str)
        .collect();
    let outcome = match why.is_empty() {
        true => cancellable(ctx, transaction::run(&plans, mode)).await,
        false => Err(PgError::Refused(why.join("; "))),
    };
    for plan in plans {
        plan.discard(ctx).await;
    }
    outcome
}

fn place(schema: &str, table: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(table))
}

/// A fresh session, for the one before may be in the middle of something.
async fn clean_up(target: &Target, staging: &Staging, component: &str, ctx: &Context) {
    let dropped = async {
        let mut session: Session = target.connect().await?;
        session.run(staging.removal(), "dropping the staging schema").await?;
        session.close().await;
        Ok::<(), PgError>(())
    };
    if let Err(error) = dropped.await {
        let message = format!("the schema {} could not be dropped: {error}", staging.schema);
        ctx.log(Level::Warning, Some(component), message);
    }
}
