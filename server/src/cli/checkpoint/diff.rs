//! `holdfast checkpoint diff`.

use clap::Args;
use holdfast_model::{
    diff::{Changes, Diff},
    request::{CreateCheckpoint, LIVE},
    state::Trigger,
    view::CheckpointView,
};

use super::super::{
    Ending,
    client::Client,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        diff::{self, lines, rows},
        steps::{Show, Steps},
    },
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint diff before-migration latest
  holdfast checkpoint diff chk_0abc… live
  holdfast checkpoint diff chk_0abc… chk_0def… --file config/app.yaml
  holdfast checkpoint diff chk_0abc… chk_0def… --table public.orders

What is told is always the second minus the first, as they are given. `live` takes a checkpoint of how things are now,
without a drill, and compares with that; such a one is never the `latest`.";

/// So many changed rows of a table are printed at most.
const ROWS: usize = 1_000;

/// Options of `checkpoint diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArguments {
    /// The first: an id, a unique prefix of one, a name, ENV@latest or latest
    #[arg(value_name = "FIRST")]
    first: String,
    /// The second, or `live`
    #[arg(value_name = "SECOND", default_value = "latest")]
    second: String,
    /// Print the changed lines of this file
    #[arg(long, value_name = "PATH", conflicts_with = "table")]
    file: Option<String>,
    /// Print the changed rows of this table: TABLE or SCHEMA.TABLE
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// The component that file or table belong to, where several have one of that name
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// Do not count changed rows, which reads the dumps of the tables that differ
    #[arg(long)]
    no_rows: bool,
}

/// Compares, and prints the comparison, one file or one table.
pub async fn run(session: &Session<'_>, arguments: DiffArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let mut interrupts = Interrupts::new()?;
    let mut first = arguments.first.clone();
    let second = if arguments.second == LIVE {
        let Some(found) = interrupts.during(client.checkpoint(&arguments.first)).await? else {
            return Ok(Ending::Left);
        };
        // A name may be given to another one while this one is taken.
        first = found.id.to_string();
        match taken(session, &client, &found).await? {
            Some(id) => id,
            None => return Ok(Ending::Left),
        }
    } else {
        arguments.second.clone()
    };
    let whole = arguments.file.is_none() && arguments.table.is_none();
    let reading = client.diff(&first, &second, whole && !arguments.no_rows);
    let Some(found) = interrupts.during(reading).await? else {
        return Ok(Ending::Left);
    };
    // From here on both are named by their ids: `latest` may be another one by now.
    let pair = (found.first.checkpoint.as_str(), found.second.checkpoint.as_str());
    let output = session.output;
    if let Some(path) = &arguments.file {
        let (component, raw) = file_of(&found, path, arguments.component.as_deref())?;
        let file = client.diff_file(pair, &component, path, raw.as_deref()).await?;
        if output.is_json() { output.json(&file)? } else { output.line(lines::page(&file))? }
    } else if let Some(table) = &arguments.table {
        let (component, schema, name) = table_of(&found, table, arguments.component.as_deref())?;
        let mut page = client.diff_table(pair, &component, &schema, &name, None).await?;
        while let Some(next) = page.next.take().filter(|_| page.rows.len() < ROWS) {
            let more = client.diff_table(pair, &component, &schema, &name, Some(&next)).await?;
            page.rows.extend(more.rows);
            page.next = more.next;
        }
        if output.is_json() { output.json(&page)? } else { output.line(rows::page(&page))? }
    } else if output.is_json() {
        output.json(&found)?;
    } else {
        output.line(diff::page(&found))?;
    }
    Ok(Ending::Done)
}

/// Takes a checkpoint of how things are now; its id, or none where somebody has stopped waiting.
async fn taken(session: &Session<'_>, client: &Client, first: &CheckpointView) -> Result<Option<String>, Failure> {
    let request = CreateCheckpoint {
        environment: first.environment.id.to_string(),
        description: Some(format!("To compare {} with", first.id)),
        tags: vec![LIVE.to_owned()],
        drill: false,
        trigger: Some(Trigger::Manual),
        ..CreateCheckpoint::default()
    };
    let mut interrupts = Interrupts::new()?;
    let Some(run) = interrupts.during(client.create(&request)).await? else { return Ok(None) };
    let mut steps = Steps::new(session.output, Show::Nothing);
    let run = match follow(client, session.output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(None),
    };
    match run.checkpoint.as_ref().filter(|_| run.sealed) {
        Some(id) => Ok(Some(id.to_string())),
        None => Err(super::failed("the checkpoint to compare with", &run)),
    }
}

/// The component that a file lies in, and the file's bytes where its name is not text.
fn file_of(found: &Diff, path: &str, component: Option<&str>) -> Result<(String, Option<String>), Failure> {
    let path = path.trim_start_matches('/');
    for part in &found.components {
        let files = match &part.changes {
            Changes::Files(changes) => changes,
            Changes::Git(changes) => &changes.worktree,
            _ => continue,
        };
        if component.is_some_and(|name| name != part.name.as_str()) {
            continue;
        }
        if let Some(entry) = files.entries.iter().find(|entry| entry.path == path) {
            return Ok((part.name.to_string(), entry.raw.clone()));
        }
    }
    // It may be among those that are not listed.
    component.map(|name| (name.to_owned(), None)).ok_or_else(|| Failure::Usage {
        message: format!("`{path}` is no file that differs"),
        mend: "leave --file out to see which do; name its --component where it is one of very many".into(),
    })
}

/// Component, schema and name of a table that differs.
fn table_of(found: &Diff, table: &str, component: Option<&str>) -> Result<(String, String, String), Failure> {
    let tables = found.components.iter().filter_map(|part| match &part.changes {
        Changes::Database(changes) if component.is_none_or(|name| name == part.name.as_str()) => Some((part, changes)),
        _ => None,
    });
    let matching: Vec<_> = tables
        .flat_map(|(part, changes)| changes.tables.iter().map(move |change| (part, change)))
        .filter(|(_, change)| change.name == table || format!("{}.{}", change.schema, change.name) == table)
        .collect();
    match matching.as_slice() {
        [(part, change)] => Ok((part.name.to_string(), change.schema.clone(), change.name.clone())),
        [] => Err(Failure::Usage {
            message: format!("the rows of `{table}` do not differ"),
            mend: "leave --table out to see whose do".into(),
        }),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(part, change)| format!("{}: {}.{}", part.name, change.schema, change.name))
                .collect();
            Err(Failure::Usage {
                message: format!("`{table}` means several: {}", names.join(", ")),
                mend: "give SCHEMA.TABLE, or name its --component".into(),
            })
        }
    }
}
