//! `holdfast checkpoint cat`.

use clap::Args;
use tokio_stream::StreamExt;

use super::super::{Ending, failure::Failure, session::Session};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint cat production@latest files/uploads/logo.png > logo.png
  holdfast checkpoint cat chk_0abc… manifest.json | jq .components
  holdfast checkpoint cat chk_0abc… databases/postgres/dump.pgc | pg_restore --list";

/// Options of `checkpoint cat`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CatArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// The file's path in the checkpoint: files/COMPONENT/…, databases/COMPONENT/…, manifest.json
    #[arg(value_name = "PATH")]
    path: String,
}

/// Copies its bytes to stdout.
pub async fn run(session: &Session<'_>, arguments: CatArguments) -> Result<Ending, Failure> {
    if session.output.is_json() {
        return Err(Failure::Usage { message: "`cat` prints bytes, not JSON".into(), mend: "leave --json out".into() });
    }
    let client = session.client()?;
    let mut bytes = client.content(&arguments.id, &arguments.path).await?.bytes_stream();
    while let Some(part) = bytes.next().await {
        let part = part.map_err(|error| client.broken(&error))?;
        if !session.output.bytes(&part)? {
            break;
        }
    }
    Ok(Ending::Done)
}
