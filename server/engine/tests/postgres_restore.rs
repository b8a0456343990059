//! Restore of a database: beside the old one, compared, switched; the old one kept; run again after failures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use holdfast_engine::postgres::{self, PgError, PgRestore, PgRestored};
use holdfast_model::{id::RunId, secret::Secret};
use support::{Bench, Checkpoint, Server, app_session, awkward};

async fn validate(bench: &Bench, sealed: &Checkpoint, url: &Secret, run: u64) -> Result<PgRestore, PgError> {
    let run = RunId::from_parts(1_700_000_000_000, run);
    postgres::validate_restore(&bench.vault, &sealed.dir, &sealed.component, url, &run, &bench.tools).await
}

async fn restore(bench: &Bench, sealed: &Checkpoint, url: &Secret, run: u64) -> Result<PgRestored, PgError> {
    validate(bench, sealed, url, run).await?.carry_out(&bench.scratch(), &bench.ctx).await
}

const OF_THE_DATABASE: &str = "select pg_get_userbyid(datdba) || ' ' || pg_encoding_to_char(encoding) || ' ' || datcollate || ' '
    || datconnlimit || ' ' || coalesce(shobj_description(oid, 'pg_database'), '')
    || (select string_agg(a::text, ' ' order by a::text) from aclexplode(datacl) a)
    || (select string_agg(setrole::regrole::text || setconfig::text, ' ' order by setrole) from pg_db_role_setting where setdatabase = oid)
    from pg_database where datname = 'shop'";

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_and_a_dropped_database_are_put_back() {
    let server = Server::ready().await;
    awkward(&server).await;
    server
        .sql(
            "postgres",
            "create role reader login; create role \"Odd role\"; grant \"Odd role\" to app;
            alter database shop set search_path = app, \"$user\", public; alter database shop set work_mem = '7MB';
            alter role app in database shop set statement_timeout = '90s';
            revoke all on database shop from public; grant connect on database shop to reader;
            comment on database shop is 'the shop''s'; alter database shop connection limit 40",
        )
        .await;
    server.sql("shop", "alter table app.cache owner to \"Odd role\"; grant select on app.orders to reader").await;
    let bench = Bench::new().await;
    let url = server.app("shop");
    let sealed = bench.checkpoint(&url).await.unwrap();
    let before = server.ask("shop", OF_THE_DATABASE).await;

    // The bad migration, and a session of the application that is still there.
    server
        .sql(
            "shop",
            "alter table app.orders drop column amount cascade; delete from app.log; create table app.new (a int)",
        )
        .await;
    let mut lingering = app_session(&server, "shop").await;
    let validated = validate(&bench, &sealed, &url, 1).await.unwrap();
    assert_eq!(validated.would_lose().len(), 1);
    let restored = validated.carry_out(&bench.scratch(), &bench.ctx).await.unwrap();
    let (kept, size) = restored.kept_as.clone().unwrap();
    assert!(kept.starts_with("shop_before_") && size > 1_000_000, "{kept} {size}");
    assert_eq!(restored.warnings.len(), 1, "{:?}", restored.warnings);
    assert!(restored.warnings[0].contains("all belongs to app"), "{:?}", restored.warnings);
    assert_eq!(server.ask("shop", "select has_table_privilege('reader', 'app.orders', 'select')").await, "t");
    let ended = sqlx::raw_sql("select 1").execute(&mut lingering).await;
    assert!(ended.is_err(), "the application's session in the old database has been ended");
    assert_eq!(server.ask("shop", "select count(amount) from app.orders").await, "3001");
    assert_eq!(server.ask("shop", OF_THE_DATABASE).await, before);
    server.sql("postgres", &format!("alter database {kept} allow_connections true")).await;
    assert_eq!(server.ask(&kept, "select count(*) from app.new").await, "0", "the old one is as it was");

    // Equal to the checkpoint: a new one of it has the same ledger.
    let again = bench.checkpoint(&url).await.unwrap();
    assert_eq!(again.component.ledger.unwrap().tables, sealed.component.ledger.clone().unwrap().tables);

    // Dropped altogether.
    server.sql("postgres", "drop database shop with (force)").await;
    let restored = restore(&bench, &sealed, &url, 2).await.unwrap();
    assert_eq!(restored.kept_as, None);
    assert_eq!(server.ask("shop", OF_THE_DATABASE).await, before);
    assert!(postgres::is_true(&url, "select count(*) = 3001 from app.orders").await.unwrap());
    assert!(!postgres::is_true(&url, "select 0").await.unwrap());

    // Run again with the same run, as after a crash, with what an earlier attempt left lying about.
    server.sql("postgres", "create database shop_restoring_0000000003 owner app").await;
    restore(&bench, &sealed, &url, 3).await.unwrap();
    restore(&bench, &sealed, &url, 3).await.unwrap();
    let names = "select string_agg(datname, ' ' order by datname) from pg_database where datname like 'shop%'";
    let names = server.ask("postgres", names).await;
    assert!(!names.contains("restoring"), "{names}");
    assert_eq!(names.matches("before").count(), 3, "{names}");
    assert!(std::fs::read_dir(bench.scratch()).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_stop_a_restore_is_said_before_it_begins() {
    let server = Server::ready().await;
    server.sql("postgres", "create role other").await;
    server
        .sql("shop", "create table t (a int); insert into t values (1); alter table t owner to other; grant select on t to app; grant usage on schema public to app")
        .await;
    let bench = Bench::new().await;
    let url = server.app("shop");
    let sealed = bench.checkpoint(&url).await.unwrap();

    // Owners that the role may not give things to: said, and restored as its own.
    let restored = restore(&bench, &sealed, &url, 1).await.unwrap();
    assert!(
        restored.warnings.iter().any(|line| line.contains("grant \"other\" to \"app\"")),
        "{:?}",
        restored.warnings
    );
    assert_eq!(server.ask("shop", "select pg_get_userbyid(relowner) from pg_class where relname = 't'").await, "app");

    let refused = |result: Result<PgRestore, PgError>| result.err().unwrap().to_string();
    server.sql("postgres", "alter role app nocreatedb").await;
    let said = refused(validate(&bench, &sealed, &url, 2).await);
    assert!(said.contains("alter role \"app\" createdb"), "{said}");
    let findings = postgres::probe("x", &url, &bench.tools).await;
    assert!(findings.iter().any(|f| !f.fatal && f.message.contains("createdb")), "{findings:?}");
    server.sql("postgres", "alter role app createdb").await;

    server.sql("postgres", "alter database shop owner to postgres; grant connect on database shop to app").await;
    let said = refused(validate(&bench, &sealed, &url, 2).await);
    assert!(said.contains("alter database \"shop\" owner to \"app\""), "{said}");
    server.sql("postgres", "alter database shop owner to app").await;

    server.sql("postgres", "alter role other rename to gone").await;
    match validate(&bench, &sealed, &url, 2).await.err().unwrap() {
        PgError::MissingRoles { roles, mend } => {
            assert_eq!((roles.as_str(), mend.as_str()), ("`other`", "create role \"other\""));
        }
        other => panic!("{other}"),
    }
    server.sql("postgres", "alter role gone rename to other").await;

    server.sql("shop", "begin; insert into t values (2); prepare transaction 'p'").await;
    let said = refused(validate(&bench, &sealed, &url, 2).await);
    assert!(said.contains("prepared transactions"), "{said}");
    server.sql("shop", "rollback prepared 'p'").await;

    // A session that the role may not end: nothing is switched, and the database is open again.
    let intruder = server.session("shop").await;
    let said = restore(&bench, &sealed, &url, 4).await.err().unwrap().to_string();
    assert!(said.contains("user postgres"), "{said}");
    drop(intruder);
    assert_eq!(server.ask("shop", "select count(*) from t").await, "1");
    assert_eq!(server.ask("postgres", "select count(*) from pg_database where datname like '%restoring%'").await, "0");

    // The sealed copy is not what the manifest says: nothing is switched either.
    server.sql("shop", "insert into t values (3)").await;
    let other = bench.checkpoint(&url).await.unwrap();
    let wrong = Checkpoint { component: sealed.component.clone(), ..other };
    let said = restore(&bench, &wrong, &url, 5).await.err().unwrap().to_string();
    assert!(said.contains("nothing was switched") && said.contains("public.t had 1 rows and has 2"), "{said}");
    assert_eq!(server.ask("shop", "select count(*) from t").await, "2");
}
