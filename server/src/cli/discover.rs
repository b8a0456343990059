//! Finds the server and a credential. The server: by `--url`/`HOLDFAST_URL`, else by `client.json`, which the server on
//! this machine writes into its data directory, else the only one that somebody is signed in to at this terminal. The
//! credential: `HOLDFAST_TOKEN`, else the login to that server, else that of `client.json`.

use std::{fs, io, path::Path, sync::Arc};

use holdfast_model::secret::Secret;
use serde::Deserialize;
use url::Url;

use super::{
    arguments::Global,
    credential::{Credential, Renewed},
    failure::Failure,
    logins::Logins,
};
use crate::config::Settings;

/// A server's address and what it lets in.
#[derive(Debug)]
pub struct Server {
    /// Scheme, host and port; a path where the server lies behind one.
    pub url: Url,
    /// What is sent as a bearer token.
    pub credential: Credential,
}

#[derive(Deserialize)]
struct ClientFile {
    url: String,
    token: Secret,
}

/// Looks in the places named above.
///
/// # Errors
/// [`Failure::NoServer`] says what was looked for, and how to give it.
pub fn server(global: &Global) -> Result<Server, Failure> {
    if let Some(door) = &global.door {
        // Opened in this machine's data directory: it is for that server alone.
        let found = client_file(global)?;
        return Ok(Server { url: found.url, credential: Credential::Token(door.token().clone()) });
    }
    let token = std::env::var("HOLDFAST_TOKEN").ok().filter(|token| !token.is_empty()).map(Secret::new);
    match (named(global)?, token) {
        (Some(url), Some(token)) => Ok(Server { url, credential: Credential::Token(token) }),
        (Some(url), None) => match login(&url)? {
            Some(login) => Ok(login),
            // The credential of this machine's own server is given to that server alone.
            None => match client_file(global) {
                Ok(found) if found.url.origin() == url.origin() => Ok(found),
                _ => Err(Failure::NoServer {
                    message: format!("there is no credential for {url}"),
                    mend: format!("sign in with: holdfast login --url {url} (or set HOLDFAST_TOKEN)"),
                }),
            },
        },
        (None, Some(token)) => Ok(Server { url: client_file(global)?.url, credential: Credential::Token(token) }),
        (None, None) => match client_file(global) {
            Ok(found) => Ok(login(&found.url)?.unwrap_or(found)),
            Err(failure) => match only_login()? {
                Some(url) => login(&url)?.ok_or(failure),
                None => Err(failure),
            },
        },
    }
}

/// The address that people sign in to and out of at this terminal: that of the server that commands would ask.
///
/// # Errors
/// [`Failure::NoServer`] says what was looked for, and how to give it.
pub fn address_of_server(global: &Global) -> Result<Url, Failure> {
    if let Some(url) = named(global)? {
        return Ok(url);
    }
    match client_file(global) {
        Ok(found) => Ok(found.url),
        Err(failure) => only_login()?.ok_or_else(|| Failure::NoServer {
            message: failure.to_string(),
            mend: "name the server: --url https://… (or HOLDFAST_URL)".into(),
        }),
    }
}

fn named(global: &Global) -> Result<Option<Url>, Failure> {
    global.url.as_deref().filter(|url| !url.is_empty()).map(address).transpose()
}

/// The login to a server at this terminal.
fn login(url: &Url) -> Result<Option<Server>, Failure> {
    let Some(logins) = Logins::of_caller() else { return Ok(None) };
    let key = Logins::key(url);
    let found = logins.read()?.remove(&key);
    Ok(found.map(|login| {
        let credential = Credential::Login(Arc::new(Renewed::new(logins, key, login)));
        Server { url: url.clone(), credential }
    }))
}

/// The server that somebody is signed in to, where it is one only.
fn only_login() -> Result<Option<Url>, Failure> {
    let Some(logins) = Logins::of_caller() else { return Ok(None) };
    let mut all = logins.read()?.into_keys();
    match (all.next(), all.next()) {
        (Some(one), None) => address(&one).map(Some),
        _ => Ok(None),
    }
}

fn client_file(global: &Global) -> Result<Server, Failure> {
    let settings = settings(global, &[])?;
    let path = settings.client_file();
    read(&path).map_err(|reason| Failure::NoServer {
        message: match &reason {
            Unread::Missing => format!("no server is known: {} does not exist", path.display()),
            Unread::Denied => format!("{} belongs to another user", path.display()),
            Unread::Other(why) => format!("{} cannot be used: {why}", path.display()),
        },
        mend: match reason {
            Unread::Denied => "run this as the server's user, or set HOLDFAST_URL and HOLDFAST_TOKEN".into(),
            _ => "start it with: holdfast serve (or set HOLDFAST_DATA_DIR, or HOLDFAST_URL and HOLDFAST_TOKEN; elsewhere \
                  sign in with: holdfast login --url https://…)"
                .into(),
        },
    })
}

enum Unread {
    Missing,
    Denied,
    Other(String),
}

fn read(path: &Path) -> Result<Server, Unread> {
    let text = fs::read_to_string(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Unread::Missing,
        io::ErrorKind::PermissionDenied => Unread::Denied,
        _ => Unread::Other(error.to_string()),
    })?;
    let file: ClientFile = serde_json::from_str(&text).map_err(|error| {
        Unread::Other(format!("line {}, column {} is not as the server writes it", error.line(), error.column()))
    })?;
    let url = address(&file.url).map_err(|failure| Unread::Other(failure.to_string()))?;
    Ok(Server { url, credential: Credential::Token(file.token) })
}

/// The settings of the server on this machine, with options put above the environment.
///
/// # Errors
/// [`Failure::Server`] names the setting that cannot be used.
pub fn settings(global: &Global, options: &[(&str, Option<String>)]) -> Result<Settings, Failure> {
    let data_dir = global.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned());
    Settings::from_sources(global.config.as_deref(), &|name| {
        if name == "HOLDFAST_DATA_DIR" && data_dir.is_some() {
            return data_dir.clone();
        }
        let option = options.iter().find(|(key, _)| *key == name).and_then(|(_, value)| value.clone());
        option.or_else(|| std::env::var_os(name).and_then(|value| value.into_string().ok()))
    })
    .map_err(|error| Failure::Server(error.to_string()))
}

fn address(text: &str) -> Result<Url, Failure> {
    let wrong = |why: &str| Failure::Usage {
        message: format!("`{text}` cannot be a server's address: {why}"),
        mend: "give scheme, host and port, such as http://127.0.0.1:3000".into(),
    };
    let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("it is not an http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a credential does not belong into it; use HOLDFAST_TOKEN"));
    }
    Ok(url)
}
