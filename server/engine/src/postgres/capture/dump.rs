//! `pg_dump` and `pg_dumpall`: started under the snapshot, read into the vault, believed only when every sign is good.

use std::{io::PipeReader, process::Stdio, sync::Arc};

use holdfast_model::ledger::Ledger;
use holdfast_vault::{Chunking, Meter, Writer};

use super::blocking;
use crate::{
    command::Running,
    context::Context,
    postgres::{
        LOCK_SECONDS, PgError,
        archive::{self, Archive},
        install::PgInstall,
        target::Target,
    },
};

/// A `pg_dump` that has its snapshot and its locks, and waits for its output to be read.
pub(super) struct Dump {
    pub(super) running: Running,
    pub(super) output: PipeReader,
}

/// The name of a `pg_dump`'s session on the server.
pub(super) fn dump_name(snapshot: &str) -> String {
    format!("holdfast pg_dump {snapshot}")
}

pub(super) async fn start_dump(target: &Target, install: &PgInstall, snapshot: &str) -> Result<Dump, PgError> {
    let program = target
        .equip(install.program("pg_dump"))
        .env("PGAPPNAME", dump_name(snapshot))
        .args(["-Fc", "-Z0", "--no-password"])
        .args([format!("--snapshot={snapshot}"), format!("--lock-wait-timeout={LOCK_SECONDS}s")]);
    let (output, input) = std::io::pipe().map_err(|error| PgError::io("a pipe", error))?;
    Ok(Dump { running: program.spawn(Stdio::from(input)).await?, output })
}

/// Reads `pg_dump` into the vault. It counts only when its exit status is 0 *and* the archive was read to its end.
pub(super) async fn read_dump(
    dump: Dump,
    place: String,
    writer: Arc<Writer>,
    meter: Meter,
) -> Result<(Archive, holdfast_vault::Streamed), PgError> {
    let Dump { mut running, output } = dump;
    let copied = blocking(move || {
        let mut stream = writer.stream(Chunking::Dump, &meter);
        let archive = archive::copy(output, &mut stream);
        Ok((archive, stream))
    })
    .await;
    let (archive, stream) = copied?;
    if let Err(archive::ArchiveError::Sink(_)) = &archive {
        drop(running);
        return Err(archive.err().map_or(PgError::Cancelled, PgError::from));
    }
    let ended = running.wait().await;
    if !ended.ok {
        return Err(PgError::tool("pg_dump", &ended.how, &ended.stderr, &place));
    }
    let archive = archive?;
    let streamed = blocking(move || Ok(stream.finish()?)).await?;
    Ok((archive, streamed))
}

/// The third sign of a good dump: each table that the ledger counted rows in has data of at least a byte a row.
pub(super) fn plausible(archive: &Archive, ledger: &Ledger) -> Result<(), PgError> {
    if !archive.index.known {
        return Ok(());
    }
    let rows: u64 = ledger.rows();
    let bytes: u64 = archive.index.entries.iter().map(|entry| entry.length).sum();
    if bytes < rows {
        return Err(PgError::Refused(format!(
            "the dump holds {bytes} bytes of data for {rows} rows: it cannot be whole; run it again"
        )));
    }
    Ok(())
}

/// Roles and tablespaces, for people. Never fails a checkpoint: what was done is said.
pub(super) async fn globals(
    install: &PgInstall,
    target: &Target,
    superuser: bool,
    ctx: &Context,
) -> Result<(Option<Vec<u8>>, (String, Option<String>)), PgError> {
    let base = target.equip(install.program("pg_dumpall")).args(["--globals-only", "--no-password"]);
    let base = base.arg("-l").arg(target.database());
    let tries = if superuser {
        vec![(base.clone(), "whole"), (base.arg("--no-role-passwords"), "without the roles' passwords")]
    } else {
        vec![(base.arg("--no-role-passwords"), "without the roles' passwords: the role is no superuser")]
    };
    let mut why = String::new();
    for (program, how) in tries {
        match program.output(&ctx.cancel).await {
            Ok(output) if output.ended.ok && output.stdout.windows(24).any(|w| w == b"database cluster dump co") => {
                return Ok((Some(output.stdout), (how.to_owned(), None)));
            }
            Ok(output) => why = output.ended.stderr,
            Err(crate::command::CommandError::Cancelled) => return Err(PgError::Cancelled),
            Err(error) => why = error.to_string(),
        }
    }
    let said = format!("not taken: {}", why.lines().last().unwrap_or("pg_dumpall said nothing"));
    Ok((None, (said.clone(), Some(format!("globals.sql was {said}")))))
}
