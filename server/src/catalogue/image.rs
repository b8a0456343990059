//! The catalogue as one file: taken by SQLite's online backup inside one read transaction, never by copying the file,
//! and checked before anybody relies on it.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

/// Pages that one step copies.
const PAGES: i32 = 1024;
/// How long a busy catalogue is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no image, or why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// SQLite failed.
    #[error("the catalogue {}: {source}; look at the disk that holds it", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}; free some space, or correct its rights", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no sound database.
    #[error("the catalogue is damaged ({0}); go back to an earlier copy")]
    Unsound(String),
    /// It belongs to another server key.
    #[error("it was made with another server key")]
    OtherKey,
}

/// Copies the catalogue at `from` into the new file `image`, as it is at one moment, and checks the copy. Blocking.
///
/// # Errors
/// [`ImageError`]; the catalogue itself is only read.
pub(crate) fn take(from: &Path, image: &Path) -> Result<(), ImageError> {
    let failed = |source| ImageError::Sqlite { path: from.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(failed)?;
    source.busy_timeout(PATIENCE).map_err(failed)?;
    source.execute_batch("begin").map_err(failed)?;
    // The transaction begins to read, and so holds its moment, with its first query.
    source.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0)).map_err(failed)?;
    copy(&source, image).map_err(failed)?;
    source.execute_batch("rollback").map_err(failed)?;
    check(image, None)
}

fn copy(source: &Connection, image: &Path) -> rusqlite::Result<()> {
    let mut target = Connection::open(image)?;
    // The image is thrown away when anything goes wrong, so nothing of it need survive a crash.
    target.execute_batch("pragma synchronous = off; pragma journal_mode = off;")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        match backup.step(PAGES)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    drop(backup);
    target.close().map_err(|(_, error)| error)
}

/// Checks an image, and that it belongs to the key with this check value; then it is one file without a log beside it.
/// Blocking.
///
/// # Errors
/// [`ImageError::Unsound`], [`ImageError::OtherKey`].
pub(crate) fn check(image: &Path, key: Option<&str>) -> Result<(), ImageError> {
    let unsound = |error: rusqlite::Error| ImageError::Unsound(error.to_string());
    let connection = Connection::open_with_flags(image, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unsound)?;
    let found: Vec<String> = connection
        .prepare("pragma integrity_check")
        .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
        .map_err(unsound)?;
    if found != ["ok"] {
        return Err(ImageError::Unsound(found.into_iter().take(3).collect::<Vec<_>>().join("; ")));
    }
    let loose: i64 =
        connection.query_row("select count(*) from pragma_foreign_key_check", [], |row| row.get(0)).map_err(unsound)?;
    if loose > 0 {
        return Err(ImageError::Unsound(format!("{loose} rows refer to nothing")));
    }
    if let Some(key) = key {
        let kept: String = connection
            .query_row("select value from setting where name = 'server_key_check'", [], |row| row.get(0))
            .map_err(unsound)?;
        if kept != key {
            return Err(ImageError::OtherKey);
        }
    }
    settle(connection).map_err(unsound)
}

/// What stands in a log beside a catalogue that nobody has open becomes a part of its file. Blocking.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn close(path: &Path) -> Result<(), ImageError> {
    let failed = |source| ImageError::Sqlite { path: path.to_owned(), source };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    settle(connection).map_err(failed)?;
    std::fs::File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| ImageError::Io { path: path.to_owned(), source })
}

fn settle(connection: Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(PATIENCE)?;
    connection.query_row("pragma journal_mode = delete", [], |row| row.get::<_, String>(0))?;
    connection.close().map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn catalogue(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection
            .execute_batch(
                "pragma journal_mode = wal; create table setting (name text primary key, value text); \
                 insert into setting values ('server_key_check', 'the key');",
            )
            .unwrap();
        connection
    }

    #[test]
    fn what_only_the_log_holds_is_in_the_image_and_it_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, image) = (folder.path().join("catalogue.db"), folder.path().join("image"));
        let open = catalogue(&from);
        take(&from, &image).unwrap();
        drop(open);
        check(&image, Some("the key")).unwrap();
        assert!(matches!(check(&image, Some("another")), Err(ImageError::OtherKey)));
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!names.iter().any(|name| name.to_string_lossy().starts_with("image-")), "{names:?}");
    }

    #[test]
    fn a_changed_page_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (from, image) = (folder.path().join("catalogue.db"), folder.path().join("image"));
        drop(catalogue(&from));
        take(&from, &image).unwrap();
        let mut bytes = std::fs::read(&image).unwrap();
        bytes[4096..4200].fill(0xff);
        std::fs::write(&image, bytes).unwrap();
        assert!(matches!(check(&image, None), Err(ImageError::Unsound(_))));
    }
}
