//! `holdfast logs`: what happened in an environment's runs, line by line.

use clap::Args;
use holdfast_model::event::Level;

use super::{
    Ending,
    failure::Failure,
    print::{text::plain, times},
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast logs production
  holdfast logs production --component checkpoint-agent     our own log of its runs
  holdfast logs production --component postgres --limit 50";

/// Options of `logs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LogsArguments {
    /// name, project/name or env_…
    #[arg(value_name = "ENV")]
    environment: String,
    /// Only of this component; `checkpoint-agent` is the runs' own log
    #[arg(long, value_name = "NAME")]
    component: Option<String>,
    /// The newest so many lines
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: u32,
}

/// Prints them, oldest first.
pub async fn run(session: &Session<'_>, arguments: LogsArguments) -> Result<Ending, Failure> {
    let component = arguments.component.as_deref();
    let mut lines = session.client()?.logs(&arguments.environment, component, arguments.limit).await?;
    lines.sort_by_key(|line| line.at);
    let output = session.output;
    if output.is_json() {
        output.json(&lines)?;
        return Ok(Ending::Done);
    }
    if lines.is_empty() {
        output.note("No run of this environment has said anything yet.")?;
    }
    for line in &lines {
        let level = match line.level {
            Level::Info => "info   ",
            Level::Warning => "warning",
            Level::Error => "error  ",
        };
        output.line(format!(
            "{}  {level}  {}  {}  {}",
            times::bare(line.at),
            line.run,
            plain(&line.component),
            plain(&line.message)
        ))?;
    }
    Ok(Ending::Done)
}
