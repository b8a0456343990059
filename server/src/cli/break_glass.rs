//! `holdfast break-glass`: the password by which a browser gets in when no identity provider answers. It needs no server,
//! only the data directory and its owner.

use std::io::{self, BufRead as _, Read as _};

use clap::{Args, Subcommand};
use holdfast_model::secret::Secret;
use serde_json::json;
use time::OffsetDateTime;

use super::{Ending, failure::Failure, output::Output, print::times, session::Session};
use crate::auth::break_glass::{self, LEAST};

const EXAMPLES: &str = "\
Examples:
  holdfast break-glass set                 asks twice
  holdfast break-glass set --generate      makes one and prints it, once
  pass show holdfast | holdfast break-glass set

While a password is set, the sign-in page leads to a form for it. Whoever knows it is an admin for an hour; every page says
so, and each try stands in the audit log. Five tries within a quarter of an hour are the most.";

/// A line is read up to here, in bytes.
const LONGEST: u64 = 4_096;

/// What `break-glass` can do.
#[derive(Debug, Subcommand)]
pub enum BreakGlassCommand {
    /// Set the password; sessions that the one before had opened end
    Set(SetArguments),
    /// Take it away; sessions that it had opened end
    Off,
    /// Say whether one is set
    Status,
}

/// Options of `break-glass set`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SetArguments {
    /// Make a password and print it, once
    #[arg(long)]
    generate: bool,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: BreakGlassCommand) -> Result<Ending, Failure> {
    let settings = session.settings()?;
    let (data_dir, output) = (settings.data_dir, session.output);
    match command {
        BreakGlassCommand::Set(SetArguments { generate }) => {
            let password = if generate { break_glass::generate().map_err(server)? } else { given(output).await? };
            let kept = password.clone();
            let folder = data_dir.clone();
            let set = tokio::task::spawn_blocking(move || break_glass::set(&folder, &kept)).await;
            set.map_err(server)?.map_err(server)?;
            if output.is_json() {
                output.json(&json!({ "set": true, "password": generate.then(|| password.expose()) }))?;
            } else if generate {
                output.line(password.expose())?;
                output.note(
                    "This is the only time that it is shown. Keep it where the identity provider is not needed.",
                )?;
            }
            output.note(
                "The sign-in page leads to a form for it from now on. `holdfast break-glass off` takes it away.",
            )?;
            if settings.identity.links_sign_in() {
                output.note(
                    "There is no identity provider here, so one-time links sign in, and this opens nothing yet.",
                )?;
            }
            Ok(Ending::Done)
        }
        BreakGlassCommand::Off => {
            let was = break_glass::off(&data_dir).map_err(server)?;
            if output.is_json() {
                output.json(&json!({ "set": false, "was_set": was }))?;
            } else if was {
                output.line("The break-glass password is gone, and sessions that it had opened end.")?;
            } else {
                output.line("No break-glass password was set.")?;
            }
            Ok(Ending::Done)
        }
        BreakGlassCommand::Status => {
            let since = break_glass::read(&data_dir).map_err(server)?.map(|glass| glass.since);
            if output.is_json() {
                output.json(&json!({ "set": since.is_some(), "since": since.map(times::moment) }))?;
            } else if let Some(since) = since {
                let since = times::moment_and_age(since, OffsetDateTime::now_utc());
                output.line(format!("A break-glass password is set, since {since}."))?;
            } else {
                output.line("No break-glass password is set.")?;
            }
            Ok(Ending::Done)
        }
    }
}

fn server(error: impl std::fmt::Display) -> Failure {
    Failure::Server(error.to_string())
}

/// The password: asked for twice, or, where nobody can be asked, the first line of stdin.
async fn given(output: &Output) -> Result<Secret, Failure> {
    let can_ask = output.can_ask();
    tokio::task::spawn_blocking(move || if can_ask { asked() } else { read() })
        .await
        .map_err(server)?
        .map_err(|source| Failure::Io { what: "reading the password".into(), source })?
        .ok_or_else(|| Failure::Usage { message: "the two are not the same".into(), mend: "run it again".into() })
}

fn asked() -> io::Result<Option<Secret>> {
    let terminal = console::Term::stderr();
    terminal.write_str(&format!("A password of at least {LEAST} letters: "))?;
    let first = Secret::new(terminal.read_secure_line()?);
    terminal.write_str("The same once more: ")?;
    let second = Secret::new(terminal.read_secure_line()?);
    Ok((first.expose() == second.expose()).then_some(first))
}

fn read() -> io::Result<Option<Secret>> {
    let mut line = String::new();
    io::stdin().lock().take(LONGEST).read_line(&mut line)?;
    Ok(Some(Secret::new(line.trim_end_matches(['\r', '\n']).to_owned())))
}
