//! What can go wrong with PostgreSQL, told apart by what a person can do about it.

use std::{io, path::PathBuf};

use super::archive::ArchiveError;
use crate::command::CommandError;

/// An error of this room. No variant ever holds a password or a whole URL.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's message says what its fields are")]
pub enum PgError {
    /// Mend the URL.
    #[error("the URL of the database cannot be read: {why}; it looks like postgres://user:password@host:5432/database")]
    BadUrl { why: String },
    /// Start the server, or mend host and port.
    #[error("PostgreSQL at {place} cannot be reached: {why}")]
    Unreachable { place: String, why: String },
    /// Mend user or password.
    #[error("PostgreSQL at {place} refused the user `{user}`: {why}")]
    WrongPassword { place: String, user: String, why: String },
    /// Mend the database's name, or create it.
    #[error("the database `{database}` does not exist at {place}")]
    NoSuchDatabase { place: String, database: String },
    /// Somebody closed it; open it again.
    #[error(
        "the database `{database}` does not accept connections; allow them by: alter database {database} with allow_connections true"
    )]
    Closed { database: String },
    /// Install the tools.
    #[error(
        "the server is PostgreSQL {major}, and this host has no pg_dump of that major version ({found}); install it, on Debian: apt install postgresql-client-{major}"
    )]
    NoTools { major: u32, found: String },
    /// Install newer tools.
    #[error(
        "the server is PostgreSQL {major}, and the newest pg_dump of this host is of version {tool}: too old; on Debian: apt install postgresql-client-{major}"
    )]
    TooOld { major: u32, tool: u32 },
    /// Wait for the other session, or end it.
    #[error("table {table} is locked by {by}; it did not become free within {seconds} s")]
    Locked { table: String, by: String, seconds: u64 },
    /// Run again once the schema is at rest.
    #[error(
        "the tables kept changing while they were being locked ({what}); run it again when no migration is running"
    )]
    Restless { what: String },
    /// Look at the server, then run again.
    #[error("the connection to PostgreSQL at {place} was lost in the middle ({why})")]
    Gone { place: String, why: String },
    /// Go to the server directly.
    #[error(
        "{place} is a connection pooler in transaction mode (such as PgBouncer), which cannot hold a snapshot; give the address of the PostgreSQL server itself"
    )]
    Pooled { place: String },
    /// Grant what is missing.
    #[error("{what}; {mend}")]
    NoPrivilege { what: String, mend: String },
    /// Raise the limit, or close sessions.
    #[error("PostgreSQL at {place} takes no more connections: {why}")]
    Full { place: String, why: String },
    /// Create them.
    #[error(
        "the server has no role {roles}, which the checkpoint names; create what is missing and run it again: {mend}"
    )]
    MissingRoles { roles: String, mend: String },
    /// Read the message.
    #[error("PostgreSQL said, while {doing}: {message}")]
    Query { doing: String, message: String },
    /// Read the message.
    #[error("{tool} failed ({how}): {message}")]
    Tool { tool: String, how: String, message: String },
    /// The dump is not whole: run again.
    #[error("the dump is not whole: {0}")]
    Archive(ArchiveError),
    /// The vault failed.
    #[error("the vault: {0}")]
    Vault(holdfast_vault::Error),
    /// Free some space.
    #[error("{place} has {free} MB free and about {needed} MB are needed; free some space and run it again")]
    NoSpace { place: String, needed: u64, free: u64 },
    /// The scratch folder or a program failed.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// Install it, or mend the path.
    #[error(transparent)]
    Command(CommandError),
    /// A request that cannot be met as it stands; the text says why, and the mend.
    #[error("{0}")]
    Refused(String),
    /// Cancelled; nothing was published.
    #[error("cancelled")]
    Cancelled,
}

impl From<CommandError> for PgError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Cancelled => Self::Cancelled,
            other => Self::Command(other),
        }
    }
}

impl From<holdfast_vault::Error> for PgError {
    fn from(error: holdfast_vault::Error) -> Self {
        match error {
            holdfast_vault::Error::Cancelled => Self::Cancelled,
            other => Self::Vault(other),
        }
    }
}

impl From<ArchiveError> for PgError {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Sink(error) => match holdfast_vault::Error::from_io(&error) {
                Some(inner) => inner.clone().into(),
                None => Self::Io { path: "the copy of the dump".into(), source: error },
            },
            other => Self::Archive(other),
        }
    }
}

impl PgError {
    /// An error of the file system about `path`.
    pub(crate) fn io(path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { path: path.into(), source: source.into() }
    }

    /// A database error, told apart by its SQLSTATE. `place` is host and port, `doing` what was going on.
    pub(crate) fn query(error: &sqlx::Error, place: &str, doing: &str) -> Self {
        let sqlx::Error::Database(inner) = error else {
            return Self::Gone { place: place.into(), why: format!("while {doing}: {error}") };
        };
        let code = inner.code().unwrap_or_default().into_owned();
        let message = inner.message().to_owned();
        match code.as_str() {
            "42501" => Self::NoPrivilege { mend: mend(&message), what: message },
            "57P01" | "57P02" | "57P03" | "08006" | "08003" | "57P05" => {
                Self::Gone { place: place.into(), why: format!("while {doing}: {message}") }
            }
            "26000" | "42P05" => Self::Pooled { place: place.into() },
            "53300" => Self::Full { place: place.into(), why: message },
            _ => Self::Query { doing: doing.into(), message: format!("{message} (SQLSTATE {code})") },
        }
    }

    /// What a PostgreSQL program said before it failed, told apart by the words of its English messages.
    pub(crate) fn tool(tool: &str, how: &str, stderr: &str, place: &str) -> Self {
        let has = |text: &str| stderr.contains(text);
        let line = |text: &str| {
            let found = stderr.lines().find(|line| line.contains(text)).unwrap_or(stderr);
            found.rsplit_once("ERROR:").map_or(found, |(_, rest)| rest).trim().to_owned()
        };
        // `--lock-wait-timeout` ends the statement by its statement timeout.
        if has("LOCK TABLE") && has("canceling statement due to") {
            let table = stderr.split("LOCK TABLE ").nth(1).and_then(|rest| rest.split(" IN ").next());
            let table = table.unwrap_or("(not named)").trim_start_matches("ONLY ").to_owned();
            return Self::Locked { table, by: "another session".into(), seconds: super::LOCK_SECONDS };
        }
        for lost in [
            "terminating connection",
            "server closed the connection",
            "connection to server was lost",
            "the database system is",
            "could not receive data",
            "no connection to the server",
        ] {
            if has(lost) {
                return Self::Gone { place: place.into(), why: format!("{tool}: {}", line(lost)) };
            }
        }
        if has("permission denied for") || has("row-level security") {
            let what = line(if has("permission denied for") { "permission denied for" } else { "row-level security" });
            return Self::NoPrivilege { mend: mend(&what), what };
        }
        Self::Tool { tool: tool.into(), how: how.into(), message: last_lines(stderr) }
    }
}

fn mend(message: &str) -> String {
    if message.contains("row-level security") {
        "a checkpoint must see every row: give the role BYPASSRLS, or take FORCE ROW LEVEL SECURITY from the table"
            .into()
    } else {
        "grant the role of the URL the right to read it, or use the role that owns it".into()
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(6);
    if lines.is_empty() { "it said nothing".into() } else { lines[from..].join("\n") }
}
