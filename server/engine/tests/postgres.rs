//! Capture and drill of a real PostgreSQL database: whole, while it is written to, and when things go wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdfast_engine::postgres::{self, PgError};
use holdfast_model::{manifest::Facts, secret::Secret, state::Proof};
use support::{Bench, PASSWORD, Server, assert_proven, awkward, run};

#[tokio::test(flavor = "multi_thread")]
async fn an_awkward_database_is_proven_and_says_what_it_does_not_cover() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    assert_eq!(postgres::probe("components[0].url", &server.app("shop"), &bench.tools).await, vec![]);
    let checkpoint = bench.checkpoint(&server.app("shop")).await.unwrap();
    let ledger = checkpoint.component.ledger.clone().unwrap();
    assert_eq!(ledger.tables["app.orders"].rows, 3001);
    assert_eq!(ledger.tables["app.base"].rows, 1, "a parent does not count its children");
    assert_eq!(ledger.tables["app.secret"].rows, 2, "row-level security hides nothing from the owner");
    assert_eq!(ledger.large_objects.as_ref().unwrap().rows, 2);
    assert!(ledger.tables.keys().any(|key| key.contains("Tä ble.with")));
    let not_covered = &checkpoint.component.not_covered;
    assert!(not_covered.iter().any(|line| line.contains("app.daily")), "{not_covered:?}");
    let Facts::Postgres { owner, roles, globals, .. } = &checkpoint.component.facts else { panic!("other facts") };
    assert_eq!((owner.as_str(), roles.contains(&"app".to_owned())), ("app", true));
    assert!(globals.contains("without the roles' passwords"), "{globals}");

    let drill = bench.drill(&checkpoint, &["select count(*) > 3000 from app.orders"]).await;
    assert_proven(&drill);
    assert!(drill.checks.iter().any(|check| check.name == "all of: index"));
    let failed = bench.drill(&checkpoint, &["select count(*) > 9000 from app.orders"]).await;
    assert_eq!(failed.verdict, Proof::Failed);
    let left: Vec<_> = std::fs::read_dir(bench.scratch()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_checkpoints_under_a_writer_are_all_proven() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for seed in 0..3 {
        let (mut session, stop) = (server.session("shop").await, stop.clone());
        writers.push(tokio::spawn(async move {
            let mut round = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                round += 1;
                run(
                    &mut session,
                    &format!(
                        "begin;
                        insert into app.orders (customer, amount, tags) values (1 + {round} % 300, {round} % 100, array['w{seed}']);
                        update app.customer set mood = 'happy', status = 'old' where id = 1 + ({round} * 7 + {seed}) % 300;
                        delete from app.orders where id = (select min(id) from app.orders where customer = 2 + {round} % 290 and id % 3 = {seed});
                        select nextval('app.down') where {round} % 50 = 0 and (select last_value from app.down) > -90;
                        insert into app.log values (now(), 'w'); commit"
                    ),
                )
                .await;
            }
            round
        }));
    }
    for round in 0..10 {
        let checkpoint = bench.checkpoint(&server.app("shop")).await.unwrap_or_else(|error| panic!("{round}: {error}"));
        assert_proven(&bench.drill(&checkpoint, &[]).await);
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        assert!(writer.await.unwrap() > 20, "the writer must have written");
    }
}

/// The worst moment: a TRUNCATE that holds its lock while the capture waits for it, and one that comes in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_truncate_never_makes_a_ledger_that_is_wrong() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Arc::new(Bench::new().await);
    let url = server.app("shop");

    // It is in flight when the tables are locked: whatever it left is what the ledger must say.
    let mut other = server.session("shop").await;
    run(&mut other, "begin; truncate app.log; insert into app.log values ('2025-06-01', 'after')").await;
    let holding = tokio::spawn({
        let (bench, url) = (bench.clone(), url.clone());
        async move { bench.hold(&url).await }
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!holding.is_finished(), "the capture waits for the lock");
    run(&mut other, "commit").await;
    let held = holding.await.unwrap().unwrap();

    // And one more comes after the snapshot: it has to wait until the dump is done.
    let truncating = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        run(&mut other, "truncate app.orders").await;
    });
    let checkpoint = bench.stream(held).await.unwrap();
    let tables = checkpoint.component.ledger.clone().unwrap().tables;
    assert_eq!((tables["app.log_2025"].rows, tables["app.log_rest"].rows), (1, 0));
    assert_eq!(tables["app.orders"].rows, 3001);
    assert_proven(&bench.drill(&checkpoint, &["select count(*) = 1 from app.log"]).await);
    truncating.await.unwrap();
}

