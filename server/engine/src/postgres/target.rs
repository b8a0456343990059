//! A database by its URL: how it is connected to, and how a PostgreSQL program is told of it without its arguments.

use std::{str::FromStr, time::Duration};

use holdfast_model::{definition::Source, secret::Secret};
use holdfast_vault::Reach;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use url::Url;

use super::PgError;
use crate::{command::Program, place};

/// The parts of a URL that both sqlx and libpq know; applications add others, which are left out.
const KNOWN: [(&str, &str); 6] = [
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("host", "PGHOST"),
    ("port", "PGPORT"),
];
const PATIENCE: Duration = Duration::from_secs(15);

/// One database, and who we are to it.
#[derive(Clone)]
pub(crate) struct Target {
    options: PgConnectOptions,
    password: Option<Secret>,
    tls: Vec<(&'static str, String)>,
    database: String,
}

impl Target {
    /// Reads a URL.
    pub(crate) fn read(secret: &Secret) -> Result<Self, PgError> {
        let bad = |why: &str| PgError::BadUrl { why: why.into() };
        // The parser's own messages are fixed texts and repeat nothing of the URL.
        let mut url = Url::parse(secret.expose().trim()).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(bad("it does not begin with postgres://"));
        }
        let given: Vec<(String, String)> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        let kept = |name: &str| {
            KNOWN.iter().any(|(known, _)| *known == name) || matches!(name, "user" | "password" | "dbname" | "hostaddr")
        };
        url.set_query(None);
        for (name, value) in given.iter().filter(|(name, _)| kept(name)) {
            url.query_pairs_mut().append_pair(name, value);
        }
        let options = PgConnectOptions::from_str(url.as_str())
            .map_err(|_| bad("a part of it (port, sslmode, percent signs) is not valid"))?
            .application_name("holdfast")
            .statement_cache_capacity(0)
            .extra_float_digits(None);
        let in_query = |name: &str| given.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone());
        let password = in_query("password").or_else(|| url.password().map(percent_decoded));
        let database = options.get_database().unwrap_or_else(|| options.get_username()).to_owned();
        let tls = KNOWN[..4].iter().filter_map(|(name, env)| in_query(name).map(|value| (*env, value))).collect();
        Ok(Self { options: options.database(&database), password: password.map(Secret::new), tls, database })
    }

    /// A server of our own behind a Unix socket, as its superuser; nothing of the environment takes part.
    pub(crate) fn socket(dir: &std::path::Path, user: &str, database: &str) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .socket(dir)
            .port(5432)
            .username(user)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("holdfast")
            .statement_cache_capacity(0)
            .extra_float_digits(None);
        Self { options, password: None, tls: vec![("PGSSLMODE", "disable".into())], database: database.into() }
    }

    /// The same server and user, another database.
    pub(crate) fn other(&self, database: &str) -> Self {
        Self { options: self.options.clone().database(database), database: database.into(), ..self.clone() }
    }

    /// The database's name.
    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    /// The user's name.
    pub(crate) fn user(&self) -> &str {
        self.options.get_username()
    }

    /// Host and port, for people.
    pub(crate) fn place(&self) -> String {
        match self.options.get_socket() {
            Some(socket) => format!("{} (port {})", socket.display(), self.options.get_port()),
            None => format!("{}:{}", self.options.get_host(), self.options.get_port()),
        }
    }

    /// `user@host:port/database`: only what never holds a password.
    pub(crate) fn address(&self) -> String {
        let host = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => self.options.get_host().to_owned(),
        };
        format!("{}@{host}:{}/{}", self.user(), self.options.get_port(), self.database)
    }

    /// Whether both are the same database, as far as their addresses tell: this host has many names.
    fn is(&self, other: &Self) -> bool {
        let of = |target: &Self| (target.options.get_port(), target.database.clone());
        if of(self) != of(other) {
            return false;
        }
        let host = |target: &Self| target.options.get_host().to_lowercase();
        let here = |host: &str| {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        match (self.options.get_socket(), other.options.get_socket()) {
            (Some(one), Some(two)) => place::real(one) == place::real(two),
            (Some(_), None) => here(&host(other)),
            (None, Some(_)) => here(&host(self)),
            (None, None) => host(self) == host(other) || here(&host(self)) && here(&host(other)),
        }
    }

    /// Hands the connection to a PostgreSQL program by its environment.
    pub(crate) fn equip(&self, program: Program) -> Program {
        let host = match self.options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => self.options.get_host().to_owned(),
        };
        let mut program = program
            .env("PGHOST", host)
            .env("PGPORT", self.options.get_port().to_string())
            .env("PGUSER", self.user())
            .env("PGDATABASE", &self.database)
            .env("PGAPPNAME", "holdfast")
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGCONNECT_TIMEOUT", PATIENCE.as_secs().to_string());
        for (name, value) in &self.tls {
            program = program.env(name, value);
        }
        match &self.password {
            Some(password) => program.env("PGPASSWORD", password.expose()),
            None => program,
        }
    }

    /// Connects, and fixes every setting on which the text of a value depends.
    pub(crate) async fn connect(&self) -> Result<Session, PgError> {
        // A database may be on a private network; a cloud's metadata service is none.
        if self.options.get_socket().is_none()
            && let Err(error) = Reach::Anywhere.resolve(self.options.get_host()).await
            && error.kind() == std::io::ErrorKind::PermissionDenied
        {
            return Err(PgError::Unreachable { place: self.place(), why: error.to_string() });
        }
        let options = self.options.clone().disable_statement_logging();
        let connection = match tokio::time::timeout(PATIENCE, options.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(self.refused(&error)),
            Err(_) => {
                return Err(PgError::Unreachable {
                    place: self.place(),
                    why: format!("no answer within {} s", PATIENCE.as_secs()),
                });
            }
        };
        let mut session = Session { connection, place: self.place() };
        session.run(SETTINGS, "preparing the session").await?;
        Ok(session)
    }

    fn refused(&self, error: &sqlx::Error) -> PgError {
        let place = self.place();
        let sqlx::Error::Database(inner) = error else {
            return PgError::Unreachable { place, why: error.to_string() };
        };
        let why = inner.message().to_owned();
        match inner.code().as_deref() {
            Some("28P01" | "28000") => PgError::WrongPassword { place, user: self.user().into(), why },
            Some("3D000") => PgError::NoSuchDatabase { place, database: self.database.clone() },
            Some("55000") if why.contains("not currently accepting") || why.contains("not accepting") => {
                PgError::Closed { database: self.database.clone() }
            }
            Some("53300") => PgError::Full { place, why },
            Some("08P01") if why.contains("startup parameter") => PgError::Pooled { place },
            _ => PgError::Unreachable { place, why },
        }
    }
}

