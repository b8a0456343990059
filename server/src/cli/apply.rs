//! `holdfast apply`: tells the server what an environment consists of.

use std::path::PathBuf;

use clap::Args;

use super::{
    Ending, definition_file,
    failure::Failure,
    print::{table::Table, text::plain},
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast apply -f holdfast.yaml
  holdfast apply -f holdfast.yaml --dry-run      try everything out, change nothing

Relative paths in the file count from the folder that it lies in.";

/// Options of `apply`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ApplyArguments {
    /// The definition; `-` reads the standard input
    #[arg(short, long, value_name = "FILE", default_value = "holdfast.yaml")]
    file: PathBuf,
    /// Check it, and connect to what it names, without keeping it
    #[arg(long)]
    dry_run: bool,
}

/// Reads, sends, and says what the server found.
pub async fn run(session: &Session<'_>, arguments: ApplyArguments) -> Result<Ending, Failure> {
    let read = definition_file::read(&arguments.file)?;
    let client = session.client()?;
    let applied = client.apply(&read.definition, arguments.dry_run).await.map_err(|failure| read.explain(failure))?;
    let output = session.output;
    if output.is_json() {
        output.json(&applied)?;
        return Ok(Ending::Done);
    }
    let verb = if arguments.dry_run { "Would be applied" } else { "Applied" };
    output.line(format!("{verb}: {}/{}\n", applied.project, applied.name))?;
    let mut table = Table::new(&["COMPONENT", "KIND", "TYPE", "LOCATION"]).indented(2);
    for component in &applied.components {
        table.row(vec![
            component.name.to_string(),
            component.kind.to_string(),
            component.component_type.to_string(),
            plain(&component.location).into_owned(),
        ]);
    }
    output.line(table.render())?;
    if !applied.not_in_force.is_empty() {
        output.line(format!("\nStored, but not in force in this version: {}", applied.not_in_force.join(", ")))?;
    }
    for warning in &applied.warnings {
        output.note(format!("warning: {}", plain(warning)))?;
    }
    if !arguments.dry_run {
        output.line(format!("\nNext: holdfast checkpoint create {}", applied.name))?;
    }
    Ok(Ending::Done)
}
