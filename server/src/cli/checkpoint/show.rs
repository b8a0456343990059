//! `holdfast checkpoint show`.

use clap::Args;
use time::OffsetDateTime;

use super::{
    super::{
        Ending,
        failure::Failure,
        print::{checkpoint, steps::Show},
        session::Session,
    },
    verify,
};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint show chk_0abc…
  holdfast checkpoint show production@latest --verify
  holdfast checkpoint show production@latest --json | jq .proof";

/// Options of `checkpoint show`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ShowArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// Read every byte of it back first
    #[arg(long)]
    verify: bool,
}

/// Prints the page, or the JSON value.
pub async fn run(session: &Session<'_>, arguments: ShowArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let mut view = client.checkpoint(&arguments.id).await?;
    let mut ending = Ending::Done;
    if arguments.verify {
        (view, ending) = match verify::carry_out(session, &client, view, Show::Steps).await? {
            Some(verified) => verified,
            None => return Ok(Ending::Left),
        };
    }
    if output.is_json() {
        output.json(&view)?;
        return Ok(ending);
    }
    // The page says how its run ended; a run that is not kept any more is no reason to show nothing.
    let run = match client.run(&view.run).await {
        Ok(run) => Some(run),
        Err(Failure::Problem(problem)) if problem.status == 404 => None,
        Err(failure) => return Err(failure),
    };
    output.line(checkpoint::page(&view, run.as_ref(), OffsetDateTime::now_utc()))?;
    Ok(ending)
}
