//! `holdfast key`: keys of programs.

use clap::{Args, Subcommand};
use holdfast_model::{
    access::Permission,
    key::{CreateKey, CreatedKey, KeyState, KeyView, RotateKey},
    name::Name,
};
use time::OffsetDateTime;

use super::{
    Ending,
    failure::Failure,
    print::{table::Table, text::plain, times},
    session::Session,
};

const EXAMPLES: &str = "\
Examples:
  holdfast key create deploys --project shop
  holdfast key create nightly --project shop --project blog --scope create,drill --expires 30d
  holdfast key create ci --everywhere --network 10.0.0.0/8
  holdfast key rotate key_0abc… --overlap 2h

The token is printed once and kept nowhere. No key can delete, unlock, restore, read content, change a definition or
make keys, whatever it is made with.";

/// What `key` can do.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key for a program, and print its token, once
    Create(CreateArguments),
    /// List keys: what each may do, until when, and when it was used last
    List,
    /// Make a key that takes the place of another one, which goes on working for a while
    Rotate(RotateArguments),
    /// Revoke a key: it works no more from now on
    Revoke {
        /// key_…, from `holdfast key list`
        #[arg(value_name = "KEY")]
        id: String,
    },
}

/// Options of `key create`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CreateArguments {
    /// What holds it
    #[arg(value_name = "NAME")]
    name: String,
    /// A project that it is for; may be given again
    #[arg(long = "project", value_name = "PROJECT", required_unless_present = "everywhere")]
    projects: Vec<Name>,
    /// For every project, those that come later too
    #[arg(long, conflicts_with = "projects")]
    everywhere: bool,
    /// What it may do: create, drill, cancel; each may view [default: create]
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Permission>,
    /// How long it works, 400 days at most [default: 90d]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A network or address that it may come from; may be given again [default: anywhere]
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Options of `key rotate`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// key_…, from `holdfast key list`
    #[arg(value_name = "KEY")]
    id: String,
    /// How long the old one goes on working, 0s for not at all [default: 24h]
    #[arg(long, value_name = "TIME")]
    overlap: Option<String>,
    /// How long the new one works [default: as long as the old one was made for]
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Runs one of them.
pub async fn run(session: &Session<'_>, command: KeyCommand) -> Result<Ending, Failure> {
    let (client, output) = (session.client()?, session.output);
    match command {
        KeyCommand::Create(asked) => {
            let request = CreateKey {
                name: asked.name,
                projects: asked.projects.into_iter().collect(),
                everywhere: asked.everywhere,
                scopes: asked.scopes.into_iter().collect(),
                expires_in: asked.expires,
                networks: asked.networks,
            };
            created(session, &client.create_key(&request).await?)?;
        }
        KeyCommand::Rotate(asked) => {
            let request = RotateKey { overlap: asked.overlap, expires_in: asked.expires };
            created(session, &client.rotate_key(&asked.id, &request).await?)?;
        }
        KeyCommand::List => {
            let keys = client.keys().await?;
            if output.is_json() {
                output.json(&keys)?;
            } else if keys.is_empty() {
                output.note("There is no key. Make one: holdfast key create NAME --project PROJECT")?;
            } else {
                output.line(list(&keys))?;
            }
        }
        KeyCommand::Revoke { id } => {
            let key = client.revoke_key(&id).await?;
            if output.is_json() {
                output.json(&key)?;
            } else {
                output.line(format!("{} ({}) works no more.", key.id, plain(&key.name)))?;
            }
        }
    }
    Ok(Ending::Done)
}

fn created(session: &Session<'_>, made: &CreatedKey) -> Result<(), Failure> {
    let output = session.output;
    if output.is_json() {
        return output.json(made);
    }
    output.line(made.token.expose())?;
    output.note(format!(
        "{} works until {}. This is the only time that its token is shown.",
        made.key.id,
        times::moment(made.key.expires_at)
    ))
}

fn list(keys: &[KeyView]) -> String {
    let now = OffsetDateTime::now_utc();
    let mut table = Table::new(&["KEY", "NAME", "FOR", "MAY", "STATE", "UNTIL", "LAST USED"]);
    for key in keys {
        let projects: Vec<&str> = key.projects.iter().map(Name::as_str).collect();
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        table.row(vec![
            key.id.to_string(),
            plain(&key.name).to_string(),
            if key.everywhere { "every project".to_owned() } else { projects.join(",") },
            scopes.join(","),
            match key.state {
                KeyState::Active => "active",
                KeyState::Expired => "expired",
                KeyState::Revoked => "revoked",
            }
            .to_owned(),
            key.expires_at.date().to_string(),
            key.last_used_at.map(|at| times::ago(at, now)).unwrap_or_default(),
        ]);
    }
    table.render()
}
