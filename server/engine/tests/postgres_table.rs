//! One table put back into a live database: what is planned, each mode, and that nothing else is touched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use holdfast_engine::postgres::{PgError, TablePlan, TableRestored, TableWork, plan_table, sweep_staging};
use holdfast_model::{
    id::RunId,
    table::{TableMode, TableReport},
};
use support::{Bench, Checkpoint, Server};

/// A shop whose orders refer to customers and are referred to by lines, with everything that a table may have.
const SHOP: &str = "
    alter role postgres password 's3cr3t p@ss/word'; create schema app;
    create type app.state as enum ('new', 'paid');
    create table app.customers (id int primary key, name text);
    create function app.stamp() returns trigger language plpgsql as $f$ begin new.touched = 'by trigger'; return new; end $f$;
    create table app.orders (
        id serial primary key, customer int not null references app.customers, state app.state not null default 'new',
        total numeric(10, 2) not null check (total >= 0), note text, touched text default 'never',
        double numeric generated always as (total * 2) stored, row_no bigint generated always as identity unique
    );
    create index orders_note on app.orders (note) where note is not null;
    create trigger stamp before insert or update on app.orders for each row execute function app.stamp();
    create table app.lines (id int primary key, order_id int references app.orders on delete cascade, what text);
    alter table app.orders enable row level security;
    create policy all_of_them on app.orders using (true);
    create policy by_order on app.lines using (exists (select 1 from app.orders o where o.id = order_id));
    comment on column app.orders.note is E'a\\nnote'; grant select on app.orders to app;
    create table app.plain (a int, b text);
    create table app.log (at date, line text) partition by range (at);
    create table app.log_old partition of app.log for values from ('2000-01-01') to ('2030-01-01');
    create table app.notes (id int primary key, what text, more text default 'none');
    create view app.more as select id, more from app.notes; grant select on app.more to app;
    create view app.most as select id from app.more where more > 'b';
    insert into app.notes select i, 'w' || i, 'm' || i from generate_series(1, 9) i;
    insert into app.customers select i, 'c' || i from generate_series(1, 10) i;
    insert into app.orders (customer, total, note) select 1 + i % 10, i, case when i % 3 = 0 then null else E'n\\t' || i end from generate_series(1, 200) i;
    insert into app.lines select i, i, 'l' from generate_series(1, 50) i;
    insert into app.plain values (1, 'x'), (1, 'x'), (2, null);
    insert into app.log select '2020-01-01'::date + i, 'l' from generate_series(1, 20) i;
";
const STAGING: &str =
    "select string_agg(nspname, ' ' order by nspname) from pg_namespace where nspname like 'holdfast%'";
const ALL: &str = "select md5(string_agg(o::text, '#' order by id)) from app.orders o";

struct Shop {
    server: Server,
    bench: Bench,
    sealed: Checkpoint,
}

impl Shop {
    async fn open() -> Self {
        let server = Server::ready().await;
        server.sql("shop", SHOP).await;
        let bench = Bench::new().await;
        let sealed = bench.checkpoint(&server.url("postgres", support::PASSWORD, "shop")).await.unwrap();
        Self { server, bench, sealed }
    }

    async fn ask(&self, sql: &str) -> String {
        self.server.ask("shop", sql).await
    }

    async fn try_plan(&self, schema: &str, table: &str) -> Result<TablePlan, PgError> {
        let work = &TableWork {
            vault: self.bench.vault.clone(),
            dir: self.sealed.dir,
            component: self.sealed.component.clone(),
            url: self.server.url("postgres", support::PASSWORD, "shop"),
            schema: schema.into(),
            table: table.into(),
            along: Vec::new(),
            run: RunId::from_parts(1_700_000_000_000, 7),
        };
        plan_table(work, &self.bench.tools, &self.bench.ctx).await
    }

    /// The report alone.
    async fn report(&self, table: &str) -> TableReport {
        let plan = self.try_plan("app", table).await.unwrap();
        let report = plan.report.clone();
        plan.discard(&self.bench.ctx).await;
        self.nothing_is_left().await;
        report
    }

    async fn restore(&self, table: &str, mode: TableMode) -> Result<TableRestored, PgError> {
        let outcome = self.try_plan("app", table).await.unwrap().carry_out(mode, &self.bench.ctx).await;
        self.nothing_is_left().await;
        outcome
    }

    async fn nothing_is_left(&self) {
        assert_eq!(self.ask("select count(*) from pg_namespace where nspname like 'holdfast%'").await, "0");
    }
}

