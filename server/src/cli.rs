//! The command line. Every subcommand but `serve`, `doctor`, `recover` and `break-glass` is a client of the REST API and touches
//! neither catalogue nor vault, so that what it can do is what the API allows.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 sealed but its gate is shut, 130 left before its end.

use std::process::ExitCode;

use clap::Parser;

mod admin;
mod apply;
mod archive;
mod arguments;
mod audit;
mod auth;
mod break_glass;
mod bucket;
mod catalogue;
mod checkpoint;
mod client;
mod completions;
mod confirm;
mod credential;
mod definition_file;
mod discover;
mod environment;
mod failure;
mod follow;
mod key;
mod login;
mod logins;
mod logs;
mod members;
mod output;
mod print;
mod recover;
mod session;
mod sign_in_link;
mod vault;
mod version;

use arguments::{Arguments, Command};
use failure::Failure;
use output::Output;
use session::Session;

/// What a command ends with when nothing went wrong with the command itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Done.
    Done,
    /// Carried out, and the answer is no: a damaged checkpoint, a failed or cancelled run, a question answered with no.
    Not,
    /// A checkpoint is sealed, and its gate is shut.
    GateShut,
    /// The person left; the server goes on.
    Left,
}

impl Ending {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Not => 1,
            Self::GateShut => 3,
            Self::Left => 130,
        }
    }
}

/// Reads the arguments of this process, does what they say, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is no reason to complain about help that nobody reads.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let arguments = match admin::unfolded(arguments) {
        Ok(arguments) => arguments,
        Err(failure) => return report(&Output::new(false), &failure),
    };
    let output = Output::new(arguments.global.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => return report(&output, &Failure::Io { what: "threads cannot be started".into(), source }),
    };
    let ended = runtime.block_on(dispatch(arguments, &output));
    // A question that nobody answered may still wait for a line; it must not keep the process.
    runtime.shutdown_background();
    match ended {
        Ok(ending) => ExitCode::from(ending.code()),
        Err(failure) => report(&output, &failure),
    }
}

async fn dispatch(arguments: Arguments, output: &Output) -> Result<Ending, Failure> {
    let session = Session::new(arguments.global, output);
    match arguments.command {
        Command::Serve(arguments) => session::serve(&session, arguments).await,
        Command::Apply(arguments) => apply::run(&session, arguments).await,
        Command::Env(command) => environment::run(&session, command).await,
        Command::Checkpoint(command) => checkpoint::run(&session, *command).await,
        Command::Logs(arguments) => logs::run(&session, arguments).await,
        Command::Vault(command) => vault::run(&session, command).await,
        Command::Catalogue(command) => catalogue::run(&session, command).await,
        Command::Key(command) => key::run(&session, command).await,
        Command::Members => members::run(&session).await,
        Command::BreakGlass(command) => break_glass::run(&session, command).await,
        Command::Audit(command) => audit::run(&session, command).await,
        Command::Recover(arguments) => recover::run(&session, *arguments).await,
        Command::Login(arguments) => login::run(&session, arguments).await,
        Command::Logout => login::out(&session).await,
        Command::Auth(command) => auth::run(&session, command).await,
        Command::SignInLink => sign_in_link::run(&session).await,
        Command::Doctor => session::doctor(&session).await,
        Command::Completions(arguments) => completions::run(&session, &arguments),
        Command::Version => version::run(&session),
        // Its command has taken its place.
        Command::Admin(_) => Ok(Ending::Done),
    }
}

/// Says what went wrong: `error: …`, the places, then the mend. With `--json` the one value on stdout is a problem.
fn report(output: &Output, failure: &Failure) -> ExitCode {
    // Nothing is left to do when not even this can be written.
    if output.is_json() {
        let _ = output.json(&failure.to_json());
    }
    let _ = output.note(failure.for_people());
    ExitCode::from(failure.code())
}
