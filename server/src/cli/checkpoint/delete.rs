//! `holdfast checkpoint delete`.

use clap::Args;
use serde_json::json;
use time::OffsetDateTime;

use super::super::{
    Ending, confirm,
    failure::Failure,
    print::{
        text::{self, plain},
        times,
    },
    session::Session,
};

/// Options of `checkpoint delete`.
#[derive(Debug, Args)]
pub struct DeleteArguments {
    /// An id, a unique prefix of one, ENV@latest or latest
    #[arg(value_name = "ID")]
    id: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Says what would be lost, asks, and deletes.
pub async fn run(session: &Session<'_>, arguments: DeleteArguments) -> Result<Ending, Failure> {
    let client = session.client()?;
    let output = session.output;
    let view = client.checkpoint(&arguments.id).await?;
    let name = view.name.as_deref().map(|name| format!(" ({})", plain(name))).unwrap_or_default();
    output.line(format!(
        "Delete checkpoint {}{name}?\n\n  Environment: {}/{}\n  Size:        {}\n  Created:     {}\n  Proof:       {}\n\nThis cannot be undone.",
        view.id,
        view.environment.project,
        view.environment.name,
        view.size.display,
        times::moment_and_age(view.created_at, OffsetDateTime::now_utc()),
        text::proof(view.proof),
    ))?;
    if !arguments.yes {
        let mend = format!("if it is meant: holdfast checkpoint delete {} --yes", view.id);
        if !confirm::typed_yes(output, "\nDelete it?", &mend).await? {
            output.note("Nothing was deleted.")?;
            return Ok(Ending::Not);
        }
    }
    client.delete(view.id.as_str()).await?;
    if output.is_json() {
        output.json(&json!({ "deleted": view.id }))?;
    } else {
        output.line(format!("\n{} is deleted.", view.id))?;
    }
    Ok(Ending::Done)
}