/// The address of the database, without its password, if two URLs name the same one.
///
/// # Errors
/// [`PgError::BadUrl`].
pub fn same_database(one: &Secret, other: &Secret) -> Result<Option<String>, PgError> {
    let (one, other) = (Target::read(one)?, Target::read(other)?);
    Ok(one.is(&other).then(|| one.address()))
}

/// A URL of another database of the same server, with the same user and password.
///
/// # Errors
/// Where the URL cannot be read, or is none; the text never repeats it.
pub fn database_of(source: &Source<Secret>, name: &str) -> Result<Secret, String> {
    let url = crate::source::read(source)?;
    Target::read(&url).map_err(|error| error.to_string())?;
    let bad = || "the URL has no place for a database's name; give a URL instead".to_owned();
    let mut url = Url::parse(url.expose().trim()).map_err(|_| bad())?;
    let pairs = url.query_pairs().filter(|(key, _)| key != "dbname");
    let kept: Vec<(String, String)> = pairs.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    for (key, value) in kept {
        url.query_pairs_mut().append_pair(&key, &value);
    }
    url.path_segments_mut().map_err(|()| bad())?.clear().push(name);
    Ok(Secret::new(url.into()))
}

/// `user@host:port/database` of a URL: only what never holds a password.
///
/// # Errors
/// [`PgError::BadUrl`].
pub fn address_of(url: &Secret) -> Result<String, PgError> {
    Ok(Target::read(url)?.address())
}

