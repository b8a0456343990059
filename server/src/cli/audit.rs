//! `holdfast audit`: who did what, and whether the log is whole.

use clap::{Args, Subcommand};

use super::{
    Ending,
    failure::Failure,
    print::{
        table::Table,
        text::{count, plain},
        times,
    },
    session::Session,
};

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show lines of the audit log, newest first
    List(ListArguments),
    /// Follow the log's chain of hashes from its first line to its last; 1 when a line was changed or taken out
    Verify,
}

/// Options of `audit list`.
#[derive(Debug, Default, Args)]
pub struct ListArguments {
    /// Only by them
    #[arg(long, value_name = "NAME")]
    pub who: Option<String>,
    /// Only this action, such as checkpoint.delete, or all that begin with it, such as checkpoint
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only about this: an id
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// Only newer: an age such as 7d, or a time
    #[arg(long, value_name = "AGE|TIME")]
    pub since: Option<String>,
    /// At most so many lines, 1000 at most
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub limit: u32,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: AuditCommand) -> Result<Ending, Failure> {
    let (client, output) = (session.client()?, session.output);
    match command {
        AuditCommand::List(asked) => {
            let list = client.audit(&asked).await?;
            if output.is_json() {
                output.json(&list)?;
                return Ok(Ending::Done);
            }
            let mut table = Table::new(&["LINE", "AT", "WHO", "ACTION", "SUBJECT", "DETAIL"]).right(&[0]);
            for line in &list.lines {
                table.row(vec![
                    line.sequence.to_string(),
                    times::moment(line.at),
                    plain(&line.who).to_string(),
                    line.action.clone(),
                    plain(&line.subject).to_string(),
                    plain(&line.detail).to_string(),
                ]);
            }
            output.line(table.render())?;
            Ok(Ending::Done)
        }
        AuditCommand::Verify => {
            let found = client.verify_audit().await?;
            if output.is_json() {
                output.json(&found)?;
            } else if let Some(broken) = &found.broken {
                output.line(format!(
                    "The audit log is not as it was written. Line {}: {}. {} lines before it are whole.",
                    count(broken.sequence),
                    plain(&broken.why),
                    count(found.lines)
                ))?;
            } else {
                output.line(format!(
                    "All {} lines are as they were written. The newest has the hash\n{}\nNoted elsewhere, it proves \
                     later that nothing before it was changed.",
                    count(found.lines),
                    found.hash
                ))?;
            }
            Ok(if found.broken.is_none() { Ending::Done } else { Ending::Not })
        }
    }
}
