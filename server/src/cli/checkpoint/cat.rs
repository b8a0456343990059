//! `holdfast checkpoint cat`.

use clap::Args;
use tokio_stream::StreamExt;

use super::super::{Ending, client::Client, failure::Failure, print::text::counted, session::Session};

const EXAMPLES: &str = "\
Examples:
  holdfast checkpoint cat production@latest files/uploads/logo.png > logo.png
  holdfast checkpoint cat production@latest files/uploads/2026 --folder > 2026.tar.zst
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
    /// PATH is a folder: files/COMPONENT, or one below it; what comes is an archive of it, .tar.zst
    #[arg(long)]
    folder: bool,
}

/// Copies its bytes to stdout.
pub async fn run(session: &Session<'_>, arguments: CatArguments) -> Result<Ending, Failure> {
    if session.output.is_json() {
        return Err(Failure::Usage { message: "`cat` prints bytes, not JSON".into(), mend: "leave --json out".into() });
    }
    let client = session.client()?;
    let response = if arguments.folder {
        folder(session, &client, &arguments).await?
    } else {
        client.content(&arguments.id, &arguments.path).await.map_err(|failure| told(failure, &arguments))?
    };
    let mut bytes = response.bytes_stream();
    while let Some(part) = bytes.next().await {
        let part = part.map_err(|error| client.broken(&error))?;
        if !session.output.bytes(&part)? {
            break;
        }
    }
    Ok(Ending::Done)
}

async fn folder(
    session: &Session<'_>,
    client: &Client,
    arguments: &CatArguments,
) -> Result<reqwest::Response, Failure> {
    let path = arguments.path.trim_matches('/');
    let Some(below) = path.strip_prefix("files/").filter(|below| !below.is_empty()) else {
        return Err(Failure::Usage {
            message: format!("`{path}` is no folder of a files component"),
            mend: "give files/COMPONENT or a folder below it; the names are in: holdfast checkpoint show ID".into(),
        });
    };
    if session.output.is_terminal() {
        let message = "an archive is nothing for a terminal".into();
        return Err(Failure::Usage { message, mend: format!("send it to a file: {}", example(arguments)) });
    }
    let (component, below) = below.split_once('/').unwrap_or((below, ""));
    let response = client.folder(&arguments.id, component, below).await?;
    let left_out = response.headers().get("holdfast-left-out").and_then(|count| count.to_str().ok()?.parse().ok());
    if let Some(count @ 1_u64..) = left_out {
        session
            .output
            .note(format!("{} left out: an archive has no place for it.", counted(count, "socket", "sockets")))?;
    }
    Ok(response)
}

/// A folder is refused with the way to take it.
fn told(failure: Failure, arguments: &CatArguments) -> Failure {
    match failure {
        Failure::Problem(problem)
            if problem.errors.iter().any(|fault| fault.at == "path")
                && arguments.path.trim_start_matches('/').starts_with("files/") =>
        {
            Failure::Usage {
                message: problem.detail.unwrap_or(problem.title),
                mend: format!("a folder is taken as an archive: {}", example(arguments)),
            }
        }
        other => other,
    }
}

fn example(arguments: &CatArguments) -> String {
    let path = arguments.path.trim_matches('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    format!("holdfast checkpoint cat {} {path} --folder > {name}.tar.zst", arguments.id)
}
