//! What is wrong with a database or with our rights to it, told before anything is captured or restored.

use holdfast_model::secret::Secret;

use super::{
    PgError,
    capture::{install_for, refuse_pooler, version},
    drill::ask,
    target::{Session, Target},
};
use crate::{finding::Finding, tools::Tools};

const HEALTH_SECONDS: u32 = 60;

/// Whether a query gives a row whose first column is not false, zero or null.
///
/// # Errors
/// When the database cannot be asked.
pub async fn is_true(url: &Secret, sql: &str) -> Result<bool, PgError> {
    let mut session = Target::read(url)?.connect().await?;
    let answer = ask(&mut session, sql, HEALTH_SECONDS).await;
    session.close().await;
    answer
}

/// Everything that would make a capture fail (fatal), or a drill or restore (not fatal), each with its mend.
pub async fn probe(at: &str, url: &Secret, tools: &Tools) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = look(at, url, tools, &mut findings).await {
        findings.push(Finding { at: at.into(), message: error.to_string(), fatal: true });
    }
    findings
}

async fn look(at: &str, url: &Secret, tools: &Tools, findings: &mut Vec<Finding>) -> Result<(), PgError> {
    let target = Target::read(url)?;
    let mut session = target.connect().await?;
    let mut say = |fatal: bool, message: String| findings.push(Finding { at: at.into(), message, fatal });
    let (_, major) = version(&mut session).await?;
    match install_for(tools, major) {
        Ok(_) if tools.installs().iter().any(|install| install.major == major && install.has_server) => {}
        Ok(_) => say(
            false,
            format!(
                "no PostgreSQL {major} server is installed on this host, so drills stay partial; on Debian: apt install postgresql-{major}"
            ),
        ),
        Err(error) => say(true, error.to_string()),
    }
    if let Err(error) = refuse_pooler(&target, &mut session).await {
        say(true, error.to_string());
    }
    for (fatal, sql) in questions() {
        for row in session.rows(sql, "looking at rights").await? {
            say(fatal, row.text(0));
        }
    }
    restore_rights(&mut session, target.database(), &mut say).await?;
    session.close().await;
    Ok(())
}

/// Each row is a finding, in words.
fn questions() -> [(bool, &'static str); 6] {
    [
        (
            true,
            "select 'the role ' || current_user || ' may not read ' || c.oid::regclass::text || '; grant it: grant select on '
                || c.oid::regclass::text || ' to ' || quote_ident(current_user)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relpersistence <> 't'
                and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
                and (not has_schema_privilege(n.oid, 'usage')
                    or not case c.relkind when 'S' then has_sequence_privilege(c.oid, 'select') else has_table_privilege(c.oid, 'select') end)
            order by 1 limit 5",
        ),
        (
            true,
            "select 'row-level security hides rows of ' || c.oid::regclass::text || ' from the role ' || current_user
                || '; give it BYPASSRLS, or take FORCE ROW LEVEL SECURITY from the table'
            from pg_class c where c.relrowsecurity and row_security_active(c.oid) order by 1 limit 5",
        ),
        (
            true,
            "select 'the role ' || current_user || ' may not read ' || count(*) || ' large objects; let their owner grant it: grant select on large object '
                || min(m.oid::text) || ' to ' || quote_ident(current_user)
            from pg_largeobject_metadata m where not pg_has_role(m.lomowner, 'usage')
                and not exists (select 1 from aclexplode(m.lomacl) a where a.privilege_type = 'SELECT'
                    and (a.grantee = 0 or pg_has_role(a.grantee, 'usage')))
                and not (select rolsuper from pg_roles where rolname = current_user)
            having count(*) > 0",
        ),
        (
            false,
            "select 'a restore makes extension ' || e.extname || ' anew, which only a superuser may: have one create it in template1, or restore by a superuser'
            from pg_extension e join pg_available_extension_versions v on v.name = e.extname and v.version = e.extversion
            where e.extname <> 'plpgsql' and v.superuser and not v.trusted and not (select rolsuper from pg_roles where rolname = current_user)",
        ),
        (
            false,
            "select 'the replication slot ' || slot_name || ' is bound to this database and would stay with the old one after a restore; make it anew then'
            from pg_replication_slots where database = current_database()",
        ),
        (
            false,
            "select distinct 'objects of the database belong to ' || pg_get_userbyid(c.relowner) || ', of which ' || current_user
                || ' is no member: a restore gives them to ' || current_user || '; or: grant ' || quote_ident(pg_get_userbyid(c.relowner)) || ' to ' || quote_ident(current_user)
            from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
                and not exists (select 1 from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
                and not pg_has_role(c.relowner, 'member')",
        ),
    ]
}

/// Whether the role can create a database beside this one and rename both.
async fn restore_rights(
    session: &mut Session,
    database: &str,
    say: &mut impl FnMut(bool, String),
) -> Result<(), PgError> {
    let row = session
        .row(
            "select rolsuper or rolcreatedb, current_user,
                (select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()),
                (select quote_ident(pg_get_userbyid(datdba)) from pg_database where datname = current_database())
            from pg_roles where rolname = current_user",
            "looking at rights",
        )
        .await?;
    let (user, owner) = (super::target::identifier(&row.text(1)), row.text(3));
    if !row.is(0) {
        say(
            false,
            format!(
                "the role {user} may not create databases, so a restore will be refused; as a superuser: alter role {user} createdb"
            ),
        );
    }
    if !row.is(2) {
        let database = super::target::identifier(database);
        say(
            false,
            format!(
                "the database belongs to {owner}, so a restore will be refused; as a superuser: alter database {database} owner to {user}"
            ),
        );
    }
    Ok(())
}
