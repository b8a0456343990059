//! `holdfast checkpoint verify`.

use clap::Args;
use holdfast_model::{state::Integrity, view::CheckpointView};
use time::OffsetDateTime;

use super::super::{
    Ending,
    client::Client,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        steps::{Show, Steps},
        text, times,
    },
    session::Session,
};

/// Options of `checkpoint verify`.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
}

/// Verifies it and says what was found; 1 when it is damaged.
pub async fn run(session: &Session<'_>, arguments: VerifyArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let view = client.checkpoint(&arguments.id).await?;
    let Some((view, ending)) = carry_out(session, &client, view, Show::Steps).await? else {
        return Ok(Ending::Left);
    };
    if output.is_json() {
        output.json(&view)?;
    } else {
        let at = view.integrity_at.map(|at| format!(", {}", times::moment_and_age(at, OffsetDateTime::now_utc())));
        output.line(format!("\n{} is {}{}", view.id, text::integrity(view.integrity), at.unwrap_or_default()))?;
    }
    Ok(ending)
}

/// Runs it and gives the checkpoint as it stands afterwards; none when the person left.
pub async fn carry_out(
    session: &Session<'_>,
    client: &Client,
    view: CheckpointView,
    show: Show,
) -> Result<Option<(CheckpointView, Ending)>, Failure> {
    let mut steps = Steps::new(session.output, show);
    let mut interrupts = Interrupts::new()?;
    let Some(run) = interrupts.during(client.verify(view.id.as_str())).await? else {
        return Ok(None);
    };
    steps.line(format!("Verifying {}\n", view.id))?;
    let run = match follow(client, session.output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(None),
    };
    drop(steps);
    let after = client.checkpoint(view.id.as_str()).await?;
    // A verification that could not be carried out says nothing of the checkpoint.
    let spoke = after.integrity_at.is_some() && after.integrity_at != view.integrity_at;
    match after.integrity {
        Integrity::Damaged if spoke => Ok(Some((after, Ending::Not))),
        Integrity::Intact if spoke => Ok(Some((after, Ending::Done))),
        _ => Err(super::failed("the verification", &run)),
    }
}
