//! A SQLite image takes its place again; the old file is kept, and no journal of it is left to be played into the new one.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use holdfast_vault::{Cancel, Node, Vault};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{beside, explain};
use crate::{
    config::{facts_of, set_facts},
    failure::Failure,
    place::sync_dir,
};

const JOURNALS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The same as [`can_put_back`] without touching anything: whether somebody holds a lock on the database, by what the
/// system says of its locks. The database itself is not opened: to open and close it would merge its journal, and would
/// drop the locks that this very process may have on it.
///
/// # Errors
/// A process has it open; the text names it.
pub(crate) fn refuse_open(path: &Path) -> Result<(), Failure> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let holder = [path.to_path_buf(), beside(path, "-shm")].iter().find_map(|file| holder(&locks, file));
    let Some(pid) = holder else { return Ok(()) };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.trim().is_empty() { String::new() } else { format!(", {}", name.trim()) };
    Err(Failure::Said(format!(
        "{} is open in another process (process {pid}{name}); stop the application (`restore.stop`) and run again",
        path.display()
    )))
}

/// The process that holds a lock on a file, by lines such as `1: POSIX  ADVISORY  READ 1234 08:01:131 0 EOF`.
fn holder<'a>(locks: &'a str, file: &Path) -> Option<&'a str> {
    let facts = fs::metadata(file).ok()?;
    let (major, minor) = (rustix::fs::major(facts.dev()), rustix::fs::minor(facts.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", facts.ino());
    locks.lines().filter(|line| line.contains("POSIX") || line.contains("OFDLCK")).find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == place)?;
        words.get(at.checked_sub(1)?).copied()
    })
}

/// Whether the database at `path` could be replaced now: nobody has it open. A missing or broken file may be replaced.
///
/// # Errors
/// Another process has it open.
fn can_put_back(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    // In exclusive mode a WAL database is opened only if no other connection has it. Ending the last connection
    // also brings the old WAL into the old file, so that what is kept is whole.
    let tried = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("pragma locking_mode = exclusive; begin exclusive; rollback;")?;
        connection.close().map_err(|(_, error)| error)
    });
    match tried {
        Err(error)
            if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) =>
        {
            Err(Failure::Said(format!(
                "{} is open in another process; stop the application (`restore.stop`) and run again",
                path.display()
            )))
        }
        // A broken file is what a restore is for; it is kept as it is.
        _ => Ok(()),
    }
}

/// Writes the image beside `path`, moves the old database with its journals to `trash`, renames the new one into place.
///
/// Gives the bytes written and where the old file is.
///
/// # Errors
/// Somebody has the database open, or something could not be written; what stood at `path` is then as it was.
pub(crate) fn put_back(
    vault: &Vault,
    node: &Node,
    path: &Path,
    trash: &Path,
    cancel: &Cancel,
) -> Result<(u64, Option<PathBuf>), Failure> {
    can_put_back(path)?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let said = |error: std::io::Error| Failure::io(path, &error);
    fs::create_dir_all(folder).map_err(said)?;
    let mut fresh = tempfile::Builder::new().prefix(".holdfast-").tempfile_in(folder).map_err(said)?;
    let mut reader = vault.read(node)?;
    let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0_u64);
    loop {
        cancel.check()?;
        let count = std::io::Read::read(&mut reader, &mut buffer).map_err(said)?;
        if count == 0 {
            break;
        }
        fresh.write_all(&buffer[..count]).map_err(said)?;
        bytes += u64::try_from(count).unwrap_or(0);
    }
    let (mode, uid, gid) =
        facts_of(path).map_or((node.mode & 0o777, node.uid, node.gid), |(_, mode, uid, gid)| (mode, uid, gid));
    set_facts(fresh.path(), mode, uid, gid).map_err(said)?;
    fresh.as_file().sync_all().map_err(said)?;
    let opened = Connection::open_with_flags(fresh.path(), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|new| new.query_row("select count(*) from sqlite_schema", [], |row| row.get::<_, i64>(0)));
    opened.map_err(|error| explain(fresh.path(), &error))?;
    for suffix in JOURNALS {
        let _ = fs::remove_file(beside(fresh.path(), suffix));
    }
    let kept = keep(path, trash).map_err(said)?;
    fresh.persist(path).map_err(|error| said(error.error))?;
    sync_dir(folder).map_err(said)?;
    Ok((bytes, kept))
}

/// Journals move first: a crash in between leaves the old file without them, never the new file with them.
fn keep(path: &Path, trash: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut kept = None;
    for suffix in JOURNALS.into_iter().chain([""]) {
        let from = beside(path, suffix);
        let Some(name) = from.file_name() else { continue };
        if from.symlink_metadata().is_ok() {
            fs::create_dir_all(trash)?;
            let to = trash.join(name);
            fs::rename(&from, &to)?;
            kept = Some(to);
        }
    }
    if kept.is_some() {
        sync_dir(trash)?;
    }
    Ok(kept)
}
