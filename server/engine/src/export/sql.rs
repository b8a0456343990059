//! A sealed dump as SQL: `pg_restore` reads it from the vault through a pipe, behind the fence of a drill, and connects
//! to nothing.

use std::{
    io::{self, Write},
    process::Stdio,
};

use holdfast_vault::Node;
use tokio::runtime::Handle;

use super::{ExportWork, copied};
use crate::{failure::Failure, postgres::PgInstall, sandbox::SandboxLevel};

/// Writes the SQL. Blocking, on a thread of the runtime.
pub(super) fn produce(
    work: &ExportWork,
    dump: &Node,
    install: &PgInstall,
    level: &SandboxLevel,
    checkpoint: &str,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Failure::Said(format!("{what}: {error}"));
    let pipe = || io::pipe().map_err(|error| failed("a pipe", &error));
    let ((dump_end, mut feed), (mut sql, sql_end)) = (pipe()?, pipe()?);
    let mut program = install.program("pg_restore").args(["-f", "-", "--no-password"]).dir("/").fenced(level);
    if takes_restrict_key(install) {
        // Else it makes up a new one each time, and the second pass would not give the bytes of the first.
        let key: String = checkpoint.chars().filter(char::is_ascii_alphanumeric).collect();
        program = program.arg(format!("--restrict-key={key}"));
    }
    let runtime = Handle::current();
    let mut running = runtime
        .block_on(program.spawn_between(Stdio::from(dump_end), Stdio::from(sql_end)))
        .map_err(|error| failed("pg_restore", &error))?;
    let mut reader = work.vault.read(dump)?;
    let (fed, read) = std::thread::scope(|scope| {
        let feeding = scope.spawn(move || io::copy(&mut reader, &mut feed).map(drop));
        let read = io::copy(&mut sql, output).map(drop);
        // Whoever does not read on must not leave a writer waiting.
        drop(sql);
        (feeding.join(), read)
    });
    read.map_err(|error| copied(&error))?;
    let ended = runtime.block_on(running.wait());
    match fed {
        Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => return Err(copied(&error)),
        Ok(_) => {}
        Err(_) => return Err(Failure::Said("a thread of the export ended badly".to_owned())),
    }
    if ended.ok {
        return Ok(());
    }
    Err(Failure::Said(format!("pg_restore could not make SQL of the dump ({}): {}", ended.how, ended.stderr)))
}

/// Since the fix of CVE-2025-8714 plain dumps are wrapped in `\restrict`, with a key that can be given.
fn takes_restrict_key(install: &PgInstall) -> bool {
    let (major, minor) = install.version;
    match major {
        13 => minor >= 22,
        14 => minor >= 19,
        15 => minor >= 14,
        16 => minor >= 10,
        17 => minor >= 6,
        _ => major >= 18,
    }
}
