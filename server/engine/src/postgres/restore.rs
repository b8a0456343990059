//! Restore: beside the old database, compared, then switched by two renames in one transaction. The old one is kept.

use std::{collections::BTreeSet, path::Path, time::Duration};

use holdfast_model::{
    event::Level,
    id::RunId,
    ledger::Ledger,
    manifest::{Facts, ManifestComponent},
    secret::Secret,
};
use holdfast_vault::{TreeId, Vault};

use super::{
    PgError,
    archive::{self, Entry},
    capture::{blocking, cancellable, version},
    cluster::check_space,
    compare::compare,
    drill::{JOBS, Sealed, read_back, run_restore},
    install::PgInstall,
    target::{Session, Target, identifier, literal},
};
use crate::{context::Context, tools::Tools};

/// PostgreSQL's limit of a name, in bytes.
const LONGEST_NAME: usize = 63;
/// How long sessions may take to end, in steps of 100 ms.
const ENDING: u32 = 100;

/// A restore that can be carried out, as far as can be known beforehand.
pub struct PgRestore {
    sealed: Sealed,
    ledger: Ledger,
    component: String,
    target: Target,
    maintenance: Target,
    install: PgInstall,
    names: Names,
    existing: Option<Existing>,
    owner: Option<String>,
    same_major: bool,
    superuser: bool,
    rights: Rights,
    warnings: Vec<String>,
}

/// What a restore did.
#[derive(Debug, Clone)]
pub struct PgRestored {
    /// The name that the old database has now, and its size in bytes; none where there was none.
    pub kept_as: Option<(String, u64)>,
    /// What a person should read.
    pub warnings: Vec<String>,
    /// Bytes of the archive.
    pub bytes: u64,
}

struct Names {
    database: String,
    restoring: String,
    before: String,
}

/// What of owners and grants is put back: all, if the role may; else less, and then it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    All,
    Grants,
    Nothing,
}

struct Existing {
    size: u64,
}

/// Looks at everything that could stop a restore in the middle: version, rights, roles, extensions, slots, prepared
/// transactions. Changes nothing.
///
/// # Errors
/// The first thing that would stop it, with its mend.
pub async fn validate_restore(
    vault: &Vault,
    dir: &TreeId,
    component: &ManifestComponent,
    url: &Secret,
    run: &RunId,
    tools: &Tools,
) -> Result<PgRestore, PgError> {
    let Facts::Postgres { major: sealed_major, roles, .. } = &component.facts else {
        return Err(PgError::Refused(format!(
            "component {} of the checkpoint is no PostgreSQL database",
            component.name
        )));
    };
    let ledger = component.ledger.clone();
    let ledger = ledger.ok_or_else(|| PgError::Refused("the manifest has no ledger of this database".into()))?;
    let target = Target::read(url)?;
    let (maintenance, mut session) = maintenance(&target).await?;
    let mut warnings = Vec::new();

    let (_, major) = version(&mut session).await?;
    if major < *sealed_major {
        return Err(PgError::Refused(format!(
            "the checkpoint is of PostgreSQL {sealed_major} and the server is {major}, which is older; restore to a server of {sealed_major} or later"
        )));
    }
    if major != *sealed_major {
        warnings.push(format!(
            "the checkpoint is of PostgreSQL {sealed_major} and the server is {major}: rows are counted, hashes cannot be compared"
        ));
    }
    let install = tools
        .postgres(major)
        .or_else(|| tools.postgres(*sealed_major))
        .cloned()
        .ok_or(PgError::NoTools { major, found: "a restore needs its pg_restore".into() })?;

    let me = session
        .row(
            "select current_user, rolsuper, rolsuper or rolcreatedb from pg_roles where rolname = current_user",
            "looking at rights",
        )
        .await?;
    let (user, superuser) = (me.text(0), me.is(1));
    if !me.is(2) {
        return Err(PgError::NoPrivilege {
            what: format!("the role {user} may not create databases, and a restore makes the new one beside the old"),
            mend: format!("as a superuser: alter role {} createdb", identifier(&user)),
        });
    }
    let sealed = Sealed::open(vault, dir).await?;
    let entries = contents(vault, &sealed).await?;
    let mut wanted: BTreeSet<String> = roles.iter().cloned().collect();
    wanted.extend(sealed.database.roles().map(str::to_owned));
    refuse_missing_roles(&mut session, &wanted).await?;
    let existing = existing(&mut session, &target, &user, &mut warnings).await?;

    let mut rights = Rights::All;
    let mut owner = Some(sealed.database.owner.clone());
    if !superuser {
        refuse_superuser_work(&mut session, &entries).await?;
        let owners: BTreeSet<&str> =
            entries.iter().map(|e| e.owner.as_str()).filter(|owner| !owner.is_empty()).collect();
        // The database's own entries are not restored from the archive, so their owner is looked at apart.
        let foreign = foreign_to(&mut session, owners).await?;
        if !foreign.is_empty() {
            rights = Rights::Grants;
            warnings.push(format!(
                "{user} is no member of {}, so what belonged to them belongs to {user} after the restore; to keep it, as a superuser: grant {} to {}",
                foreign.join(", "),
                foreign.iter().map(|role| identifier(role)).collect::<Vec<_>>().join(", "),
                identifier(&user)
            ));
        }
        if !foreign_to(&mut session, BTreeSet::from([sealed.database.owner.as_str()])).await?.is_empty() {
            warnings.push(format!("the database belonged to {} and will belong to {user}", sealed.database.owner));
            owner = None;
        }
    }
    let names = names(&mut session, target.database(), run).await?;
    session.close().await;
    Ok(PgRestore {
        sealed,
        ledger,
        component: component.name.to_string(),
        target,
        maintenance,
        install,
        names,
        existing,
        owner,
        same_major: major == *sealed_major,
        superuser,
        rights,
        warnings,
    })
}

