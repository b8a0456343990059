//! `holdfast vault`: what is needed to read a vault without Holdfast.

use clap::{Args, Subcommand};
use holdfast_model::view::RecoveryKit;

use super::{Ending, confirm, failure::Failure, print::text::plain, session::Session};

/// What `vault` can do.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Print location, password, key file and commands: enough to restore with stock restic alone
    RecoveryKit(KitArguments),
}

/// Options of `vault recovery-kit`.
#[derive(Debug, Args)]
pub struct KitArguments {
    /// The project that the vault belongs to
    #[arg(value_name = "PROJECT")]
    project: String,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: VaultCommand) -> Result<Ending, Failure> {
    let VaultCommand::RecoveryKit(arguments) = command;
    let client = session.client()?;
    let kit = client.recovery_kit(&arguments.project).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&kit)?;
        return Ok(Ending::Done);
    }
    output.line(page(&kit))?;
    output.note(
        "\nWhoever has this can read every checkpoint of the project. Keep it where this machine's end does not reach:\n\
         a password manager, or paper. It was not written to any file.",
    )?;
    if !output.can_ask() || !output.is_terminal() {
        return Ok(Ending::Done);
    }
    if confirm::yes_or_no("Have you stored it in another place?", false).await? {
        client.confirm_recovery_kit(&arguments.project).await?;
        output.note("Noted.")?;
    } else {
        output.note("The overview goes on asking until somebody has.")?;
    }
    Ok(Ending::Done)
}

fn page(kit: &RecoveryKit) -> String {
    let mut text = format!(
        "Recovery kit of project {}\n\n  Repository:  {}\n  Password:    {}\n\nKey file keys/{}\n(the password opens nothing without it; put it back if it is missing)\n\n{}\n\nCommands\n",
        kit.project,
        plain(&kit.repository),
        kit.password,
        kit.key_name,
        kit.key_file.trim_end(),
    );
    for command in &kit.commands {
        text.push_str(&format!("\n  {command}"));
    }
    text
}