/// The same, hundreds of times at moments that nobody chose: a table that is never empty to a reader must never be
/// empty in a proven checkpoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_emptied_and_filled_all_the_time_is_never_sealed_empty() {
    let server = Server::ready().await;
    server
        .sql("shop", "create table t (a int); insert into t select generate_series(1, 10); alter table t owner to app")
        .await;
    let bench = Bench::new().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (mut session, stop) = (server.session("shop").await, stop.clone());
        async move {
            while !stop.load(Ordering::Relaxed) {
                run(&mut session, "begin; truncate t; insert into t select generate_series(1, 10); commit").await;
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
    });
    let mut sealed = 0;
    for _ in 0..5 {
        match bench.checkpoint(&server.app("shop")).await {
            Ok(checkpoint) => {
                sealed += 1;
                assert_eq!(checkpoint.component.ledger.unwrap().tables["public.t"].rows, 10);
            }
            // To give up and say so is right; to be wrong is not.
            Err(PgError::Restless { .. } | PgError::Locked { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sealed > 0, "at least one must have come through");
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_says_which_it_is_and_keeps_the_password() {
    let mut server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    let text = |error: PgError| {
        let text = format!("{error} {error:?}");
        assert!(!text.contains("s3cr3t"), "{text}");
        error
    };
    let prepare = |url: Secret| {
        let bench = &bench;
        async move { bench.prepare(&url).await.err().map(text) }
    };
    assert!(matches!(prepare(server.url("app", "s3cr3t wrong", "shop")).await, Some(PgError::WrongPassword { .. })));
    assert!(matches!(prepare(server.app("nothing")).await, Some(PgError::NoSuchDatabase { .. })));
    let nobody = Secret::new(format!("postgres://app:{}@127.0.0.1:1/shop", "s3cr3t"));
    assert!(matches!(prepare(nobody).await, Some(PgError::Unreachable { .. })));
    assert!(matches!(prepare(Secret::new("mysql://app:s3cr3t@x/y".into())).await, Some(PgError::BadUrl { .. })));

    // A table that somebody holds is named, and who holds it.
    let mut other = server.session("shop").await;
    run(&mut other, "set application_name = 'migration 17'; begin; lock table app.orders").await;
    match bench.hold(&server.app("shop")).await.err() {
        Some(PgError::Locked { table, by, .. }) => {
            assert_eq!(table, "app.orders");
            assert!(by.contains("migration 17"), "{by}");
        }
        other => panic!("{other:?}"),
    }
    run(&mut other, "rollback").await;

    // A table that may not be read is named with the mend, before and at the capture.
    server.sql("shop", "create table public.theirs (a int)").await;
    let findings = postgres::probe("x", &server.app("shop"), &bench.tools).await;
    assert!(findings.iter().any(|f| f.fatal && f.message.contains("grant select on public.theirs")), "{findings:?}");
    match bench.hold(&server.app("shop")).await.err() {
        Some(PgError::NoPrivilege { what, .. }) => assert!(what.contains("theirs"), "{what}"),
        other => panic!("{other:?}"),
    }
    server.sql("shop", "drop table public.theirs").await;

    // Forced row-level security would hide rows: an error, not fewer rows.
    server.sql("shop", "alter table app.secret force row level security").await;
    match bench.checkpoint(&server.app("shop")).await.err() {
        Some(PgError::NoPrivilege { mend, .. }) => assert!(mend.contains("BYPASSRLS"), "{mend}"),
        other => panic!("{other:?}"),
    }
    server.sql("shop", "alter table app.secret no force row level security").await;

    // The server goes in the middle of the dump.
    server
        .sql("shop", "insert into app.log select '2025-06-01', repeat('x', 1000) from generate_series(1, 100000)")
        .await;
    let held = bench.hold(&server.app("shop")).await.unwrap();
    let (streamed, ()) = tokio::join!(bench.stream(held), async {
        tokio::time::sleep(Duration::from_millis(120)).await;
        tokio::task::block_in_place(|| server.kill());
    });
    match streamed.err().map(text) {
        Some(PgError::Gone { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        bench.prepare(&server.url("app", PASSWORD, "shop")).await.err(),
        Some(PgError::Unreachable { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_capture_and_a_cancelled_drill_leave_nothing() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    let checkpoint = bench.checkpoint(&server.app("shop")).await.unwrap();
    let held = bench.hold(&server.app("shop")).await.unwrap();
    let scratch = bench.open_scratch();
    let accept = holdfast_engine::Accept::default();
    let drilling = postgres::drill(
        &bench.vault,
        &checkpoint.dir,
        &checkpoint.component,
        &[],
        &accept,
        &scratch,
        &bench.tools,
        &bench.ctx,
    );
    let cancelling = async {
        while !support::has_below(&scratch, "postmaster.pid") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bench.ctx.cancel.cancel();
        std::future::pending::<()>().await;
    };
    let drilled = tokio::select! {
        drilled = drilling => drilled,
        () = cancelling => unreachable!(),
    };
    assert!(matches!(drilled, Err(PgError::Cancelled)), "{drilled:?}");
    assert!(matches!(bench.stream(held).await.err(), Some(PgError::Cancelled)));
    assert!(std::fs::read_dir(&scratch).unwrap().next().is_none());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let left =
        server.ask("postgres", "select count(*) from pg_stat_activity where application_name like 'holdfast%'").await;
    assert_eq!(left, "0");
}

/// A pooler in transaction mode is named before anything is taken through it; one in session mode does no harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_in_transaction_mode_is_refused() {
    let server = Server::ready().await;
    server.sql("shop", "create table t (a int); insert into t values (1); alter table t owner to app").await;
    let bench = Bench::new().await;
    let pooler = support::Pooler::start(&server, "transaction").await;
    match bench.prepare(&pooler.app("shop")).await.err() {
        Some(error @ PgError::Pooled { .. }) => assert!(error.to_string().contains("PgBouncer"), "{error}"),
        other => panic!("{other:?}"),
    }
    drop(pooler);
    let pooler = support::Pooler::start(&server, "session").await;
    let checkpoint = bench.checkpoint(&pooler.app("shop")).await.unwrap();
    assert_proven(&bench.drill(&checkpoint, &[]).await);
}
