//! What a command is given: the global options, the way out, and a client once it asks for one. `serve` and
//! `doctor`, which are no clients, are handed on from here.

use clap::Args;
use url::Url;

use super::{Ending, arguments::Global, client::Client, discover, failure::Failure, output::Output, print::times};
use crate::{auth::SignInLink, config::Settings, doctor, serve};

/// One invocation.
#[derive(Debug)]
pub struct Session<'a> {
    global: Global,
    /// The way out.
    pub output: &'a Output,
}

impl<'a> Session<'a> {
    /// Nothing is read or connected yet.
    pub const fn new(global: Global, output: &'a Output) -> Self {
        Self { global, output }
    }

    /// The settings of this machine's server.
    ///
    /// # Errors
    /// [`Failure::Server`] names the setting that cannot be used.
    pub fn settings(&self) -> Result<Settings, Failure> {
        discover::settings(&self.global, &[])
    }

    /// The address that people sign in to and out of at this terminal.
    ///
    /// # Errors
    /// [`Failure::NoServer`] when there is none.
    pub fn address(&self) -> Result<Url, Failure> {
        discover::address_of_server(&self.global)
    }

    /// A client of the server that the options, the environment or `client.json` name.
    ///
    /// # Errors
    /// [`Failure::NoServer`] when none is named.
    pub fn client(&self) -> Result<Client, Failure> {
        let server = discover::server(&self.global)?;
        let client = Client::new(server)?;
        if client.sends_token_in_clear() {
            self.output.note("warning: the address is plain http on another machine; the token travels unencrypted")?;
        }
        Ok(client)
    }
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// Where to listen: an address and a port, 0 for any free one
    #[arg(long, value_name = "ADDRESS", env = "HOLDFAST_LISTEN", hide_env_values = true)]
    listen: Option<String>,
}

/// Runs the server until it is told to stop; once it listens, says where, and how to sign in.
pub async fn serve(session: &Session<'_>, arguments: ServeArguments) -> Result<Ending, Failure> {
    let settings = discover::settings(&session.global, &[("HOLDFAST_LISTEN", arguments.listen)])?;
    serve::start_log();
    let output = session.output;
    let ready = |launched: &serve::Launched, link: Option<&SignInLink>| {
        // The log goes to stderr; whoever started it by hand needs only these lines. Nobody may read them: no error.
        let _ = output.line(format!("Holdfast listens on {}", launched.url.as_str().trim_end_matches('/')));
        let Some(link) = link else { return };
        // Whoever reads a log file or a journal must not be able to sign in with what stands there.
        let _ = if output.is_terminal() {
            output.line(format!("Sign in once, until {}: {}", times::moment(link.expires_at), link.url))
        } else {
            output.line("Sign in with a link from: holdfast sign-in-link")
        };
    };
    serve::serve(settings, ready).await.map_err(|error| Failure::Server(error.to_string()))?;
    Ok(Ending::Done)
}

/// Says what this machine has and lacks; 1 when the server cannot work here.
pub async fn doctor(session: &Session<'_>) -> Result<Ending, Failure> {
    let settings = discover::settings(&session.global, &[])?;
    let diagnosis = doctor::doctor(&settings).await;
    if session.output.is_json() {
        session.output.json(&diagnosis)?;
    } else {
        session.output.line(diagnosis.to_string().trim_end())?;
    }
    Ok(if diagnosis.well { Ending::Done } else { Ending::Not })
}
