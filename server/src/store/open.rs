//! Opening the catalogue: connections, their settings, and the tables brought up to date.

use std::{
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sqlx::{Executor as _, any::AnyPoolOptions};
use tokio::sync::{Mutex, Notify, broadcast};

use super::{Engine, Live, Sight, Store, StoreError};

/// Connections to a SQLite file: readers beside the one writer.
const SQLITE_CONNECTIONS: u32 = 8;
/// Connections to a PostgreSQL server from one process.
const POSTGRES_CONNECTIONS: u32 = 12;

/// Every connection: a commit is on disk when it returns, references are checked, a busy file is waited for.
const SQLITE_SETTINGS: &str = "pragma busy_timeout = 10000; pragma journal_mode = wal; pragma synchronous = full; \
                               pragma foreign_keys = on;";

impl Store {
    /// Opens `sqlite://path` (made with mode 0600 where it is missing) or `postgres://…`, and brings its tables up to
    /// date.
    ///
    /// # Errors
    /// When the address is unknown, the database cannot be reached, or it was written by a newer version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let mut file = None;
        let (engine, options) = if url.starts_with("sqlite:") {
            let path = sqlite_path(url)?;
            make_private(&path)?;
            file = Some(path);
            let options = AnyPoolOptions::new().max_connections(SQLITE_CONNECTIONS).after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SQLITE_SETTINGS).await.map(|_| ()) })
            });
            (Engine::Sqlite, options)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            (Engine::Postgres, AnyPoolOptions::new().max_connections(POSTGRES_CONNECTIONS))
        } else {
            return Err(StoreError::Address(url.split(':').next().unwrap_or_default().to_owned()));
        };
        let pool = options.acquire_timeout(Duration::from_secs(20)).connect(url).await?;
        match engine {
            Engine::Sqlite => sqlx::migrate!("../migrations/sqlite").run(&pool).await?,
            Engine::Postgres => sqlx::migrate!("../migrations/postgres").run(&pool).await?,
        }
        let store = Self {
            pool,
            engine,
            file,
            live: Live::default(),
            turn: Arc::new(Mutex::new(())),
            queued: Arc::new(Notify::new()),
            cancels: broadcast::channel(256).0,
            sight: Sight::everything(),
        };
        store.chain_audit().await?;
        Ok(store)
    }

    /// The address of a catalogue in a file, whatever characters its path has.
    #[must_use]
    pub fn sqlite_url(path: &Path) -> String {
        url::Url::from_file_path(path).map_or_else(
            |()| format!("sqlite://{}?mode=rwc", path.display()),
            |url| format!("sqlite://{}?mode=rwc", url.path()),
        )
    }
}

fn sqlite_path(url: &str) -> Result<PathBuf, StoreError> {
    let rest = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let rest = rest.split('?').next().unwrap_or_default();
    if rest.is_empty() || rest == ":memory:" {
        return Err(StoreError::Address("sqlite without a file".into()));
    }
    if rest.starts_with('/')
        && let Ok(address) = url::Url::parse(&format!("file://{rest}"))
        && let Ok(path) = address.to_file_path()
    {
        return Ok(path);
    }
    Ok(PathBuf::from(rest))
}

/// Makes the file, and folders on the way, for their owner alone; SQLite gives its side files the same mode.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    }
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(|_| ()).map_err(io)
}