fn counts(restored: &TableRestored) -> (u64, u64, u64, bool) {
    assert_eq!(restored.warnings, Vec::<String>::new());
    (restored.inserted, restored.updated, restored.deleted, restored.rebuilt)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_back_in_each_mode_and_later_writes_elsewhere_stay() {
    let shop = Shop::open().await;
    let before = shop.ask(ALL).await;
    let harm = "delete from app.orders where id between 101 and 110; update app.orders set note = 'harm' where id <= 5;
        insert into app.orders (customer, total, note) values (1, 5, 'later'); insert into app.customers values (11, 'later')";
    shop.server.sql("shop", harm).await;
    let report = shop.report("orders").await;
    assert_eq!((report.then, report.now, report.only_then, report.only_now, report.changed), (200, 191, 10, 1, 5));
    assert_eq!((report.structure, report.broken, report.refused.len()), (vec![], vec![], 0));

    let done = shop.restore("orders", TableMode::Insert).await.unwrap();
    assert_eq!(counts(&done), (10, 0, 0, false));
    assert_eq!(
        shop.ask("select count(*) || ' ' || count(*) filter (where note = 'harm') from app.orders").await,
        "201 5"
    );
    let done = shop.restore("orders", TableMode::Overwrite).await.unwrap();
    assert_eq!(counts(&done), (0, 5, 0, false));
    assert_eq!(shop.ask("select count(*) from app.orders where note = 'later'").await, "1");
    assert_eq!(
        shop.ask("select count(*) from app.orders where touched <> 'by trigger'").await,
        "0",
        "not by the restore"
    );
    let done = shop.restore("orders", TableMode::Replace).await.unwrap();
    assert_eq!(counts(&done), (0, 0, 1, false));
    assert_eq!(shop.ask(ALL).await, before);
    assert_eq!(shop.ask("select count(*) from app.customers").await, "11");
    // Triggers run again, the sequence goes on, and a number of the newer row is not given twice.
    shop.server.sql("shop", "insert into app.orders (customer, total) values (1, 1)").await;
    assert_eq!(shop.ask("select touched from app.orders order by id desc limit 1").await, "by trigger");
    assert_eq!(shop.ask("select max(id) > 201 from app.orders").await, "t");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_migration_is_undone_whole_or_with_later_rows_kept() {
    let shop = Shop::open().await;
    let before = shop.ask(ALL).await;
    let migration = "alter table app.orders drop column note, drop constraint orders_total_check;
        drop policy all_of_them on app.orders; create index extra on app.orders (state); revoke select on app.orders from app;
        delete from app.orders where id > 100; insert into app.orders (customer, total) values (2, 7);
        update app.lines set what = 'later' where id = 1";
    shop.server.sql("shop", migration).await;
    let report = shop.report("orders").await;
    assert_eq!((report.only_then, report.only_now), (100, 1));
    assert!(report.structure.iter().any(|line| line.contains("column note added")), "{:?}", report.structure);
    assert!(report.structure.iter().any(|line| line.starts_with("+ index orders_note")), "{:?}", report.structure);
    assert!(report.structure.iter().any(|line| line.starts_with("- index extra")), "{:?}", report.structure);
    assert!(report.warnings.iter().any(|line| line.contains("column note")), "{:?}", report.warnings);

    let done = shop.restore("orders", TableMode::Overwrite).await.unwrap();
    assert_eq!(counts(&done).0, 100);
    assert_eq!(shop.ask("select count(*) || ' ' || count(note) from app.orders").await, "201 134");
    assert_eq!(shop.ask("select count(*) from pg_indexes where indexname = 'orders_note'").await, "1");

    // Another table's policy looks into it, and would go with it.
    let said = shop.restore("orders", TableMode::Replace).await.unwrap_err().to_string();
    assert!(said.contains("policy by_order on table app.lines"), "{said}");
    shop.server.sql("shop", "drop policy by_order on app.lines").await;
    let done = shop.restore("orders", TableMode::Replace).await.unwrap();
    assert_eq!(counts(&done), (200, 0, 201, true));
    assert_eq!(shop.ask(ALL).await, before);
    let report = shop.report("orders").await;
    assert_eq!((report.structure, report.only_then + report.only_now + report.changed), (vec![], 0));
    assert_eq!(shop.ask("select what from app.lines where id = 1").await, "later");
    let foreign = "select convalidated from pg_constraint where conname = 'lines_order_id_fkey'";
    assert_eq!(shop.ask(foreign).await, "t");
    assert_eq!(shop.ask("select has_table_privilege('app', 'app.orders', 'select')").await, "t");

    // Dropped altogether, with what referred to it.
    shop.server.sql("shop", "drop table app.orders cascade").await;
    let report = shop.report("orders").await;
    assert_eq!((report.exists, report.only_then), (false, 200));
    let done = shop.restore("orders", TableMode::Replace).await.unwrap();
    assert_eq!(counts(&done), (200, 0, 0, true));
    assert_eq!(shop.ask(ALL).await, before);
    assert!(shop.report("orders").await.structure.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_and_what_fails_leaves_all_as_it_was() {
    let shop = Shop::open().await;
    // Rows of others would refer to nothing, either way.
    shop.server
        .sql(
            "shop",
            "insert into app.orders (customer, total) values (1, 1000); insert into app.lines values (99, 201, 'of a later order');
            delete from app.orders where customer = 3; delete from app.customers where id = 3",
        )
        .await;
    let report = shop.report("orders").await;
    let broken: Vec<(&str, u64, bool)> =
        report.broken.iter().map(|of| (of.constraint.as_str(), of.rows, of.out)).collect();
    assert_eq!(broken, [("orders_customer_fkey", 20, true), ("lines_order_id_fkey", 1, false)]);
    for mode in [TableMode::Replace, TableMode::Insert, TableMode::Overwrite] {
        let said = shop.restore("orders", mode).await.unwrap_err().to_string();
        assert!(said.contains("refer to rows"), "{mode:?}: {said}");
    }
    shop.server.sql("shop", "delete from app.lines where id = 99; insert into app.customers values (3, 'again')").await;

    // A newer row has taken a value that must be there once.
    let taken = "delete from app.orders where id = 150; alter table app.orders add constraint one unique (total);
        insert into app.orders (customer, total) values (2, 150)";
    shop.server.sql("shop", taken).await;
    let now = shop.ask(ALL).await;
    let said = shop.restore("orders", TableMode::Insert).await.unwrap_err().to_string();
    assert!(said.contains("duplicate key"), "{said}");
    assert_eq!(shop.ask(ALL).await, now);
    assert_eq!(shop.ask("select tgenabled from pg_trigger where tgname = 'stamp'").await, "O");

    // A view would go with the table.
    shop.server.sql("shop", "create view app.v as select id from app.orders").await;
    let said = shop.restore("orders", TableMode::Replace).await.unwrap_err().to_string();
    assert!(said.contains("view app.v"), "{said}");

    // Without a key rows come back as a whole or not at all.
    shop.server.sql("shop", "delete from app.plain where ctid = (select min(ctid) from app.plain); insert into app.plain values (9, 'later')").await;
    let report = shop.report("plain").await;
    assert_eq!((report.only_then, report.only_now, report.key.len()), (1, 1, 0));
    assert!(shop.restore("plain", TableMode::Insert).await.unwrap_err().to_string().contains("no primary key"));
    shop.restore("plain", TableMode::Replace).await.unwrap();
    assert_eq!(shop.ask("select string_agg(p::text, ' ' order by p) from app.plain p").await, "(1,x) (1,x) (2,)");

    // Partitions one by one, the parent never.
    shop.server.sql("shop", "delete from app.log").await;
    let said = shop.try_plan("app", "log").await.err().unwrap().to_string();
    assert!(said.contains("partitions one by one"), "{said}");
    shop.restore("log_old", TableMode::Replace).await.unwrap();
    assert_eq!(shop.ask("select count(*) from app.log").await, "20");
    assert!(shop.try_plan("app", "none").await.err().unwrap().to_string().contains("no table app.none"));
    shop.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn views_that_went_with_a_column_come_back_with_it() {
    let shop = Shop::open().await;
    shop.server
        .sql("shop", "alter table app.notes drop column more cascade; delete from app.notes where id > 7;")
        .await;
    shop.server.sql("shop", "insert into app.notes values (99, 'later')").await;
    let warnings = shop.report("notes").await.warnings.join("; ");
    assert!(
        warnings.contains("column more is not there now and comes back") && warnings.contains("the view app.most"),
        "{warnings}"
    );
    let done = shop.restore("notes", TableMode::Insert).await.unwrap();
    assert_eq!((counts(&done), done.warnings.len()), ((2, 7, 0, false), 0), "{done:?}");
    assert_eq!(shop.ask("select count(*) || ' ' || count(more) from app.more").await, "10 10");
    assert_eq!(shop.ask("select more from app.notes where id = 99").await, "none");
    assert_eq!(shop.ask("select count(*) from app.most").await, "10");
    assert_eq!(shop.ask("select has_table_privilege('app', 'app.more', 'select')").await, "t");
    shop.nothing_is_left().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_server_left_behind_goes_and_what_is_in_use_stays() {
    let shop = Shop::open().await;
    let planned = shop.try_plan("app", "orders").await.unwrap();
    let of_the_plan = shop.ask(STAGING).await;
    let left = "create schema holdfast_0left; create table holdfast_0left.rows (a int);
        comment on schema holdfast_0left is 'Holdfast compares a table here. It goes when that is done.';
        create schema holdfast_mine";
    shop.server.sql("shop", left).await;
    sweep_staging(&shop.server.url("postgres", support::PASSWORD, "shop")).await.unwrap();
    assert_eq!(shop.ask(STAGING).await, format!("{of_the_plan} holdfast_mine"));
    let done = planned.carry_out(TableMode::Replace, &shop.bench.ctx).await.unwrap();
    assert_eq!(counts(&done), (0, 0, 0, false));
    assert_eq!(shop.ask(STAGING).await, "holdfast_mine");
}
