//! `holdfast checkpoint export`.

use clap::Args;
use holdfast_model::size;
use holdfast_vault::Cancel;
use serde_json::json;
use tokio::sync::mpsc;

use super::super::{
    Ending,
    archive::{PIECES, measured, moving, pump},
    bucket::BucketArguments,
    failure::Failure,
    print::text::plain,
    session::Session,
};

use crate::body::Pieces;

mod folder;
mod target;

use target::{Recipients, Target, Written};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint export production@latest --output shop.tar.gz
  holdfast checkpoint export chk_0abc… --output shop-friday            a folder
  holdfast checkpoint export chk_0abc… --output exports/               a file in it; the name is made
  holdfast checkpoint export chk_0abc… --output s3://my-bucket/exports/
  holdfast checkpoint export chk_0abc… --output shop.tar.zst --encrypt-to age1…

What comes is readable without Holdfast: metadata.json, SHA256SUMS (sha256sum -c), source.tar.gz, data.tar.gz, env.json,
services/postgres_NAME.dump (pg_restore -l), services/sqlite_NAME.sqlite. It holds every secret of the checkpoint.";

/// Options of `checkpoint export`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExportArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// FILE.tar.gz, FILE.tar.zst, FILE.tar, a folder that is made, or s3://bucket/prefix/; with a slash at its end the
    /// name is made
    #[arg(long, short, value_name = "WHERE")]
    output: String,
    /// Add each PostgreSQL dump as SQL
    #[arg(long)]
    plain_sql: bool,
    /// Encrypt it for this age recipient, before it leaves this process; may be given again
    #[arg(long, value_name = "age1…")]
    encrypt_to: Vec<String>,
    #[command(flatten)]
    bucket: BucketArguments,
}

/// Receives it and puts it where it shall be; nothing half ever stands under the final name.
pub async fn run(session: &Session<'_>, arguments: ExportArguments) -> Result<Ending, Failure> {
    let recipients = Recipients::read(&arguments.encrypt_to)?;
    let access = arguments.bucket.read(&arguments.output)?;
    let client = session.client()?;
    let output = session.output;
    let id = client.checkpoint(&arguments.id).await?.id;
    let target = Target::read(&arguments.output, access.as_ref(), id.as_str(), !recipients.is_empty())?;
    let target = blocking(move || target.refuse_existing().map(|()| target)).await?;
    let bar = moving(output.can_draw());
    bar.set_message(format!("Reading {id}"));
    let response = tokio::select! {
        response = client.export(id.as_str(), target.form(), arguments.plain_sql) => response?,
        _ = tokio::signal::ctrl_c() => return Ok(Ending::Left),
    };
    bar.set_message(format!("Exporting {id}"));
    if let Some(length) = response.content_length() {
        bar.set_length(length);
        bar.set_style(measured());
    }
    let (sender, receiver) = mpsc::channel(PIECES);
    let writing = tokio::task::spawn_blocking(move || target.write(Pieces::new(receiver, Cancel::new()), &recipients));
    let pumped = pump(&client, response, sender, |bytes| bar.set_position(bytes)).await;
    let written = writing.await.map_err(|error| Failure::Server(format!("a thread ended badly: {error}")))?;
    bar.finish_and_clear();
    pumped?;
    let written = written?;
    if output.is_json() {
        output.json(&json!({
            "checkpoint": id,
            "output": written.place,
            "bytes": written.bytes,
            "sha256": written.sha256,
            "encrypted_to": arguments.encrypt_to,
        }))?;
        return Ok(Ending::Done);
    }
    output.line(summary(id.as_str(), &written))?;
    if arguments.encrypt_to.is_empty() {
        output.note(
            "It holds every secret of the checkpoint in the clear, and whoever reads it has them: keep it as you keep \
             passwords,\nor encrypt it with --encrypt-to.",
        )?;
    }
    Ok(Ending::Done)
}

fn summary(id: &str, written: &Written) -> String {
    let mut lines = vec![format!("{id} is exported.\n"), format!("  Output:  {}", plain(&written.place))];
    lines.push(format!("  Size:    {}", size::display(written.bytes)));
    if let Some(sha256) = &written.sha256 {
        lines.push(format!("  SHA-256: {sha256}"));
    }
    lines.push(format!("\nTo take it back: holdfast checkpoint import {}", plain(&written.place)));
    lines.join("\n")
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::Server(format!("a thread ended badly: {error}")))?
}
