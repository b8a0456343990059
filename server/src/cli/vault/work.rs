//! `holdfast vault copy|check|repair|prune`: what is done with a vault as a whole. Each is a run that is followed to its
//! end.

use clap::Args;
use holdfast_model::{
    request::{CheckVault, CopyVault, Depth, PruneVault, RepairVault},
    state::RunState,
    view::RunView,
};

use super::{
    super::{
        Ending,
        bucket::BucketArguments,
        failure::Failure,
        follow::{Followed, Interrupts, follow},
        print::{
            steps::{Show, Steps},
            text::plain,
        },
        session::Session,
    },
    absolute, tried,
};

/// Which vault.
#[derive(Debug, Args)]
pub struct Which {
    /// The project that the vault belongs to
    #[arg(value_name = "PROJECT")]
    pub(super) project: String,
    /// One of its other vaults, by its place as `vault list` shows it [default: the primary one]
    #[arg(long, value_name = "LOCATION")]
    pub(super) location: Option<String>,
}

/// Options of `vault prune`.
#[derive(Debug, Args)]
pub struct PruneArguments {
    #[command(flatten)]
    which: Which,
}

/// Options of `vault check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    #[command(flatten)]
    which: Which,
    /// Read all data too: every checkpoint that is in it is known to be intact afterwards
    #[arg(long, conflicts_with = "part")]
    all: bool,
    /// Read one share of the data too: part N of M, chosen by the packs' names, so that M days read everything
    #[arg(long, value_name = "N/M", value_parser = part)]
    part: Option<(u32, u32)>,
}

/// Options of `vault repair`.
#[derive(Debug, Args)]
pub struct RepairArguments {
    #[command(flatten)]
    which: Which,
    /// Read every pack whole, so that damage inside of its data is found too, and not only its header
    #[arg(long)]
    read_data: bool,
    /// Before that, bring back what somebody has removed from, or overwritten in, a bucket with object lock
    #[arg(long)]
    undelete: bool,
}

/// Options of `vault copy`.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The project whose checkpoints are copied
    #[arg(value_name = "PROJECT")]
    project: String,
    /// s3://bucket/prefix, or a path on the server's host; made where there is no vault yet
    #[arg(value_name = "LOCATION")]
    location: String,
    /// When everything is there, write new checkpoints there; the vault before stays as it is
    #[arg(long = "move")]
    moves: bool,
    #[command(flatten)]
    bucket: BucketArguments,
}

fn part(text: &str) -> Result<(u32, u32), String> {
    let read = || {
        let (part, of) = text.split_once('/')?;
        Some((part.parse().ok()?, of.parse().ok()?))
    };
    read().filter(|(part, of)| (1..=*of).contains(part)).ok_or_else(|| "say for example 3/30".to_owned())
}

pub(super) async fn prune(session: &Session<'_>, arguments: PruneArguments) -> Result<Ending, Failure> {
    let Which { project, location } = arguments.which;
    let run = session.client()?.prune(&project, &PruneVault { location }).await?;
    to_its_end(session, run, "the prune").await
}

pub(super) async fn check(session: &Session<'_>, arguments: CheckArguments) -> Result<Ending, Failure> {
    let Which { project, location } = arguments.which;
    let depth = match arguments.part {
        Some((part, of)) => Depth::Part { part, of },
        None if arguments.all => Depth::All,
        None => Depth::Structure,
    };
    let run = session.client()?.check(&project, &CheckVault { location, depth }).await?;
    to_its_end(session, run, "the check").await
}

pub(super) async fn repair(session: &Session<'_>, arguments: RepairArguments) -> Result<Ending, Failure> {
    let Which { project, location } = arguments.which;
    let request = RepairVault { location, read_data: arguments.read_data, undelete: arguments.undelete };
    let run = session.client()?.repair(&project, &request).await?;
    to_its_end(session, run, "the repair").await
}

pub(super) async fn copy(session: &Session<'_>, arguments: CopyArguments) -> Result<Ending, Failure> {
    let known = session.client()?.vaults().await?;
    let location = absolute(arguments.location)?;
    // A vault that is known needs no credential again.
    let known = known.iter().any(|vault| vault.location == location);
    let bucket = match arguments.bucket.read(&location) {
        Err(_) if known => None,
        read => read?,
    };
    let request = CopyVault { location, bucket, moves: arguments.moves };
    let started = session.client()?.copy(&arguments.project, &request).await?;
    for trial in &started.trials {
        session.output.note(tried(trial))?;
    }
    to_its_end(session, started.run, "the copy").await
}

/// Follows a run and says what came of it.
async fn to_its_end(session: &Session<'_>, run: RunView, what: &str) -> Result<Ending, Failure> {
    let (client, output) = (session.client()?, session.output);
    let mut steps = Steps::new(output, Show::Steps);
    let run = match follow(&client, output, run, &mut steps, Interrupts::new()?).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(Ending::Left),
    };
    drop(steps);
    if output.is_json() {
        output.json(&run)?;
        return Ok(if run.state == RunState::Succeeded { Ending::Done } else { Ending::Not });
    }
    let said = plain(run.message.as_deref().unwrap_or_default()).into_owned();
    match run.state {
        RunState::Succeeded | RunState::Warning => output.line(format!("\n{said}"))?,
        _ => return Err(super::super::checkpoint::failed(what, &run)),
    }
    Ok(Ending::Done)
}
