//! `holdfast admin`: another command of this program, as the owner of the data directory.

use std::{ffi::OsString, sync::Arc};

use clap::{Args, Parser as _};

use super::{
    arguments::{Arguments, Command},
    failure::Failure,
    session::Session,
};
use crate::auth::admin::Door;

const EXAMPLES: &str = "\
Examples:
  holdfast admin apply -f holdfast.yaml
  holdfast admin checkpoint restore production@latest --yes
  holdfast admin vault recovery-kit shop

Where people sign in with an identity provider, client.json creates and reads only. This is the way for the day when the
provider does not answer: it works on the server's host, for the owner of its data directory, and each request stands in
the audit log.";

/// Options of `admin`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AdminArguments {
    /// The command, as it would be written without `admin`
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

impl AdminArguments {
    /// The command itself, with a way in that lasts as long as it does.
    ///
    /// # Errors
    /// When the command is none, or the data directory is not the caller's.
    pub fn arguments(self, session: &Session<'_>) -> Result<Arguments, Failure> {
        let whole = std::iter::once(OsString::from("holdfast")).chain(self.command);
        let mut arguments = Arguments::try_parse_from(whole).map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            Failure::Usage {
                message: line.strip_prefix("error: ").unwrap_or(line).to_owned(),
                mend: "see `holdfast --help` for the commands".into(),
            }
        })?;
        if matches!(arguments.command, Command::Serve(_) | Command::Recover(_) | Command::Admin(_)) {
            return Err(Failure::Usage {
                message: "this command asks no server".into(),
                mend: "run it without `admin`".into(),
            });
        }
        let given = session.global();
        arguments.global.json |= given.json;
        arguments.global.url = arguments.global.url.or_else(|| given.url.clone());
        arguments.global.data_dir = arguments.global.data_dir.or_else(|| given.data_dir.clone());
        arguments.global.config = arguments.global.config.or_else(|| given.config.clone());
        let settings = session.settings()?;
        let door = Door::open(&settings.data_dir).map_err(|error| Failure::NoServer {
            message: format!("this is not the data directory's owner: {error}"),
            mend: "run this on the server's host, as the user that the server runs as".into(),
        })?;
        arguments.global.door = Some(Arc::new(door));
        Ok(arguments)
    }
}
