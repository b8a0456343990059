//! The tables of a sealed PostgreSQL database, looked through from the dump alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use holdfast_engine::{
    Context,
    tables::{self, PAGE, REACH, Rows, TablesError, TablesWork},
};
use support::{Bench, Server};

/// The superuser may come in by its password too.
const LOGIN: &str = "alter role postgres password 's3cr3t p@ss/word';";

struct Look {
    // Neither the server nor the vault may go before it.
    _server: Server,
    _bench: Bench,
    work: TablesWork,
    ctx: Context,
    scratch: tempfile::TempDir,
}

impl Look {
    /// What `sql` makes, sealed.
    async fn at(sql: &str) -> Self {
        let server = Server::ready().await;
        server.sql("shop", LOGIN).await;
        server.sql("shop", sql).await;
        let bench = Bench::new().await;
        let sealed = bench.checkpoint(&server.url("postgres", support::PASSWORD, "shop")).await.unwrap();
        let end = bench.end(&sealed).await;
        let scratch = tempfile::tempdir().unwrap();
        let component = sealed.component.name.clone();
        let work = TablesWork { end, component, scratch: scratch.path().to_path_buf() };
        let ctx = bench.ctx.clone();
        Self { _server: server, _bench: bench, work, ctx, scratch }
    }

    async fn rows(&self, schema: &str, table: &str, from: u64) -> Result<Rows, TablesError> {
        let found = tables::rows(self.work.clone(), schema, table, from, &self.ctx).await;
        assert!(std::fs::read_dir(self.scratch.path()).unwrap().next().is_none(), "something was left");
        found
    }
}

fn cells(row: &[Option<String>]) -> Vec<&str> {
    row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_listed_and_its_rows_come_page_by_page() {
    let look = Look::at(
        r#"
        create schema "we ird";
        create table "we ird"."Odd.Name" (id int primary key, note text, password text, "apiKey" text, long text);
        insert into "we ird"."Odd.Name"
            select n, case n when 1 then E'tab\there\nline \\N back\\slash' when 2 then null when 3 then '' else 'note ' || n end,
                   'hunter2', case n when 4 then null else 'k' || n end, repeat('ü', 2500) from generate_series(1, 130) n;
        create table whole (at date, what text) partition by range (at);
        create table part partition of whole for values from ('2026-01-01') to ('2027-01-01');
        insert into whole values ('2026-11-22', 'x');
        create table nothing ();
        insert into nothing default values;
        create table none (id int);
        "#,
    )
    .await;
    let list = tables::list(look.work.clone(), &look.ctx).await.unwrap();
    let told: Vec<_> = list
        .iter()
        .map(|t| {
            (format!("{}.{}", t.schema, t.name), t.rows, t.columns.join(","), t.closed.clone().unwrap_or_default())
        })
        .collect();
    let line =
        |name: &str, rows, columns: &str, closed: &str| (name.to_owned(), rows, columns.to_owned(), closed.to_owned());
    assert_eq!(
        told,
        [
            line("public.none", Some(0), "id", ""),
            line("public.nothing", Some(1), "", ""),
            line("public.part", Some(1), "at,what", ""),
            line("we ird.Odd.Name", Some(130), "id,note,password,apiKey,long", ""),
        ]
    );

    let first = look.rows("we ird", "Odd.Name", 0).await.unwrap();
    assert_eq!((first.rows.len(), first.more, first.total), (PAGE, true, Some(130)));
    assert_eq!(first.key, ["id"]);
    assert_eq!(first.masked, ["password", "apiKey"]);
    let long = format!("{}…", "ü".repeat(2000));
    assert_eq!(cells(&first.rows[0]), ["1", "tab\there\nline \\N back\\slash", "••••", "••••", &long]);
    assert_eq!(cells(&first.rows[1])[1..4], ["NULL", "••••", "••••"]);
    assert_eq!(cells(&first.rows[2])[1], "");
    assert_eq!(cells(&first.rows[3])[3], "NULL");
    let second = look.rows("we ird", "Odd.Name", 50).await.unwrap();
    assert_eq!((cells(&second.rows[0])[0], second.rows.len(), second.more), ("51", PAGE, true));
    let last = look.rows("we ird", "Odd.Name", 100).await.unwrap();
    assert_eq!((cells(&last.rows[29])[0], last.rows.len(), last.more), ("130", 30, false));
    let beyond = look.rows("we ird", "Odd.Name", REACH + 7).await.unwrap();
    assert_eq!((beyond.rows.len(), beyond.more, beyond.ended), (0, false, None));
    let empty = look.rows("public", "nothing", 0).await.unwrap();
    assert_eq!((empty.rows, empty.more), (vec![vec![]], false));
    assert_eq!(look.rows("public", "none", 0).await.unwrap().rows.len(), 0);

    for (schema, table) in [("public", "orders"), ("we ird", "odd.name"), ("", "none")] {
        let error = look.rows(schema, table, 0).await.unwrap_err();
        assert!(matches!(error, TablesError::NoSuchTable { .. }), "{error}");
    }
    let other = TablesWork { component: "uploads".parse().unwrap(), ..look.work.clone() };
    let error = tables::list(other, &look.ctx).await.unwrap_err();
    assert!(matches!(error, TablesError::NoSuchComponent(_)), "{error}");
    look.ctx.cancel.cancel();
    assert!(matches!(look.rows("we ird", "Odd.Name", 0).await, Err(TablesError::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_bounded_whatever_the_rows_are() {
    let columns: Vec<String> = (0..40).map(|n| format!("c{n} text default repeat('x', 3000)")).collect();
    let look = Look::at(&format!(
        "create table wide (id int, {});
         insert into wide select n from generate_series(1, 200) n;
         create table heavy (id int, body text);
         alter table heavy alter body set storage external;
         insert into heavy select n, repeat('y', 60000000) from generate_series(1, 5) n;",
        columns.join(", ")
    ))
    .await;
    // A page ends early where its cells are large, and the next one goes on there.
    let wide = look.rows("public", "wide", 0).await.unwrap();
    assert!(wide.more && wide.rows.len() < PAGE && wide.rows.len() > 5, "{}", wide.rows.len());
    let next = look.rows("public", "wide", wide.rows.len() as u64).await.unwrap();
    assert_eq!(next.rows[0][0], Some((wide.rows.len() + 1).to_string()));

    // Rows behind more data than is read for a page are out of reach, which is said.
    let heavy = look.rows("public", "heavy", 0).await.unwrap();
    assert_eq!((heavy.rows.len(), heavy.more, heavy.total), (4, true, Some(5)));
    let behind = look.rows("public", "heavy", 4).await.unwrap();
    assert_eq!((behind.rows.len(), behind.more), (0, false));
    assert!(behind.ended.unwrap().contains("256.0 MB"));
}
