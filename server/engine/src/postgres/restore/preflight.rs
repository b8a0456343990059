//! Everything that could stop a restore in the middle, looked at before it begins.

use std::collections::BTreeSet;

use holdfast_model::{
    id::RunId,
    manifest::{Facts, ManifestComponent},
    secret::Secret,
};
use holdfast_vault::{TreeId, Vault};

use super::{Existing, Names, PgRestore, Rights};
use crate::{
    postgres::{
        PgError,
        archive::{self, Entry},
        capture::{blocking, version},
        copy::Sealed,
        target::{Session, Target, identifier, literal},
    },
    tools::Tools,
};

/// PostgreSQL's limit of a name, in bytes.
const LONGEST_NAME: usize = 63;
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
    let Facts::Postgres { major: sealed_major, server: sealed_server, roles, .. } = &component.facts else {
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

    let (server, major) = version(&mut session).await?;
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
        server: (server, sealed_server.clone()),
    })
}

/// Whether the database of a URL may be filled: it is not there, or nothing is in it.
///
/// # Errors
/// [`PgError::Refused`] says what is in it.
pub async fn refuse_filled(url: &Secret) -> Result<(), PgError> {
    const OWN: &str = "not in ('pg_catalog', 'information_schema', 'pg_toast') and n.nspname !~ '^pg_temp_'";
    let target = Target::read(url)?;
    let mut session = match target.connect().await {
        Ok(session) => session,
        Err(PgError::NoSuchDatabase { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    // What an extension brought with it is nobody's data.
    let of = |table: &str, schema: &str| {
        format!(
            "(select count(*)::text from {table} o join pg_namespace n on n.oid = o.{schema} where n.nspname {OWN}
            and not exists (select from pg_depend d where d.objid = o.oid and d.classid = '{table}'::regclass and d.deptype = 'e'))"
        )
    };
    let sql = format!(
        "select {}, {}, (select count(*)::text from pg_largeobject_metadata)",
        of("pg_catalog.pg_class", "relnamespace"),
        of("pg_catalog.pg_proc", "pronamespace")
    );
    let row = session.row(sql, "looking whether the database is empty").await?;
    session.close().await;
    let counts: [u64; 3] = [row.number(0), row.number(1), row.number(2)];
    if counts == [0, 0, 0] {
        return Ok(());
    }
    Err(PgError::Refused(format!(
        "the database {} at {} is not empty: it has {} tables, indexes and the like, {} functions and {} large objects; name one that is empty or not there, or say --replace-database, which keeps it under another name",
        target.database(),
        target.place(),
        counts[0],
        counts[1],
        counts[2]
    )))
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