/// The name of the database of a URL.
///
/// # Errors
/// [`PgError::BadUrl`].
pub fn name_of(url: &Secret) -> Result<String, PgError> {
    Ok(Target::read(url)?.database)
}

fn percent_decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Settings that make a value's text, and a definition's, the same in every session. Timeouts of roles and databases
/// must not end a capture; `row_security = off` turns hidden rows into an error.
const SETTINGS: &str = "
    set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set extra_float_digits = 3;
    set bytea_output = 'hex'; set lc_monetary = 'C'; set xmlbinary = 'base64'; set quote_all_identifiers = off;
    set standard_conforming_strings = on; set row_security = off; set jit = off; set client_min_messages = 'error';
    set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0;
    select pg_catalog.set_config(name, '0', false) from pg_catalog.pg_settings
        where name in ('transaction_timeout', 'idle_session_timeout');
    select pg_catalog.set_config('search_path', '', false)";

/// A connection with those settings.
pub(crate) struct Session {
    connection: PgConnection,
    pub(crate) place: String,
}

impl Session {
    /// Runs statements.
    pub(crate) async fn run(&mut self, sql: impl Into<String>, doing: &str) -> Result<(), PgError> {
        self.try_run(sql).await.map_err(|error| PgError::query(&error, &self.place, doing))
    }

    /// The same, with the driver's own error.
    pub(crate) async fn try_run(&mut self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(&mut self.connection).await.map(|_| ())
    }

    /// Rows of texts.
    pub(crate) async fn rows(&mut self, sql: impl Into<String>, doing: &str) -> Result<Vec<Texts>, PgError> {
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_all(&mut self.connection).await;
        rows.map(|rows| rows.into_iter().map(Texts).collect())
            .map_err(|error| PgError::query(&error, &self.place, doing))
    }

    /// The first row.
    pub(crate) async fn row(&mut self, sql: impl Into<String>, doing: &str) -> Result<Texts, PgError> {
        let first = self.rows(sql, doing).await?.into_iter().next();
        first.ok_or_else(|| PgError::Query { doing: doing.into(), message: "no row came back".into() })
    }

    /// Feeds a `COPY … FROM STDIN`; an error among the pieces ends it without a row. Gives the number of rows.
    pub(crate) async fn copy_in(
        &mut self,
        statement: &str,
        mut pieces: tokio::sync::mpsc::Receiver<Result<Vec<u8>, String>>,
        doing: &str,
    ) -> Result<u64, PgError> {
        let place = self.place.clone();
        let failed = |error: sqlx::Error| PgError::query(&error, &place, doing);
        let mut copy = self.connection.copy_in_raw(statement).await.map_err(failed)?;
        while let Some(piece) = pieces.recv().await {
            match piece {
                Ok(piece) => {
                    copy.send(piece).await.map_err(failed)?;
                }
                Err(why) => {
                    let _ = copy.abort(why.clone()).await;
                    return Err(PgError::Refused(why));
                }
            }
        }
        copy.finish().await.map_err(failed)
    }

    /// Ends it in good order.
    pub(crate) async fn close(self) {
        let _ = self.connection.close().await;
    }
}

/// A row as the simple protocol gives it: every value a text.
pub(crate) struct Texts(PgRow);

impl Texts {
    /// A value, or an empty text for null.
    pub(crate) fn text(&self, index: usize) -> String {
        self.maybe(index).unwrap_or_default()
    }

    /// A value, or none for null.
    pub(crate) fn maybe(&self, index: usize) -> Option<String> {
        let value = self.0.try_get_raw(index).ok()?;
        value.as_str().ok().map(str::to_owned)
    }

    /// A boolean.
    pub(crate) fn is(&self, index: usize) -> bool {
        matches!(self.text(index).as_str(), "t" | "true")
    }

    /// A number; 0 where it is none.
    pub(crate) fn number<T: FromStr + Default>(&self, index: usize) -> T {
        self.text(index).parse().unwrap_or_default()
    }
}

/// A name as SQL writes it, quoted always.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it; `standard_conforming_strings` is on in our sessions.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
