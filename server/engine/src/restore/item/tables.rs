//! Single tables of a database: compared in a staging schema, then put back in one transaction.
//!
//! The comparison is made twice: for the plan, and again when the table is put back, so that no staging schema stands in
//! the database while the safety checkpoint is taken of it, and no late write is overlooked.

use holdfast_model::{
    definition::Settings,
    manifest::ManifestComponent,
    plan::PlanItem,
    secret::Secret,
    table::{TableMode, TableName, TableReport},
};
use holdfast_vault::TreeId;

use super::super::{RestoreReport, RestoreWork};
use crate::{
    context::Context,
    failure::Failure,
    postgres::{self, PgError, TableWork},
    source,
    tools::Tools,
};

/// Tables of one database, in the order in which they are put back.
pub(super) struct Tables {
    tables: Vec<(TableWork, TableReport)>,
    /// Why it would not be done.
    refused: Vec<String>,
    mode: TableMode,
    address: String,
    tools: Tools,
}

impl Tables {
    /// Compares each table with what it is now; what stands against putting it back is told with the others.
    pub(super) async fn check(
        work: &RestoreWork,
        dir: TreeId,
        sealed: &ManifestComponent,
        url: &Secret,
        tools: &Tools,
        ctx: &Context,
    ) -> Result<Self, Failure> {
        let address = postgres::address_of(url).map_err(|error| Failure::Said(error.to_string()))?;
        let mut names: Vec<TableName> = Vec::new();
        for text in &work.tables {
            let name = text.parse()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let (mut tables, mut refused, mode) = (Vec::new(), Vec::new(), work.table_mode);
        for name in &names {
            let one = TableWork {
                vault: work.vault.clone(),
                dir,
                component: sealed.clone(),
                url: url.clone(),
                schema: name.schema.clone(),
                table: name.table.clone(),
                along: names.clone(),
                run: work.run.clone(),
            };
            match postgres::plan_table(&one, tools, ctx).await {
                Ok(planned) => {
                    let report = planned.report.clone();
                    planned.discard(ctx).await;
                    let why = report.refused.get(&mode).filter(|_| report.exists);
                    refused.extend(why.map(|why| format!("table {}: {}", full(&one), why.join("; "))));
                    tables.push((one, report));
                }
                Err(_) if ctx.cancel.is_cancelled() => return Err(Failure::Cancelled),
                Err(error) => refused.push(format!("table {}: {error}", full(&one))),
            }
        }
        Ok(Self { tables: parents_first(tables), refused, mode, address, tools: tools.clone() })
    }

    /// Why it would not be done, a sentence each with its mend.
    pub(super) fn refused(&self) -> &[String] {
        &self.refused
    }

    /// Fills in what is done.
    pub(super) fn plan(&self, item: &mut PlanItem) {
        item.place = self.address.clone();
        item.unit = "tables".to_owned();
        item.bytes = 0;
        for (work, report) in &self.tables {
            let name = full(work);
            if report.exists {
                item.does.push(does(&name, report, self.mode));
                item.changed.add(|| name);
            } else {
                item.does.push(format!("{name} is not there and is made as it was, with {}", rows(report.then)));
                item.made.add(|| name);
            }
            item.tables.push(report.clone());
        }
        item.does.push("all of it is done in one transaction; the application goes on running".to_owned());
        item.does.push(
            "to compare them, their rows are put into a schema of their own in the database, which goes again"
                .to_owned(),
        );
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let of = |(work, report): &(TableWork, TableReport)| {
            let name = full(work);
            report.warnings.iter().map(|warning| format!("table {name}: {warning}")).collect::<Vec<_>>()
        };
        self.tables.iter().flat_map(of).collect()
    }

    /// What no checkpoint would hold: nothing of it is kept.
    pub(super) fn would_lose(&self, component: &str) -> Vec<String> {
        let lines = self.tables.iter().filter_map(|(work, report)| {
            let gone = if self.mode == TableMode::Replace { report.only_now } else { 0 };
            let changed = if self.mode == TableMode::Insert { 0 } else { report.changed };
            let what = match (gone, changed) {
                (0, 0) => return None,
                (gone, 0) => format!("{} that came since", rows(gone)),
                (0, changed) => format!("the newer values of {}", rows(changed)),
                (gone, changed) => format!("{} that came since, and the newer values of {}", rows(gone), rows(changed)),
            };
            Some(format!("`{component}`: in {}, {what}", full(work)))
        });
        lines.collect()
    }

    /// Compares them again and puts all of them back in one transaction.
    pub(super) async fn put_back(self, ctx: &Context) -> Result<RestoreReport, Failure> {
        let failed = |error: PgError| match ctx.cancel.is_cancelled() {
            true => Failure::Cancelled,
            false => Failure::Said(error.to_string()),
        };
        let mut plans = Vec::new();
        for (work, _) in &self.tables {
            match postgres::plan_table(work, &self.tools, ctx).await {
                Ok(plan) => plans.push(plan),
                Err(error) => {
                    for plan in plans {
                        plan.discard(ctx).await;
                    }
                    return Err(failed(error));
                }
            }
        }
        let restored = postgres::carry_out_tables(plans, self.mode, ctx).await.map_err(failed)?;
        let mut report = RestoreReport::default();
        for ((work, _), done) in self.tables.iter().zip(restored) {
            let name = full(work);
            let anew = if done.rebuilt { ", made anew as it was" } else { "" };
            report.tables.push(format!(
                "{name}: {} came back, {} got the values that they had, {} went{anew}",
                rows(done.inserted),
                rows(done.updated),
                rows(done.deleted)
            ));
            report.warnings.extend(done.warnings.into_iter().map(|warning| format!("table {name}: {warning}")));
        }
        Ok(report)
    }
}

/// Removes what a restore of tables that could not end has left in their database; says what it could not look at.
pub async fn sweep_tables(work: &RestoreWork) -> Vec<String> {
    let mut warnings = Vec::new();
    for component in work.components.iter().filter_map(|name| work.definition.component(name.as_str())) {
        let Settings::Postgres { url } = &component.settings else { continue };
        let swept = match source::read(url) {
            Ok(url) => postgres::sweep_staging(&url).await.map_err(|error| error.to_string()),
            Err(why) => Err(why),
        };
        if let Err(why) = swept {
            warnings.push(format!("component `{}`: its staging schema could not be removed: {why}", component.name));
        }
    }
    warnings
}

/// What becomes of the rows of a table that is there.
fn does(name: &str, report: &TableReport, mode: TableMode) -> String {
    let back = format!("{} come back", rows(report.only_then));
    let changed = rows(report.changed);
    let newer = format!("{} that came since", rows(report.only_now));
    match mode {
        TableMode::Insert => format!("{name}: {back}; {changed} with other values and {newer} stay as they are"),
        TableMode::Overwrite => format!("{name}: {back}, {changed} get the values that they had; {newer} stay"),
        TableMode::Replace => {
            format!("{name} becomes what it was: {back}, {changed} get the values that they had, {newer} go")
        }
    }
}

fn rows(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn full(work: &TableWork) -> String {
    format!("{}.{}", work.schema, work.table)
}

/// A table that others refer to comes before them; in a ring the order is the one that was asked for.
fn parents_first(mut left: Vec<(TableWork, TableReport)>) -> Vec<(TableWork, TableReport)> {
    let mut ordered = Vec::new();
    while !left.is_empty() {
        let waits = |(_, report): &(TableWork, TableReport)| {
            let parents = report.broken.iter().filter(|broken| broken.comes_back).map(|broken| broken.to.as_str());
            let names: Vec<String> = left.iter().map(|(work, _)| full(work)).collect();
            parents.into_iter().any(|parent| names.iter().any(|name| name == parent))
        };
        let next = left.iter().position(|one| !waits(one)).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered
}
