//! `holdfast auth`: the token of whoever has signed in at this terminal, for other programs of theirs.

use clap::Subcommand;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{Ending, credential::Renewed, failure::Failure, login, logins::Logins, session::Session};

/// What `auth` can do.
#[derive(Debug, Subcommand)]
pub enum AuthCommand {
    /// Print a bearer token that is valid now, and nothing else
    Token,
}

/// Runs it.
pub async fn run(session: &Session<'_>, command: AuthCommand) -> Result<Ending, Failure> {
    let AuthCommand::Token = command;
    let (server, logins) = (Logins::key(&session.address()?), login::logins()?);
    let found = logins.read()?.remove(&server).ok_or_else(|| Failure::Login {
        message: format!("nobody is signed in to {server} at this terminal"),
        mend: "sign in: holdfast login".into(),
    })?;
    let login = Renewed::new(logins, server, found).now().await?;
    let (token, output) = (login.access_token.expose(), session.output);
    if output.is_json() {
        let expires_at = login.expires_at.format(&Rfc3339).unwrap_or_default();
        output.json(&json!({ "token": token, "expires_at": expires_at }))?;
    } else {
        output.line(token)?;
    }
    Ok(Ending::Done)
}
