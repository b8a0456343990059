//! A copy of a sealed database: its archive written out from the vault, restored, and read again.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    process::Stdio,
    sync::atomic::AtomicU64,
};

use holdfast_vault::{Node, TreeId, Vault};

use super::{
    PgError,
    archive::{self, Archive, ArchiveError, Index, Sink},
    capture::blocking,
    compare::Found,
    database::Database,
    ledger::{self, objects},
    target::Target,
};

/// Jobs of `pg_restore`.
pub(super) const JOBS: &str = "-j2";

/// The component's files in the vault.
pub(super) struct Sealed {
    vault: Vault,
    pub(super) dump: Node,
    pub(super) index: Index,
    pub(super) database: Database,
}

impl Sealed {
    /// Reads the small ones, and finds the archive.
    pub(super) async fn open(vault: &Vault, dir: &TreeId) -> Result<Self, PgError> {
        let (vault, dir) = (vault.clone(), *dir);
        blocking(move || {
            let index = small(&vault, &dir, "dump.idx.json")?;
            let database = small(&vault, &dir, "database.json")?;
            let dump = vault.find(&dir, Path::new("dump.pgc"))?;
            Ok(Self { dump, index, database, vault })
        })
        .await
    }

    /// Writes the archive into a file that `pg_restore` can seek in, reading it on the way: it must be whole, and its
    /// table of contents must agree with `dump.idx.json`.
    pub(super) async fn write_to(&self, path: &Path) -> Result<Archive, PgError> {
        let (vault, node, index, path) = (self.vault.clone(), self.dump.clone(), self.index.clone(), path.to_owned());
        blocking(move || {
            use std::os::unix::fs::OpenOptionsExt;
            let failed = |error| PgError::io(&path, error);
            let mut options = File::options();
            let file = options.write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
            let mut sink = Plain(file);
            let archive = archive::copy(vault.read(&node)?, &mut sink)?;
            if archive.index != index {
                return Err(PgError::Refused("the archive and its dump.idx.json do not agree".into()));
            }
            for (at, bytes) in archive.positions() {
                sink.0.seek(SeekFrom::Start(at)).map_err(failed)?;
                sink.0.write_all(&bytes).map_err(failed)?;
            }
            Ok(archive)
        })
        .await
    }
}

fn small<T: serde::de::DeserializeOwned>(vault: &Vault, dir: &TreeId, name: &str) -> Result<T, PgError> {
    let node = vault.find(dir, Path::new(name))?;
    let mut bytes = Vec::new();
    vault.read(&node)?.read_to_end(&mut bytes).map_err(|error| PgError::from(ArchiveError::Source(error)))?;
    serde_json::from_slice(&bytes).map_err(|error| PgError::Refused(format!("{name} cannot be read: {error}")))
}

/// Whether a text is a `database.json`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_database(text: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<Database>(text).map(drop).map_err(|error| format!("it is no database.json: {error}"))
}

/// A file, where a chunk's boundary means nothing.
struct Plain(File);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Sink for Plain {
    fn cut(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a `pg_restore` to its end.
pub(super) async fn run_restore(program: crate::command::Program) -> Result<(), PgError> {
    let mut running = program.spawn(Stdio::null()).await?;
    let ended = running.wait().await;
    if ended.ok {
        return Ok(());
    }
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| !line.trim().is_empty()).take(12).collect();
    Err(PgError::Tool { tool: "pg_restore".into(), how: ended.how, message: lines.join("\n") })
}

/// The ledger of a restored database, by the code that made the sealed one.
pub(super) async fn read_back(target: &Target) -> Result<Found, PgError> {
    let (mut one, mut two) = (target.connect().await?, target.connect().await?);
    let tables = ledger::tables(&mut one).await?;
    let (queue, done) = (ledger::queue(&tables), AtomicU64::new(0));
    let own = async {
        let sequences = ledger::sequences(&mut one).await?;
        let objects = objects::objects(&mut one).await?;
        // Large objects are read through descriptors, which live in a transaction.
        one.run("begin read only", "reading the copy").await?;
        let large_objects = ledger::large_objects(&mut one).await?;
        let tables = ledger::work_off(&mut one, &queue, &done).await?;
        Ok::<_, PgError>((sequences, objects, large_objects, tables))
    };
    let ((sequences, objects, large_objects, mut tables), more) =
        tokio::try_join!(own, ledger::work_off(&mut two, &queue, &done))?;
    tables.extend(more);
    one.close().await;
    two.close().await;
    Ok(Found { tables, sequences, large_objects, objects })
}
