//! `holdfast checkpoint list`.

use clap::Args;
use holdfast_model::{
    size,
    view::{CheckpointList, CheckpointSummary},
};

use super::super::{
    Ending,
    client::Filter,
    failure::Failure,
    print::{
        table::Table,
        text::{count, plain, proof},
        times,
    },
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint list
  holdfast checkpoint list --env production --since 7d
  holdfast checkpoint list --tag release --verbose
  holdfast checkpoint list --env production --limit 1 | tail -n 1 | awk '{print $1}'";

/// Options of `checkpoint list`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ListArguments {
    /// Only of this environment: name, project/name or env_…
    #[arg(long = "env", value_name = "ENV")]
    environment: Option<String>,
    /// Only with this tag
    #[arg(long)]
    tag: Option<String>,
    /// Only younger than this: 7d, 12h, 30m
    #[arg(long, value_name = "SPAN", value_parser = span)]
    since: Option<String>,
    /// Rows at most; the totals count all that match
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Add proof, trigger, stored bytes, tags and commit
    #[arg(long, short)]
    verbose: bool,
}

/// Refuses what is no span of time, and hands on what is.
fn span(text: &str) -> Result<String, String> {
    humantime::parse_duration(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("{error}; give a number and a unit, such as 7d, 12h or 30m"))
}

/// Prints one row a checkpoint.
pub async fn run(session: &Session<'_>, arguments: ListArguments) -> Result<Ending, Failure> {
    let filter = Filter {
        environment: arguments.environment,
        tag: arguments.tag,
        since: arguments.since,
        limit: Some(arguments.limit),
    };
    let list = session.client()?.checkpoints(&filter).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&list)?;
        return Ok(Ending::Done);
    }
    if list.items.is_empty() {
        output.note("No checkpoint matches.")?;
        return Ok(Ending::Done);
    }
    let table = table(&list.items, arguments.verbose);
    if output.is_terminal() {
        output.line(format!("Checkpoints\n\n{table}\n\n{}", totals(&list)))?;
    } else {
        // In a pipe every line of stdout is a row.
        output.line(table)?;
        output.note(totals(&list))?;
    }
    Ok(Ending::Done)
}

fn table(items: &[CheckpointSummary], verbose: bool) -> String {
    let mut heads = vec!["ID", "NAME", "ENVIRONMENT", "SIZE", "CREATED"];
    if verbose {
        heads.extend(["PROOF", "TRIGGER", "STORED", "TAGS", "COMMIT"]);
    }
    let mut table = Table::new(&heads);
    for item in items {
        let mut row = vec![
            item.id.to_string(),
            item.name.as_deref().map(|name| plain(name).into_owned()).unwrap_or_default(),
            item.environment.name.to_string(),
            narrow(item.total),
            times::bare(item.created_at),
        ];
        if verbose {
            row.extend([
                proof(item.proof).to_string(),
                item.trigger.to_string(),
                narrow(item.stored),
                item.tags.iter().map(|tag| plain(tag)).collect::<Vec<_>>().join(","),
                item.commit.as_deref().map(|commit| plain(commit).into_owned()).unwrap_or_default(),
            ]);
        }
        table.row(row);
    }
    table.render()
}

/// A size without a space, so that it is one word in a row.
fn narrow(bytes: u64) -> String {
    size::display(bytes).replace(' ', "")
}

fn totals(list: &CheckpointList) -> String {
    let shown = u64::try_from(list.items.len()).unwrap_or(u64::MAX);
    let noun = if list.count == 1 { "checkpoint" } else { "checkpoints" };
    let number =
        if shown < list.count { format!("{} of {}", count(shown), count(list.count)) } else { count(list.count) };
    format!("{number} {noun}, {} ({} stored)", size::display(list.total), size::display(list.stored))
}
