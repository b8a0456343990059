//! SQLite: the page image as it was in one read transaction, with a ledger taken inside the same transaction.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_model::{ledger::Ledger, manifest::Facts, size};
use holdfast_vault::{Cancel, Chunking, Meter, Node, Writer};
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
};
use time::OffsetDateTime;

use crate::{failure::Failure, place};

mod drill;
pub(crate) mod ledger;
mod put_back;
pub(crate) use drill::{drill, is_true};
pub(crate) use put_back::{put_back, refuse_open};

/// The name of the page image in `databases/<component>/`.
pub(crate) const IMAGE: &str = "database.sqlite";
/// How long a writer that holds the file is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages that are copied between two looks at the switch that cancels.
const PAGES: i32 = 4096;

/// The library's version.
pub(crate) fn version() -> &'static str {
    rusqlite::version()
}

/// A database that is there and can be opened.
pub(crate) struct Prepared {
    path: PathBuf,
    connection: Connection,
}

/// A database in a read transaction: what it shows does not change any more.
pub(crate) struct Held {
    path: PathBuf,
    connection: Connection,
    instant: OffsetDateTime,
}

/// What came of it.
pub(crate) struct SqliteCapture {
    pub nodes: Vec<Node>,
    pub size: u64,
    pub stored: u64,
    pub items: u64,
    pub ledger: Ledger,
    pub facts: Facts,
    pub not_covered: Vec<String>,
}

/// SQLite's words with the place and the mend.
pub(crate) fn explain(path: &Path, error: &rusqlite::Error) -> Failure {
    let place = path.display();
    Failure::Said(match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => format!("{place} is not a SQLite database (or is encrypted); correct `path`"),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("{place} is locked by another process; let it finish its transaction, or stop it, and run again")
        }
        Some(ErrorCode::CannotOpen) => {
            format!(
                "{place} cannot be opened; its folder must be readable, and writable where the -shm file is missing"
            )
        }
        Some(ErrorCode::ReadOnly) => {
            format!(
                "{place} was not closed properly and needs its journal played back; open it once with the application"
            )
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            format!("{place} is corrupt: {error}; look at it with `pragma integrity_check`")
        }
        Some(ErrorCode::DiskFull) => format!("no space left while copying {place}"),
        _ => format!("{place}: {error}"),
    })
}

/// Opens the database for reading only, with room for its copy in `scratch`.
///
/// # Errors
/// It is not there, not a database, or cannot be read; there is no room for the copy.
pub(crate) fn prepare(path: &Path, scratch: &Path) -> Result<Prepared, Failure> {
    let connection = look(path)?;
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |facts| facts.len());
    enough_room(scratch, bytes(path).saturating_add(bytes(&beside(path, "-wal"))))?;
    Ok(Prepared { path: path.to_path_buf(), connection })
}

/// Opens the database for reading only; its journal mode is never touched.
///
/// # Errors
/// It is not there, not a database, or cannot be read.
pub(crate) fn look(path: &Path) -> Result<Connection, Failure> {
    let facts = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::Said(format!("{} does not exist; make it, or correct `path`", path.display()))
        }
        _ => Failure::io(path, &error),
    })?;
    if !facts.is_file() {
        return Err(Failure::Said(format!("{} is not a file; correct `path`", path.display())));
    }
    fs::File::open(path).map_err(|error| Failure::io(path, &error))?;
    open(path)
}

/// Checks that `needed` bytes and a margin are free in `folder`.
pub(crate) fn enough_room(folder: &Path, needed: u64) -> Result<(), Failure> {
    let free = place::free(folder).map_err(|error| Failure::io(folder, &error))?;
    if free < needed.saturating_add(needed / 20) {
        return Err(Failure::Said(format!(
            "the copy needs {} in {} and {} are free; free some space and run again",
            size::display(needed),
            folder.display(),
            size::display(free)
        )));
    }
    Ok(())
}

pub(crate) fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| explain(path, &error))?;
    connection.busy_timeout(PATIENCE).map_err(|error| explain(path, &error))?;
    connection.pragma_query_value(None, "schema_version", |_| Ok(())).map_err(|error| explain(path, &error))?;
    Ok(connection)
}

/// `path` with a suffix such as `-wal`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

impl Prepared {
    /// Opens the read transaction.
    pub(crate) fn hold(self) -> Result<Held, Failure> {
        let begun = self.connection.execute_batch("begin").and_then(|()| {
            // The transaction begins to read, and so is held, with its first query.
            self.connection.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0))
        });
        begun.map_err(|error| explain(&self.path, &error))?;
        Ok(Held { path: self.path, connection: self.connection, instant: OffsetDateTime::now_utc() })
    }
}

impl Held {
    pub(crate) const fn instant(&self) -> OffsetDateTime {
        self.instant
    }

    /// Copies the pages into `scratch`, reads the ledger, ends the transaction, stores the image.
    pub(crate) fn stream(
        self,
        writer: &Writer,
        scratch: &Path,
        cancel: &Cancel,
        meter: &Meter,
        table_done: &dyn Fn(),
    ) -> Result<SqliteCapture, Failure> {
        let said = |error: rusqlite::Error| explain(&self.path, &error);
        let image = tempfile::Builder::new()
            .prefix("sqlite-")
            .tempfile_in(scratch)
            .map_err(|error| Failure::io(scratch, &error))?;
        meter.set_current("copying pages");
        copy(&self.connection, image.path(), cancel).map_err(|failure| match failure {
            Copy::Cancelled => Failure::Cancelled,
            Copy::Failed(error) => said(error),
        })?;
        let journal: String =
            self.connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(said)?;
        let ledger = ledger::read(&self.connection, &self.path, cancel, &|table| {
            meter.set_current(table);
            table_done();
        })?;
        self.connection.execute_batch("rollback").map_err(said)?;
        drop(self.connection);

        let facts = fs::metadata(&self.path).map_err(|error| Failure::io(&self.path, &error))?;
        let mut stream = writer.stream(Chunking::Dump, meter);
        let mut file = fs::File::open(image.path()).map_err(|error| Failure::io(image.path(), &error))?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            cancel.check()?;
            let count = file.read(&mut buffer).map_err(|error| Failure::io(image.path(), &error))?;
            if count == 0 {
                break;
            }
            stream.write_all(&buffer[..count]).map_err(|error| Failure::io(&self.path, &error))?;
        }
        let streamed = stream.finish()?;
        let mut node = Node::file(IMAGE, streamed.content, streamed.bytes, self.instant);
        (node.mode, node.uid, node.gid) = (facts.mode() & 0o7777, facts.uid(), facts.gid());
        Ok(SqliteCapture {
            nodes: vec![node],
            size: streamed.bytes,
            stored: streamed.stored,
            items: u64::try_from(ledger.tables.len()).unwrap_or(u64::MAX),
            facts: Facts::Sqlite {
                path: self.path.to_string_lossy().into_owned(),
                version: version().to_owned(),
                journal,
            },
            not_covered: Vec::new(),
            ledger,
        })
    }
}

enum Copy {
    Cancelled,
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Copy {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn copy(source: &Connection, image: &Path, cancel: &Cancel) -> Result<(), Copy> {
    let mut target = Connection::open(image)?;
    // The image is thrown away when anything goes wrong, so nothing of it need survive a crash.
    target.execute_batch("pragma synchronous = off; pragma journal_mode = off;")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        if cancel.is_cancelled() {
            return Err(Copy::Cancelled);
        }
        match backup.step(PAGES)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| Copy::Failed(error))
}
