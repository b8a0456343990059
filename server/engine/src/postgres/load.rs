//! Plain SQL that came from elsewhere: loaded into a throwaway server behind the fence of a drill, and taken from there
//! as a dump with a ledger, so that it is kept like any other database.
//!
//! A plain dump is a program for `psql`, which can run commands and read files. So `psql` itself runs behind the same fence
//! as the server: another user, no network, and nothing within reach but the file.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{manifest::Facts, name::Name};
use holdfast_vault::{Meter, Writer};

use super::{
    PgError,
    capture::{PgCapture, cancellable, prepare_throwaway},
    cluster::{Cluster, Room},
    install::PgInstall,
    target::identifier,
};
use crate::{context::Context, sandbox::SandboxLevel, tools::Tools};

/// How far into a dump its head is looked for.
const HEAD: usize = 200;
/// Longer lines are data.
const LONGEST: usize = 4096;

/// Loads `sql` and captures what came of it, as the database of component `name`.
///
/// # Errors
/// When there is no server for it, the SQL fails, or it was cancelled.
pub(crate) async fn load(
    sql: &Path,
    name: &Name,
    writer: Arc<Writer>,
    scratch: &Path,
    tools: &Tools,
    meter: &Meter,
    ctx: &Context,
) -> Result<PgCapture, PgError> {
    cancellable(ctx, carry_out(sql, name, writer, scratch, tools, meter, ctx)).await
}

async fn carry_out(
    sql: &Path,
    name: &Name,
    writer: Arc<Writer>,
    scratch: &Path,
    tools: &Tools,
    meter: &Meter,
    ctx: &Context,
) -> Result<PgCapture, PgError> {
    if let SandboxLevel::None { why } = tools.sandbox() {
        return Err(PgError::Refused(why.clone()));
    }
    let read = read_through(sql)?;
    let install = server_for(tools, read.major)?;
    let room = Room::make(scratch, tools.sandbox())?;
    let size = std::fs::metadata(sql).map_err(|error| PgError::io(sql, error))?.len();
    room.check_space(size.saturating_mul(4).saturating_add(256_000_000))?;
    let file = room.path().join("load.sql");
    std::fs::copy(sql, &file).map_err(|error| PgError::io(&file, error))?;
    room.give(&file)?;
    let cluster = Cluster::start(room, &install, "postgres", tools.templates(), ctx).await?;
    let mut session = cluster.session("postgres").await?;
    for role in read.roles.iter().filter(|role| *role != "postgres") {
        // One that cannot be made is missed by the SQL that names it, which then says so.
        let _ = session.try_run(format!("create role {} nologin", identifier(role))).await;
    }
    // Every server has databases of its own, whose names are taken.
    let own = match name.as_str() {
        taken @ ("postgres" | "template0" | "template1") => format!("{taken}_import"),
        free => free.to_owned(),
    };
    let create = format!("create database {} template template0 encoding 'UTF8'", identifier(&own));
    session.run(create, "creating the database").await?;
    let program = cluster
        .target(&own)
        .equip(cluster.program("psql"))
        .args(["--no-psqlrc", "--quiet", "--no-password", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-f"])
        .arg(&file);
    let mut running = program.spawn(Stdio::null()).await?;
    let ended = running.wait().await;
    if !ended.ok {
        let said: Vec<&str> = ended.stderr.lines().filter(|line| !line.trim().is_empty()).take(6).collect();
        return Err(PgError::Tool { tool: "psql".into(), how: ended.how, message: said.join("\n") });
    }
    let database = loaded_into(&mut session, &own).await?;
    session.close().await;
    let prepared = prepare_throwaway(name, cluster.target(&database), install.clone()).await?;
    let held = prepared.hold(ctx).await?;
    let captured = held.stream(writer, meter.clone(), Arc::new(AtomicU64::new(0)), ctx).await;
    cluster.stop().await;
    let mut captured = captured?;
    if let Facts::Postgres { globals, .. } = &mut captured.facts {
        *globals = "of the throwaway server that the SQL was loaded into: roles without rights".into();
    }
    Ok(captured)
}

/// SQL with `create database` and `\connect` in it went where it says.
async fn loaded_into(session: &mut super::target::Session, own: &str) -> Result<String, PgError> {
    let rows = session
        .rows(
            "select datname from pg_database where not datistemplate and datname <> 'postgres' order by oid",
            "listing the databases",
        )
        .await?;
    let others: Vec<String> = rows.iter().map(|row| row.text(0)).filter(|name| name != own).collect();
    match others.as_slice() {
        [] => Ok(own.to_owned()),
        [one] => Ok(one.clone()),
        many => {
            Err(PgError::Refused(format!("it makes several databases ({}); give one file for each", many.join(", "))))
        }
    }
}

/// The server for a dump of that version: the same major version, else the newest that is not older.
fn server_for(tools: &Tools, major: Option<u32>) -> Result<PgInstall, PgError> {
    let servers = || tools.installs().iter().filter(|install| install.has_server && install.patched);
    let same = servers().filter(|install| Some(install.major) == major).max_by_key(|install| install.version);
    let newest = servers().filter(|install| major.is_none_or(|major| install.major >= major)).max_by_key(|i| i.version);
    same.or(newest).cloned().ok_or_else(|| {
        let wanted =
            major.map_or_else(|| "a PostgreSQL server".to_owned(), |m| format!("a server of PostgreSQL {m} or newer"));
        PgError::Refused(format!(
            "{wanted} is needed on this host to load it, with all fixes; on Debian: apt install postgresql"
        ))
    })
}

struct Read {
    major: Option<u32>,
    roles: BTreeSet<String>,
}

/// The version that a dump says it is of, and the roles that its statements name.
fn read_through(sql: &Path) -> Result<Read, PgError> {
    let failed = |error| PgError::io(sql, error);
    let mut input = BufReader::new(std::fs::File::open(sql).map_err(failed)?);
    let mut found = Read { major: None, roles: BTreeSet::new() };
    let (mut line, mut count) = (Vec::new(), 0_usize);
    while input.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        count += 1;
        if line.len() <= LONGEST
            && let Ok(text) = std::str::from_utf8(&line)
        {
            let text = text.trim();
            if count <= HEAD
                && let Some(version) = text.strip_prefix("-- Dumped from database version ")
            {
                found.major = version.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
            }
            found.roles.extend(role(text));
        }
        line.clear();
    }
    Ok(found)
}

/// The role at the end of `… OWNER TO role;` and `GRANT … TO role;`.
fn role(line: &str) -> Option<String> {
    let statement = line.strip_suffix(';')?;
    let (before, role) = statement.rsplit_once(" TO ")?;
    let fits = before.ends_with(" OWNER") || before.starts_with("GRANT ");
    let role = role.trim_end_matches(" WITH GRANT OPTION").trim();
    let plain = match role.strip_prefix('"').and_then(|role| role.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => role.to_owned(),
    };
    (fits && !plain.is_empty() && !plain.eq_ignore_ascii_case("public") && !plain.contains(['\n', ',']))
        .then_some(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn roles_are_read_from_statements() {
        assert_eq!(role("ALTER TABLE public.a OWNER TO shop;").as_deref(), Some("shop"));
        assert_eq!(role("GRANT SELECT ON TABLE public.a TO \"Odd \"\"one\";").as_deref(), Some("Odd \"one"));
        assert_eq!(role("GRANT SELECT ON TABLE public.a TO PUBLIC;"), None);
        assert_eq!(role("INSERT INTO a VALUES (' TO x');"), None);
    }
}
