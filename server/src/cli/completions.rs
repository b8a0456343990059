//! `holdfast completions`: a script that lets a shell complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Ending, arguments::Arguments, failure::Failure, session::Session};

const EXAMPLES: &str = "\
Examples:
  holdfast completions bash > /etc/bash_completion.d/holdfast
  holdfast completions zsh  > ~/.zfunc/_holdfast
  holdfast completions fish > ~/.config/fish/completions/holdfast.fish";

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArguments {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub fn run(session: &Session<'_>, arguments: &CompletionsArguments) -> Result<Ending, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "holdfast", &mut script);
    session.output.bytes(&script)?;
    Ok(Ending::Done)
}
