//! `holdfast admin`: another command of this program, as the owner of the data directory.

use std::{ffi::OsString, sync::Arc};

use clap::{Args, Parser as _};

use super::{
    arguments::{Arguments, Command},
    discover,
    failure::Failure,
};
use crate::auth::admin::Door;

const EXAMPLES: &str = "\
Examples:
  holdfast admin apply -f holdfast.yaml
  holdfast admin checkpoint restore production@latest --yes
  holdfast admin vault recovery-kit shop

Where people sign in with an identity provider, client.json creates and reads only. This is the way for the day when the
provider does not answer: it works on the server's host, for the owner of its data directory, and each request stands in
the audit log. For a browser there is `holdfast break-glass`.";

/// Options of `admin`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct AdminArguments {
    /// The command, as it would be written without `admin`
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    command: Vec<OsString>,
}

/// Any other command as it is; `admin` as the command that it names, with a way in that lasts as long as that does.
///
/// # Errors
/// When that command is none, or the data directory is not the caller's.
pub fn unfolded(arguments: Arguments) -> Result<Arguments, Failure> {
    let Command::Admin(AdminArguments { command }) = arguments.command else { return Ok(arguments) };
    let given = arguments.global;
    let whole = std::iter::once(OsString::from("holdfast")).chain(command);
    let mut inner = Arguments::try_parse_from(whole).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Failure::Usage {
            message: line.strip_prefix("error: ").unwrap_or(line).to_owned(),
            mend: "see `holdfast --help` for the commands".into(),
        }
    })?;
    if matches!(
        inner.command,
        Command::Serve(_)
            | Command::Recover(_)
            | Command::BreakGlass(_)
            | Command::Admin(_)
            | Command::Login(_)
            | Command::Logout
            | Command::Auth(_)
    ) {
        return Err(Failure::Usage {
            message: "this command asks no server".into(),
            mend: "run it without `admin`".into(),
        });
    }
    inner.global.json |= given.json;
    inner.global.url = inner.global.url.or(given.url);
    inner.global.data_dir = inner.global.data_dir.or(given.data_dir);
    inner.global.config = inner.global.config.or(given.config);
    let settings = discover::settings(&inner.global, &[])?;
    let door = Door::open(&settings.data_dir).map_err(|error| Failure::NoServer {
        message: format!("this is not the data directory's owner: {error}"),
        mend: "run this on the server's host, as the user that the server runs as".into(),
    })?;
    inner.global.door = Some(Arc::new(door));
    Ok(inner)
}
