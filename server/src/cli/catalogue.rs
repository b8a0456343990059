//! `holdfast catalogue`: a copy of the catalogue into a vault, and the kit that brings it back.

use clap::{Args, Subcommand};
use holdfast_model::{name::Name, request::CopyCatalogue, size};

use super::{Ending, failure::Failure, print::text::plain, session::Session};

/// What `catalogue` can do.
#[derive(Debug, Subcommand)]
pub enum CatalogueCommand {
    /// Copy the catalogue into a vault now; the server does so once a day by itself
    Copy(CopyArguments),
    /// Print the kit for `holdfast recover` as JSON: the vault's recovery kit, and the server key
    Kit,
}

/// Options of `catalogue copy`.
#[derive(Debug, Args)]
pub struct CopyArguments {
    /// The project into whose vault this and all later copies go [default: as before, at first the oldest vault]
    #[arg(long, value_name = "PROJECT")]
    to: Option<Name>,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: CatalogueCommand) -> Result<Ending, Failure> {
    match command {
        CatalogueCommand::Copy(arguments) => copy(session, arguments).await,
        CatalogueCommand::Kit => kit(session).await,
    }
}

async fn copy(session: &Session<'_>, arguments: CopyArguments) -> Result<Ending, Failure> {
    let moved = arguments.to.is_some();
    let copied = session.client()?.copy_catalogue(&CopyCatalogue { to: arguments.to }).await?;
    let output = session.output;
    if output.is_json() {
        output.json(&copied)?;
    } else {
        output.line(format!(
            "The catalogue ({}, {} of them new) lies in the vault of project {}, at {}",
            size::display(copied.size),
            size::display(copied.stored),
            copied.project,
            plain(&copied.location)
        ))?;
    }
    if moved {
        output.note(
            "Later copies go there, too. Print the kit that fits, and store it elsewhere: holdfast catalogue kit",
        )?;
    }
    Ok(Ending::Done)
}

async fn kit(session: &Session<'_>) -> Result<Ending, Failure> {
    let kit = session.client()?.catalogue_kit().await?;
    let output = session.output;
    if output.is_json() {
        output.json(&kit)?;
    } else {
        // A kit is for `recover`, which reads JSON; its commands stand in it in words.
        let text = serde_json::to_string_pretty(&kit)
            .map_err(|error| Failure::Server(format!("the kit cannot be written: {error}")))?;
        output.line(text)?;
    }
    output.note(
        "Whoever has this can read every project. Keep it where this machine's end does not reach, and apart from the \
         vault. It was not written to any file.",
    )?;
    Ok(Ending::Done)
}
