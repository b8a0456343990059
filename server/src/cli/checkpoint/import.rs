//! `holdfast checkpoint import`.

use std::path::PathBuf;

use clap::Args;
use holdfast_model::{export::keys, view::CheckpointView};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::super::{
    Ending,
    archive::{PIECES, measured, moving},
    bucket::BucketArguments,
    failure::Failure,
    follow::{Followed, Interrupts, follow},
    print::{
        steps::{Show, Steps},
        text::{self, plain},
        times,
    },
    session::Session,
};

mod source;

use source::Source;

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint import shop.tar.gz
  holdfast checkpoint import shop-friday --env staging             a folder
  holdfast checkpoint import s3://my-bucket/exports/chk_0abc….tar.gz --endpoint https://s3.example.org
  holdfast checkpoint import shop.tar.zst.age --identity key.txt
  holdfast checkpoint import /var/hop3/backups/apps/blog/20251108_143022_a8f3d9 --env blog

Exit codes: 0 sealed and proven, 1 failed, 3 sealed but not proven.";

/// Options of `checkpoint import`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ImportArguments {
    /// An archive, a folder, or s3://bucket/name: an export, or a backup directory of hop3
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment that takes it: name, project/name or env_… [default: the one that it was made of]
    #[arg(long = "env", value_name = "ENV")]
    environment: Option<String>,
    /// The age identity that opens it, where it is encrypted; may be given again
    #[arg(long, value_name = "FILE")]
    identity: Vec<PathBuf>,
    #[command(flatten)]
    bucket: BucketArguments,
}

/// Sends it, watches it being drilled, and says what became of it.
pub async fn run(session: &Session<'_>, arguments: ImportArguments) -> Result<Ending, Failure> {
    let access = arguments.bucket.read(&arguments.from)?;
    let client = session.client()?;
    let output = session.output;
    let (from, identities) = (arguments.from.clone(), arguments.identity.clone());
    let source = tokio::task::spawn_blocking(move || Source::read(&from, access.as_ref(), &identities))
        .await
        .map_err(|error| Failure::Server(format!("a thread ended badly: {error}")))??;
    let bar = moving(output.can_draw());
    bar.set_message(format!("Sending {}", plain(&arguments.from)));
    if let Some(length) = source.length() {
        bar.set_length(length);
        bar.set_style(measured());
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    let sending = tokio::task::spawn_blocking(move || source.send(&sender));
    let shown = bar.clone();
    let pieces = ReceiverStream::new(receiver).map(move |piece: std::io::Result<tokio_util::bytes::Bytes>| {
        if let Ok(piece) = &piece {
            shown.inc(piece.len() as u64);
        }
        piece
    });
    let answer = tokio::select! {
        answer = client.import(arguments.environment.as_deref(), reqwest::Body::wrap_stream(pieces)) => answer,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            output.note("Nothing was imported.")?;
            return Ok(Ending::Left);
        }
    };
    bar.finish_and_clear();
    let sent = sending.await.map_err(|error| Failure::Server(format!("a thread ended badly: {error}")))?;
    // What could not be read here is the reason of a connection that broke off.
    let run = match (answer, sent) {
        (Err(Failure::BrokenOff { .. }), Err(failure)) => return Err(failure),
        (answer, _) => answer?,
    };
    let interrupts = Interrupts::new()?;
    let mut steps = Steps::new(output, Show::Steps);
    if let Some(environment) = run.subject.environment() {
        steps.line(format!("Importing into environment: {}\n", environment.name))?;
    }
    let run = match follow(&client, output, run, &mut steps, interrupts).await? {
        Followed::Ended(run) => run,
        Followed::Left => return Ok(Ending::Left),
    };
    drop(steps);
    let Some(id) = run.checkpoint.as_ref().filter(|_| run.sealed) else {
        return Err(super::failed("the import", &run));
    };
    let view = client.checkpoint(id.as_str()).await?;
    if output.is_json() {
        output.json(&view)?;
    } else {
        output.line(summary(&view))?;
    }
    if run.gate_open == Some(true) {
        return Ok(Ending::Done);
    }
    let why = run.message.as_deref().map(|why| format!(": {}", plain(why))).unwrap_or_default();
    output.note(format!("{}: imported, but its gate is shut{why}", view.id))?;
    Ok(Ending::GateShut)
}

fn summary(view: &CheckpointView) -> String {
    let word = |key: &str| view.metadata.get(key).map(|word| plain(word).into_owned()).unwrap_or_default();
    [
        format!("\nCheckpoint imported and {}.\n", view.proof),
        format!("  ID:          {}", view.id),
        format!("  Was:         {} of {} {}", word(keys::ID), word(keys::SYSTEM), word(keys::VERSION)),
        format!("  Environment: {}", view.environment.name),
        format!("  Size:        {}", view.size.display),
        format!("  Made:        {}", times::moment(view.created_at)),
        format!("  Proof:       {}: {}", text::proof(view.proof), super::verdict(view)),
        format!("\nTo restore: holdfast checkpoint restore {}", view.id),
    ]
    .join("\n")
}
