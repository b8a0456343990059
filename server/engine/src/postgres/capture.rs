//! Capture: prepare, hold, stream. One snapshot under the ledger and the dump.

mod dump;
mod grip;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    sync::{Arc, atomic::AtomicU64},
};

use holdfast_model::{
    definition::Component,
    event::Level,
    ledger::{Ledger, SequenceFacts},
    manifest::{Facts, Skipped},
    name::Name,
    secret::Secret,
};
use holdfast_vault::{Chunking, Meter, Node, Writer};
use time::OffsetDateTime;

use self::{
    dump::{globals, plausible, read_dump},
    grip::{ATTEMPTS, Attempt, Grip, attempt},
};
use super::{
    LOCK_SECONDS, PgError, archive,
    database::Database,
    install::PgInstall,
    ledger::{self, objects},
    target::{Session, Target},
};
use crate::{context::Context, tools::Tools};

/// A database that we are connected to, and the tools for it.
pub struct Prepared {
    name: Name,
    target: Target,
    install: PgInstall,
    session: Session,
    server: String,
}

/// A database whose tables are locked and whose snapshot is open.
pub struct Held {
    name: Name,
    target: Target,
    install: PgInstall,
    session: Session,
    server: String,
    grip: Grip,
}

/// What a capture gave.
#[derive(Debug)]
pub struct PgCapture {
    /// `dump.pgc`, `dump.idx.json`, `database.json` and, where it could be taken, `globals.sql`.
    pub nodes: Vec<Node>,
    /// Logical bytes of them.
    pub size: u64,
    /// Bytes that they added to the vault.
    pub stored: u64,
    /// Tables.
    pub items: u64,
    /// What a drill must find again.
    pub ledger: Ledger,
    /// What a drill or restore needs to know.
    pub facts: Facts,
    /// Always empty today: what cannot be read fails the capture.
    pub skipped: Vec<Skipped>,
    /// What is not in the dump.
    pub not_covered: Vec<String>,
}

/// Connects, and looks whether a snapshot can be held and dumped at all.
///
/// # Errors
/// Each with its mend: URL, server, password, database, tools, pooler.
pub async fn prepare(component: &Component, url: &Secret, tools: &Tools, ctx: &Context) -> Result<Prepared, PgError> {
    let target = Target::read(url)?;
    let work = async {
        let mut session = target.connect().await?;
        let (server, major) = version(&mut session).await?;
        let install = install_for(tools, major)?;
        refuse_pooler(&target, &mut session).await?;
        Ok(Prepared { name: component.name.clone(), target: target.clone(), install, session, server })
    };
    cancellable(ctx, work).await
}

/// The same for a throwaway server of our own.
pub(super) async fn prepare_throwaway(name: &Name, target: Target, install: PgInstall) -> Result<Prepared, PgError> {
    let mut session = target.connect().await?;
    let (server, _) = version(&mut session).await?;
    Ok(Prepared { name: name.clone(), target, install, session, server })
}

/// `server_version`, and the major version in it.
pub(super) async fn version(session: &mut Session) -> Result<(String, u32), PgError> {
    let sql = "select current_setting('server_version'), current_setting('server_version_num')";
    let row = session.row(sql, "asking for the version").await?;
    Ok((row.text(0), row.number::<u32>(1) / 10_000))
}

/// The tools of exactly the server's major version: an older `pg_dump` refuses it, and hashes and archives of another
/// major version cannot be compared with it.
pub(super) fn install_for(tools: &Tools, major: u32) -> Result<PgInstall, PgError> {
    if let Some(install) = tools.postgres(major) {
        return Ok(install.clone());
    }
    match tools.installs().iter().map(|install| install.major).max() {
        Some(tool) if tool < major => Err(PgError::TooOld { major, tool }),
        Some(tool) => Err(PgError::NoTools { major, found: format!("there is {tool}") }),
        None => Err(PgError::NoTools { major, found: "there is none at all".into() }),
    }
}

