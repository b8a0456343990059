//! `holdfast env`: which environments there are, and how one stands.

use clap::{Args, Subcommand};
use holdfast_model::{
    size,
    view::{CheckpointSummary, Confirmation, EnvironmentView},
};
use time::OffsetDateTime;

use super::{
    Ending, confirm,
    failure::Failure,
    print::{
        table::Table,
        text::{self, count, plain},
        times,
    },
    session::Session,
};

/// What `env` can do.
#[derive(Debug, Subcommand)]
pub enum EnvironmentCommand {
    /// List all environments
    List,
    /// Components, newest checkpoint, proof and its age, and what needs attention
    Status(StatusArguments),
    /// Look at a definition that came with a vault, and let it hold from now on
    Confirm(ConfirmArguments),
}

/// Options of `env status`.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// name, project/name or env_…
    #[arg(value_name = "ENV")]
    environment: String,
}

/// Options of `env confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArguments {
    /// name, project/name or env_…
    #[arg(value_name = "ENV")]
    environment: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: EnvironmentCommand) -> Result<Ending, Failure> {
    match command {
        EnvironmentCommand::List => list(session).await,
        EnvironmentCommand::Status(arguments) => status(session, &arguments.environment).await,
        EnvironmentCommand::Confirm(arguments) => confirm(session, &arguments).await,
    }
}

async fn list(session: &Session<'_>) -> Result<Ending, Failure> {
    let environments = session.client()?.environments().await?;
    let output = session.output;
    if output.is_json() {
        output.json(&environments)?;
        return Ok(Ending::Done);
    }
    if environments.is_empty() {
        output.note("There is no environment yet; tell the server about one with: holdfast apply -f holdfast.yaml")?;
        return Ok(Ending::Done);
    }
    let now = OffsetDateTime::now_utc();
    let mut table =
        Table::new(&["ENVIRONMENT", "COMPONENTS", "CHECKPOINTS", "SIZE", "PROOF", "NEWEST"]).right(&[1, 2, 3]);
    for environment in &environments {
        table.row(vec![
            format!("{}/{}", environment.project, environment.name),
            count(u64::try_from(environment.components.len()).unwrap_or(u64::MAX)),
            count(environment.checkpoints),
            size::display(environment.total),
            environment.latest.as_ref().map(|latest| text::proof(latest.proof).to_string()).unwrap_or_default(),
            environment.latest.as_ref().map(|latest| times::ago(latest.created_at, now)).unwrap_or_default(),
        ]);
    }
    output.line(table.render())?;
    Ok(Ending::Done)
}

async fn status(session: &Session<'_>, environment: &str) -> Result<Ending, Failure> {
    let view = session.client()?.environment(environment).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(page(&view, OffsetDateTime::now_utc()))?;
        for warning in &view.warnings {
            output.note(format!("warning: {}", plain(warning)))?;
        }
    }
    Ok(Ending::Done)
}

/// Shows what the definition names on this host, asks, and lets it hold.
async fn confirm(session: &Session<'_>, arguments: &ConfirmArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let Confirmation { environment, commands } = client.confirmation(&arguments.environment).await?;
    let name = format!("{}/{}", environment.project, environment.name);
    if environment.to_confirm {
        let mut lines = vec![format!("The definition of {name}, as its newest checkpoint has it:\n")];
        let mut table = Table::new(&["COMPONENT", "KIND", "LOCATION"]).indented(2);
        for component in &environment.components {
            let location = plain(&component.location).into_owned();
            table.row(vec![component.name.to_string(), component.kind.to_string(), location]);
        }
        lines.push(table.render());
        if !commands.is_empty() {
            lines.push("\nCommands that a restore runs on this host:\n".into());
            lines.extend(commands.iter().map(|command| format!("  {}", plain(&command.join(" ")))));
        }
        output.note(lines.join("\n"))?;
        if !arguments.yes {
            let mend = format!("if all of this is meant for this host: holdfast env confirm {name} --yes");
            if !confirm::typed_yes(output, "\nIs all of this meant for this host?", &mend).await? {
                output.note("Nothing was confirmed.")?;
                return Ok(Ending::Not);
            }
        }
    }
    let view = client.confirm(&arguments.environment).await?;
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(format!("{name} holds from now on."))?;
    }
    Ok(Ending::Done)
}

fn page(view: &EnvironmentView, now: OffsetDateTime) -> String {
    let newest = |summary: Option<&CheckpointSummary>, none: &str| match summary {
        Some(summary) => format!(
            "{}, {}{}",
            summary.id,
            times::moment_and_age(summary.created_at, now),
            summary.name.as_ref().map(|name| format!(", {}", plain(name))).unwrap_or_default()
        ),
        None => none.to_owned(),
    };
    let mut lines = vec![format!("{}/{}  {}", view.project, view.name, view.id), String::new()];
    if let Some(address) = &view.address {
        lines.push(format!("  Address:        {}", plain(address)));
    }
    lines.push(format!("  Applied:        {}", times::moment_and_age(view.applied_at, now)));
    if view.to_confirm {
        lines.push(format!(
            "  To be confirmed: its definition came with a vault; nothing is captured or put back before\n                  holdfast env confirm {}/{}",
            view.project, view.name
        ));
    }
    lines.push(format!("  Newest:         {}", newest(view.latest.as_ref(), "no checkpoint yet")));
    if let Some(latest) = &view.latest {
        lines.push(format!("  Proof:          {}", text::proof(latest.proof)));
    }
    lines.push(format!("  Newest proven:  {}", newest(view.latest_proven.as_ref(), "none")));
    if let Some(ms) = view.recovery_ms {
        lines.push(format!("  Recovery time:  {}, measured by the last drill", times::span(ms)));
    }
    lines.push(format!(
        "  Checkpoints:    {}, {} ({} stored)",
        count(view.checkpoints),
        size::display(view.total),
        size::display(view.stored)
    ));
    if let Some(run) = &view.running {
        lines.push(format!("  Under way:      {} {}, {}", run.kind, run.id, text::run_state(run.state)));
    }
    lines.push(String::new());
    let mut table = Table::new(&["COMPONENT", "KIND", "TYPE", "SIZE", "LOCATION"]).indented(2).right(&[3]);
    for component in &view.components {
        table.row(vec![
            component.name.to_string(),
            component.kind.to_string(),
            component.component_type.to_string(),
            component.sizes.last().map(|bytes| size::display(*bytes)).unwrap_or_default(),
            plain(&component.location).into_owned(),
        ]);
    }
    lines.push(table.render());
    let remarks: Vec<String> = view
        .components
        .iter()
        .flat_map(|component| {
            let left_out =
                component.not_covered.iter().map(|what| format!("  {}: without {}", component.name, plain(what)));
            let recoverable = component
                .recoverable
                .iter()
                .map(|how| format!("  {}: can be had back by: {}", component.name, plain(how)));
            left_out.chain(recoverable).collect::<Vec<_>>()
        })
        .collect();
    if !remarks.is_empty() {
        lines.push(
            "
Good to know"
                .into(),
        );
        lines.extend(remarks);
    }
    if !view.not_in_force.is_empty() {
        lines.push(format!("\nStored, but not in force in this version: {}", view.not_in_force.join(", ")));
    }
    lines.join("\n")
}