/// A database of the server that is not the one to be replaced: nobody can rename the database that he is in.
async fn maintenance(target: &Target) -> Result<(Target, Session), PgError> {
    let mut why = String::new();
    for name in ["postgres", "template1"].into_iter().filter(|name| *name != target.database()) {
        let other = target.other(name);
        match other.connect().await {
            Ok(session) => return Ok((other, session)),
            Err(error @ (PgError::Unreachable { .. } | PgError::WrongPassword { .. })) => return Err(error),
            Err(error) => why = error.to_string(),
        }
    }
    Err(PgError::NoPrivilege {
        what: format!("a restore works from the database `postgres` or `template1`, and neither lets us in ({why})"),
        mend: format!("as a superuser: grant connect on database postgres to {}", identifier(target.user())),
    })
}

/// The table of contents alone.
async fn contents(vault: &Vault, sealed: &Sealed) -> Result<Vec<Entry>, PgError> {
    let (vault, node) = (vault.clone(), sealed.dump.clone());
    blocking(move || Ok(archive::contents(vault.read(&node)?)?)).await
}

async fn refuse_missing_roles(session: &mut Session, wanted: &BTreeSet<String>) -> Result<(), PgError> {
    let there = session.rows("select rolname from pg_roles", "listing the roles").await?;
    let there: BTreeSet<String> = there.iter().map(|row| row.text(0)).collect();
    let missing: Vec<&String> = wanted.iter().filter(|role| !there.contains(*role)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let roles = missing.iter().map(|role| format!("`{role}`")).collect::<Vec<_>>().join(", ");
    let mend = missing.iter().map(|role| format!("create role {}", identifier(role))).collect::<Vec<_>>().join("; ");
    Err(PgError::MissingRoles { roles, mend })
}

/// What only a superuser may create.
async fn refuse_superuser_work(session: &mut Session, entries: &[Entry]) -> Result<(), PgError> {
    let wanted: Vec<String> = entries.iter().filter(|e| e.tag == "EXTENSION").map(|e| literal(&e.name)).collect();
    let mut work: Vec<String> = entries
        .iter()
        .filter(|e| matches!(e.tag.as_str(), "EVENT TRIGGER" | "FOREIGN DATA WRAPPER" | "ACCESS METHOD"))
        .map(|e| format!("{} {}", e.tag.to_lowercase(), e.name))
        .collect();
    if !wanted.is_empty() {
        let sql = format!(
            "select e.name, v.name is null, coalesce(v.superuser and not v.trusted, false)
            from unnest(array[{}]) as e(name) left join pg_available_extensions a on a.name = e.name
            left join pg_available_extension_versions v on v.name = a.name and v.version = a.default_version",
            wanted.join(", ")
        );
        for row in session.rows(sql, "looking at the extensions").await? {
            if row.is(1) {
                return Err(PgError::Refused(format!(
                    "the checkpoint needs the extension {}, which is not installed on the server; install its package there",
                    row.text(0)
                )));
            }
            if row.is(2) {
                work.push(format!("extension {}", row.text(0)));
            }
        }
    }
    if work.is_empty() {
        return Ok(());
    }
    Err(PgError::NoPrivilege {
        what: format!("only a superuser may create {}", work.join(", ")),
        mend: "restore by a superuser's URL, or leave it out at the source".into(),
    })
}

/// Those of the roles to which we may not give anything.
async fn foreign_to(session: &mut Session, roles: BTreeSet<&str>) -> Result<Vec<String>, PgError> {
    if roles.is_empty() {
        return Ok(Vec::new());
    }
    let list = roles.into_iter().map(literal).collect::<Vec<_>>().join(", ");
    // A dump names the owner of the schema `public`, which since PostgreSQL 15 is whoever owns the database.
    let sql = format!(
        "select rolname from pg_roles where rolname in ({list}) and rolname <> 'pg_database_owner' and not pg_has_role(oid, 'member') order by 1"
    );
    Ok(session.rows(sql, "looking at the roles").await?.iter().map(|row| row.text(0)).collect())
}

async fn existing(
    session: &mut Session,
    target: &Target,
    user: &str,
    warnings: &mut Vec<String>,
) -> Result<Option<Existing>, PgError> {
    let name = literal(target.database());
    let sql = format!(
        "select pg_has_role(datdba, 'usage'), pg_get_userbyid(datdba), pg_database_size(oid)::text,
            (select count(*)::text from pg_prepared_xacts where database = datname),
            (select string_agg(slot_name::text, ', ') from pg_replication_slots where database = datname),
            (select string_agg(distinct usename::text, ', ') from pg_stat_activity a
                where a.datname = d.datname and a.usesysid is not null and not pg_has_role(a.usesysid, 'usage')
                    and not pg_has_role('pg_signal_backend', 'usage'))
        from pg_database d where datname = {name}"
    );
    let Some(row) = session.rows(sql, "looking at the database").await?.into_iter().next() else { return Ok(None) };
    if !row.is(0) {
        return Err(PgError::NoPrivilege {
            what: format!(
                "the database {} belongs to {}, and only its owner may rename it",
                target.database(),
                row.text(1)
            ),
            mend: format!(
                "as a superuser: alter database {} owner to {}",
                identifier(target.database()),
                identifier(user)
            ),
        });
    }
    if row.number::<u64>(3) > 0 {
        return Err(PgError::Refused(format!(
            "the database {} has prepared transactions, and cannot be renamed while it has them; commit or roll them back (see pg_prepared_xacts)",
            target.database()
        )));
    }
    if let Some(slots) = row.maybe(4) {
        warnings.push(format!("replication slots stay with the old database; make them anew: {slots}"));
    }
    if let Some(users) = row.maybe(5) {
        warnings.push(format!(
            "sessions of {users} are in the database, and {user} may not end them; the restore waits for them to leave"
        ));
    }
    Ok(Some(Existing { size: row.number(2) }))
}

/// `shop_restoring_…` and `shop_before_…`, within PostgreSQL's limit, and the latter not taken yet.
async fn names(session: &mut Session, database: &str, run: &RunId) -> Result<Names, PgError> {
    let body = run.as_str().rsplit('_').next().unwrap_or(run.as_str());
    let short = &body[body.len().saturating_sub(10)..];
    let restoring = fitted(database, &format!("_restoring_{short}"));
    let rows = session.rows("select datname from pg_database", "listing the databases").await?;
    let taken: BTreeSet<String> = rows.iter().map(|row| row.text(0)).collect();
    let mut before = fitted(database, &format!("_before_{short}"));
    for number in 2.. {
        if !taken.contains(&before) {
            break;
        }
        before = fitted(database, &format!("_before_{short}_{number}"));
    }
    Ok(Names { database: database.into(), restoring, before })
}

/// The name, shortened between two characters so that the ending fits.
fn fitted(name: &str, ending: &str) -> String {
    let mut room = LONGEST_NAME.saturating_sub(ending.len()).min(name.len());
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    format!("{}{ending}", &name[..room])
}

impl PgRestore {
    /// What no checkpoint would hold, were none taken before: the database as it is now, though it is kept beside.
    #[must_use]
    pub fn would_lose(&self) -> Vec<String> {
        let Some(existing) = &self.existing else { return Vec::new() };
        vec![format!(
            "the database {} as it is now ({}) would be in no checkpoint; only the renamed database {} would hold it",
            self.names.database,
            holdfast_model::size::display(existing.size),
            self.names.before
        )]
    }

    /// Restores beside, compares, switches.
    ///
    /// # Errors
    /// Whatever stopped it; before the switch nothing has changed but a new database, which is dropped again. It can be
    /// run again after any failure.
    pub async fn carry_out(self, scratch: &Path, ctx: &Context) -> Result<PgRestored, PgError> {
        let mut session = self.maintenance.connect().await?;
        let outcome = cancellable(ctx, self.restore_beside(&mut session, scratch, ctx)).await;
        let outcome = match outcome {
            Ok(warnings) => self.switch(&mut session).await.map(|()| warnings),
            Err(error) => Err(error),
        };
        let warnings = match outcome {
            Ok(warnings) => warnings,
            Err(error) => {
                // A cancelled session may be in the middle of something: a fresh one cleans up.
                drop(session);
                let mut session = self.maintenance.connect().await?;
                if let Err(left) = session.try_run(self.drop_restoring()).await {
                    let message = format!("the database {} could not be dropped: {left}", self.names.restoring);
                    ctx.log(Level::Warning, Some(&self.component), message);
                }
                session.close().await;
                return Err(error);
            }
        };
        let size = format!("select pg_database_size({})::text", literal(&self.names.before));
        let kept_as = match &self.existing {
            Some(existing) => {
                let size = session.row(size, "asking for its size").await.map_or(existing.size, |row| row.number(0));
                Some((self.names.before.clone(), size))
            }
            None => None,
        };
        session.close().await;
        Ok(PgRestored { kept_as, warnings, bytes: self.sealed.dump.size })
    }

    fn drop_restoring(&self) -> String {
        format!("drop database if exists {} with (force)", identifier(&self.names.restoring))
    }

    /// Creates the new database, restores into it, compares it, and gives it its settings and grants.
    async fn restore_beside(
        &self,
        session: &mut Session,
        scratch: &Path,
        ctx: &Context,
    ) -> Result<Vec<String>, PgError> {
        let restoring = self.names.restoring.as_str();
        let mut warnings = self.warnings.clone();
        std::fs::create_dir_all(scratch).map_err(|error| PgError::io(scratch, error))?;
        check_space(scratch, self.sealed.dump.size.saturating_add(16_000_000))?;
        let file = tempfile::Builder::new()
            .prefix("restore-")
            .tempdir_in(scratch)
            .map_err(|error| PgError::io(scratch, error))?;
        let dump = file.path().join("dump.pgc");
        self.sealed.write_to(&dump).await?;

        let place = self.target.other(restoring);
        let rights = self.fill(session, &place, &dump, &mut warnings).await?;
        ctx.log(Level::Info, Some(&self.component), format!("restored into {restoring}; comparing it with the ledger"));
        let found = read_back(&place).await?;
        let left_out = |key: &str| {
            let of_rights = ["owner of ", "grants on ", "default acl "];
            rights != Rights::All && of_rights.iter().any(|word| key.starts_with(word))
        };
        let checks = compare(&self.component, &self.ledger, &found, &left_out, self.same_major, self.same_major);
        let wrong: Vec<String> =
            checks.iter().filter(|c| !c.passed).filter_map(|c| c.message.clone()).take(5).collect();
        if !wrong.is_empty() {
            return Err(PgError::Refused(format!(
                "the restored database is not equal to the checkpoint, so nothing was switched: {}",
                wrong.join("; ")
            )));
        }
        let all = self.sealed.database.settings_for(restoring).into_iter();
        for statement in all.chain(self.sealed.database.grants_for(restoring)) {
            if let Err(error) = session.try_run(statement.clone()).await {
                let said = error.as_database_error().map_or_else(|| error.to_string(), |e| e.message().to_owned());
                warnings.push(format!("not put back ({said}): {}", statement.replace(restoring, &self.names.database)));
            }
        }
        Ok(warnings)
    }

    /// Makes the new database and restores into it, with as much of owners and grants as the role may put back. To own
    /// a table a role needs CREATE on its schema already then, which a dump grants only at its end: so a role that is no
    /// superuser may fail with what it was allowed to own, and is tried again without.
    async fn fill(
        &self,
        session: &mut Session,
        place: &Target,
        dump: &Path,
        warnings: &mut Vec<String>,
    ) -> Result<Rights, PgError> {
        const REFUSALS: [&str; 3] = ["permission denied", "must be owner", "must be member"];
        let restoring = self.names.restoring.as_str();
        let mut rights = self.rights;
        loop {
            session.run(self.drop_restoring(), "dropping what an earlier attempt left").await?;
            let create = self.sealed.database.create(restoring, self.owner.as_deref());
            session.run(create, "creating the new database").await?;
            let mut program = place.equip(self.install.program("pg_restore")).args([
                "--exit-on-error",
                "--no-tablespaces",
                "--no-subscriptions",
                "--no-password",
                JOBS,
                "-d",
                restoring,
            ]);
            if rights != Rights::All {
                program = program.arg("--no-owner");
            }
            if rights == Rights::Nothing {
                program = program.arg("--no-privileges");
            }
            let error = match run_restore(program.arg(dump)).await {
                Ok(()) => return Ok(rights),
                Err(error) => error,
            };
            let refused =
                matches!(&error, PgError::Tool { message, .. } if REFUSALS.iter().any(|r| message.contains(r)));
            if self.superuser || !refused {
                return Err(error);
            }
            let user = self.target.user();
            rights = match rights {
                Rights::All => {
                    warnings.push(format!("owners could not be put back, so all belongs to {user} ({error})"));
                    Rights::Grants
                }
                Rights::Grants => {
                    warnings.push(format!("grants could not be put back ({error})"));
                    Rights::Nothing
                }
                Rights::Nothing => return Err(error),
            };
        }
    }

    /// Closes the old one, ends its sessions, and renames both in one transaction: at no moment is there no database
    /// of the name for longer than a commit takes.
    async fn switch(&self, session: &mut Session) -> Result<(), PgError> {
        let (database, before) = (identifier(&self.names.database), identifier(&self.names.before));
        let rename = format!("alter database {} rename to {database}", identifier(&self.names.restoring));
        if self.existing.is_none() {
            return session.run(rename, "naming the new database").await;
        }
        session
            .run(format!("alter database {database} with allow_connections false"), "closing the old database")
            .await?;
        let switched = match self.end_sessions(session).await {
            Ok(()) => {
                let both = format!("begin; alter database {database} rename to {before}; {rename}; commit");
                session.run(both, "switching the databases").await
            }
            Err(error) => Err(error),
        };
        if switched.is_err() {
            let _ = session.try_run("rollback").await;
            let _ = session.try_run(format!("alter database {database} with allow_connections true")).await;
        }
        switched
    }

    async fn end_sessions(&self, session: &mut Session) -> Result<(), PgError> {
        let name = literal(&self.names.database);
        let mut left = String::new();
        for _ in 0..ENDING {
            let sql = format!(
                "select pid::text, coalesce(usename::text, '?'), coalesce(nullif(application_name, ''), '?')
                from pg_stat_activity where datname = {name} and backend_type is distinct from 'autovacuum worker'"
            );
            let there = session.rows(sql, "looking for sessions").await?;
            if there.is_empty() {
                return Ok(());
            }
            let one = |row: &super::target::Texts| {
                format!("{} (user {}, application {})", row.text(0), row.text(1), row.text(2))
            };
            left = there.iter().map(one).collect::<Vec<_>>().join(", ");
            for row in &there {
                // Whom we may not end, we wait for.
                let _ = session.try_run(format!("select pg_terminate_backend({})", row.number::<i32>(0))).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(PgError::Refused(format!(
            "these sessions are in the database {} and could not be ended: {left}; end them (a superuser may) and run the restore again",
            self.names.database
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::fitted;

    #[test]
    fn names_fit_into_63_bytes() {
        assert_eq!(fitted("shop", "_before_0123456789"), "shop_before_0123456789");
        let long = fitted(&"ä".repeat(31), "_before_0123456789");
        assert!(long.len() <= 63 && long.ends_with("_before_0123456789"), "{long}");
    }
}
