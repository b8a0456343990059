//! Restore: beside the old database, compared, then switched by two renames in one transaction. The old one is kept.

mod plan;
mod preflight;

use std::{path::Path, time::Duration};

use holdfast_model::{event::Level, ledger::Ledger};

use super::{
    PgError,
    capture::cancellable,
    cluster::check_space,
    compare::compare,
    copy::{JOBS, Sealed, read_back, run_restore},
    install::PgInstall,
    target::{Session, Target, Texts, identifier, literal},
};
use crate::context::Context;

pub use preflight::{refuse_filled, validate_restore};

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
    /// Versions of the server and of the checkpoint's.
    server: (String, String),
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
            let one = |row: &Texts| format!("{} (user {}, application {})", row.text(0), row.text(1), row.text(2));
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