/// A pooler in transaction mode lends a server session for one transaction at a time: what one client sets, another
/// finds, and while another holds a transaction, the first is given a different session.
pub(super) async fn refuse_pooler(target: &Target, session: &mut Session) -> Result<(), PgError> {
    let doing = "looking for a connection pooler";
    let mark = format!("{:p}-{}", session, OffsetDateTime::now_utc().unix_timestamp_nanos());
    let ask = "select pg_backend_pid()::text, current_setting('holdfast.mark', true)";
    let set = format!("select pg_backend_pid()::text, set_config('holdfast.mark', '{mark}', false)");
    let first = session.row(set, doing).await?.text(0);
    let mut second = match target.connect().await {
        Ok(second) => second,
        // One connection is all that we are given: that is no sign of a pooler.
        Err(PgError::Full { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    second.run("begin", doing).await?;
    let other = second.row(ask, doing).await?;
    let again = session.row(ask, doing).await?;
    let pooled = other.text(1) == mark || other.text(0) == first || again.text(0) != first || again.text(1) != mark;
    second.run("rollback", doing).await?;
    second.close().await;
    if pooled { Err(PgError::Pooled { place: target.place() }) } else { Ok(()) }
}

/// Ends with the work or with the cancel, and says so whichever of the two noticed it first.
pub(super) async fn cancellable<T>(
    ctx: &Context,
    work: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    tokio::select! {
        result = work => match result {
            Err(_) if ctx.cancel.is_cancelled() => Err(PgError::Cancelled),
            result => result,
        },
        () = ctx.cancelled() => Err(PgError::Cancelled),
    }
}

impl Prepared {
    /// Locks every table and opens the snapshot.
    ///
    /// Why this order makes an emptied table impossible. A TRUNCATE or a rewriting ALTER gives a table a new file, and
    /// whoever reads it with a snapshot from before finds it empty. So the locks come first: ACCESS SHARE waits for
    /// such a statement's ACCESS EXCLUSIVE, which is given back only after its transaction has become visible. LOCK
    /// takes no snapshot; the first SELECT does, and that comes after the last lock. So the snapshot sees every
    /// rewrite that ever got its lock before us, and none can get one after us until the dump is done: file and snapshot
    /// belong together for each table that we locked. What is left are tables that we did not know of: made, renamed or
    /// moved between the list and the snapshot. The snapshot is asked for the list again, and if anything differs
    /// (name, number, kind, columns, or the file, though that alone would do no harm) all begins anew.
    ///
    /// A statement that waits for our lock stands before everybody who asks after it: `pg_dump` and the second session
    /// would wait for it, it for us, and we for them. So both get their locks here too, while a new attempt is cheap.
    ///
    /// # Errors
    /// A table that stays locked, named with who holds it; a missing right; tables that never come to rest.
    pub async fn hold(self, ctx: &Context) -> Result<Held, PgError> {
        let Self { name, target, install, mut session, server } = self;
        let work = async {
            let mut changed = String::new();
            for _ in 0..ATTEMPTS {
                match attempt(&mut session, &target, &install).await? {
                    Attempt::Held(grip) => {
                        return Ok(Held {
                            name: name.clone(),
                            target: target.clone(),
                            install: install.clone(),
                            session,
                            server: server.clone(),
                            grip: *grip,
                        });
                    }
                    Attempt::Changed(what) => {
                        session.run("rollback", "starting over").await?;
                        changed = what;
                    }
                }
            }
            Err(PgError::Restless { what: changed })
        };
        cancellable(ctx, work).await
    }
}

impl Held {
    /// The instant that the content belongs to.
    #[must_use]
    pub const fn instant(&self) -> OffsetDateTime {
        self.grip.instant
    }

    /// How many tables will be counted.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.grip.tables.iter().filter(|table| !table.parent).count()
    }

    /// Streams the dump into the vault while the ledger is computed under the same snapshot.
    ///
    /// # Errors
    /// Whatever went wrong first; nothing of it is referenced then.
    pub async fn stream(
        self,
        writer: Arc<Writer>,
        meter: Meter,
        tables_done: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<PgCapture, PgError> {
        cancellable(ctx, self.stream_all(writer, meter, tables_done, ctx)).await
    }

    async fn stream_all(
        mut self,
        writer: Arc<Writer>,
        meter: Meter,
        tables_done: Arc<AtomicU64>,
        ctx: &Context,
    ) -> Result<PgCapture, PgError> {
        let Grip { instant: now, tables, sequences: before, mut helper, dump } = self.grip;
        let database = Database::read(&mut self.session).await?;
        let extensions = extensions(&mut self.session).await?;
        let mut roles: BTreeSet<String> = roles(&mut self.session).await?;
        let mut not_covered = objects::left_out(&mut self.session).await?;

        let queue = ledger::queue(&tables);
        let dump = read_dump(dump, self.target.place(), writer.clone(), meter.clone());
        let counting = async {
            let helping = async {
                match &mut helper {
                    Some(session) => ledger::work_off(session, &queue, &tables_done).await,
                    None => Ok(BTreeMap::new()),
                }
            };
            let own = async {
                let objects = objects::objects(&mut self.session).await?;
                let large_objects = ledger::large_objects(&mut self.session).await?;
                let tables = ledger::work_off(&mut self.session, &queue, &tables_done).await?;
                Ok((objects, large_objects, tables))
            };
            tokio::try_join!(own, helping)
        };
        let ((archive, dumped), ((objects, large_objects, mut tables), more)) = tokio::try_join!(dump, counting)?;
        tables.extend(more);
        // What the second session had to leave because somebody stood before it; the first has its locks already.
        tables.extend(ledger::work_off(&mut self.session, &queue, &tables_done).await?);
        if let Some(table) = ledger::left(&queue) {
            let (by, seconds) = ("a statement on one of its indexes".into(), LOCK_SECONDS);
            return Err(PgError::Locked { table, by, seconds });
        }
        if let Some(helper) = helper {
            helper.close().await;
        }
        let after = ledger::sequences(&mut self.session).await?;
        let sequences = before
            .into_iter()
            .filter_map(|(name, before)| after.get(&name).map(|after| (name, SequenceFacts { before, after: *after })));
        let ledger = Ledger { tables, sequences: sequences.collect(), large_objects, objects };
        self.session.run("commit", "ending the transaction").await?;

        if !archive.index.known {
            not_covered.push(format!(
                "the places of single tables within the dump: its archive version {} is not known to this version of Holdfast",
                archive.index.archive
            ));
        }
        let tables = ledger.tables.len() as u64;
        plausible(&archive, &ledger)?;
        let (globals, said) =
            globals(&self.install, &self.target, database.superuser == self.target.user(), ctx).await?;
        roles.extend(archive.owners().map(str::to_owned));
        roles.extend(database.roles().map(str::to_owned));
        if let Some(why) = said.1 {
            ctx.log(Level::Warning, Some(self.name.as_str()), why);
        }

        let mut files = vec![("dump.idx.json", json(&archive.index)?), ("database.json", json(&database)?)];
        files.extend(globals.map(|bytes| ("globals.sql", bytes)));
        let mut nodes = vec![Node::file("dump.pgc", dumped.content, dumped.bytes, now)];
        let (mut size, mut stored) = (dumped.bytes, dumped.stored);
        for (name, bytes) in files {
            let (writer, meter) = (writer.clone(), meter.clone());
            let streamed = blocking(move || {
                let mut stream = writer.stream(Chunking::Files, &meter);
                stream.write_all(&bytes).map_err(|error| PgError::from(archive::ArchiveError::Sink(error)))?;
                Ok(stream.finish()?)
            })
            .await?;
            (size, stored) = (size + streamed.bytes, stored + streamed.stored);
            nodes.push(Node::file(name, streamed.content, streamed.bytes, now));
        }
        self.session.close().await;
        let facts = Facts::Postgres {
            database: database.name,
            major: self.install.major,
            server: self.server,
            dump: self.install.shown(),
            owner: database.owner,
            roles: roles.into_iter().collect(),
            extensions,
            encoding: database.encoding,
            collate: database.collate,
            ctype: database.ctype,
            globals: said.0,
        };
        Ok(PgCapture { nodes, size, stored, items: tables, ledger, facts, skipped: Vec::new(), not_covered })
    }
}

async fn extensions(session: &mut Session) -> Result<BTreeMap<String, String>, PgError> {
    let rows = session.rows("select extname, extversion from pg_extension", "listing the extensions").await?;
    Ok(rows.iter().map(|row| (row.text(0), row.text(1))).collect())
}

/// Every role that something in this database depends on: owners, grantees and grantors, policies, default grants.
async fn roles(session: &mut Session) -> Result<BTreeSet<String>, PgError> {
    let sql = "select distinct r.rolname from pg_shdepend d join pg_roles r on r.oid = d.refobjid
        where d.refclassid = 'pg_authid'::regclass
            and d.dbid = (select oid from pg_database where datname = current_database())";
    Ok(session.rows(sql, "listing the roles").await?.iter().map(|row| row.text(0)).collect())
}

pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, PgError> {
    serde_json::to_vec_pretty(value).map_err(|error| PgError::Refused(error.to_string()))
}

/// Runs what blocks on a thread that may.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PgError> + Send + 'static,
) -> Result<T, PgError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PgError::Refused(format!("a thread of ours ended badly: {error}"))),
    }
}
