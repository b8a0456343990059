//! Every table of a database with every kind of object put back alone: the whole database is then as it was, by pg_dump.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use std::process::Command;

use holdfast_engine::postgres::{PgError, TableRestored, TableWork, plan_table};
use holdfast_model::{id::RunId, table::TableMode};
use support::{Bench, Checkpoint, Server, bin};

struct Everything {
    server: Server,
    bench: Bench,
    sealed: Checkpoint,
    /// As it was.
    dumped: String,
}

impl Everything {
    async fn open() -> Self {
        let server = Server::ready().await;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../end2end/tests/lib/everything.sql");
        program(&server, "psql", &["-X", "-f", file]);
        let bench = Bench::new().await;
        let sealed = bench.checkpoint(&server.app("shop")).await.unwrap();
        let dumped = dumped(&server);
        Self { server, bench, sealed, dumped }
    }

    /// What harms it, by somebody whom no foreign key and no trigger stops.
    async fn harm(&self, sql: &str) {
        let sql = format!("set session_replication_role = replica; set search_path = everything, public; {sql}");
        self.server.sql("shop", &sql).await;
        assert_ne!(dumped(&self.server), self.dumped, "nothing was harmed by {sql}");
    }

    async fn restore(&self, schema: &str, table: &str, mode: TableMode) -> Result<TableRestored, PgError> {
        let work = TableWork {
            vault: self.bench.vault.clone(),
            dir: self.sealed.dir,
            component: self.sealed.component.clone(),
            url: self.server.app("shop"),
            schema: schema.into(),
            table: table.into(),
            run: RunId::from_parts(1_700_000_000_000, 7),
            along: Vec::new(),
        };
        plan_table(&work, &self.bench.tools, &self.bench.ctx).await?.carry_out(mode, &self.bench.ctx).await
    }

    async fn refused(&self, schema: &str, table: &str) -> String {
        self.restore(schema, table, TableMode::Replace).await.expect_err(table).to_string()
    }

    #[track_caller]
    fn is_as_it_was(&self, about: &str) {
        let now = dumped(&self.server);
        let mark = |from: &str, of: &str, sign: &str| {
            let there: std::collections::BTreeSet<&str> = of.lines().collect();
            from.lines().filter(|line| !there.contains(line)).map(|line| format!("{sign} {line}\n")).collect::<String>()
        };
        let (gone, new) = (mark(&self.dumped, &now, "-"), mark(&now, &self.dumped, "+"));
        assert!(now == self.dumped, "{about}:\n{gone}{new}");
    }
}

/// Runs one of PostgreSQL's programs on the shop's database as its owner.
fn program(server: &Server, name: &str, arguments: &[&str]) -> String {
    let ran = Command::new(bin().join(name))
        .args(["-h", "127.0.0.1", "-p", &server.port.to_string(), "-U", "app", "-d", "shop"])
        .args(arguments)
        .env("PGPASSWORD", support::PASSWORD)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The whole database as text, the rows of each table in order.
fn dumped(server: &Server) -> String {
    let (mut text, mut rows) = (String::new(), None::<Vec<&str>>);
    let dump = program(server, "pg_dump", &[]);
    // The words after these are made up anew each time.
    for line in dump.lines().filter(|line| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ")) {
        match (&mut rows, line) {
            (Some(all), "\\.") => {
                all.sort_unstable();
                text.extend(all.iter().flat_map(|row| [*row, "\n"]));
                rows = None;
            }
            (Some(all), row) => all.push(row),
            (None, _) if line.starts_with("COPY ") => rows = Some(Vec::new()),
            (None, _) => {}
        }
        if rows.as_ref().is_none_or(Vec::is_empty) {
            text.extend([line, "\n"]);
        }
    }
    text
}

/// Rows go, and others lose a value, in whatever table.
fn harm_to(table: &str) -> String {
    format!(
        "do $do$ declare name text; begin
            delete from only {table} where ctid in (select ctid from only {table} order by ctid limit 2);
            select quote_ident(attname) into name from pg_attribute a join pg_type t on t.oid = atttypid
            where attrelid = $t${table}$t$::regclass and attnum > 0 and not attisdropped and not attnotnull and not typnotnull
                and attgenerated = '' and attidentity = ''
                and not exists (select 1 from pg_index where indrelid = attrelid and indisprimary and attnum = any (indkey))
            order by attnum desc limit 1;
            if name is not null then
                execute format($f$update only {table} set %s = null where ctid in (select ctid from only {table} order by ctid desc limit 2)$f$, name);
            end if;
        end $do$"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_is_put_back_alone_or_says_why_it_cannot_be() {
    let all = Everything::open().await;
    let list = "select string_agg(nspname || '|' || relname || '|' || c.oid::regclass, e'\\n' order by 1, 2) from pg_class c
        join pg_namespace n on n.oid = relnamespace where relkind in ('r', 'p') and nspname in ('everything', 'Odd Names')";
    let list = all.server.ask("shop", list).await;
    let (mut back, mut not) = (0, Vec::new());
    for line in list.lines() {
        let [schema, table, place] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
        let why = match table {
            "measured" | "measured_2025" | "hashed" => "it is a partitioned table: restore its partitions one by one",
            "child" | "grandchild" => "it inherits from another table",
            "log" | "rooms" => "it has rules, which would rewrite what is put back",
            _ => {
                all.harm(&harm_to(place)).await;
                let restored = all.restore(schema, table, TableMode::Replace).await;
                let restored = restored.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!((restored.warnings, restored.rebuilt), (vec![], false), "{line}");
                all.is_as_it_was(line);
                back += 1;
                continue;
            }
        };
        let said = all.refused(schema, table).await;
        assert!(said.contains(why), "{line}: {said}");
        all.is_as_it_was(line);
        not.push(table);
    }
    assert!(back >= 15 && not.len() == 7, "{back} {not:?}");

    // What was there is kept by `insert`, what came since by `overwrite`.
    let harm = "delete from bookings where id < 1100; update bookings set guests = 0, during = '(,)' where id between 1300 and 1350;
        insert into bookings (id, room, during, guests) values (9999, 1, '(,)', 0)";
    all.harm(harm).await;
    let done = all.restore("everything", "bookings", TableMode::Insert).await.unwrap();
    assert_eq!((done.updated, done.deleted, done.rebuilt), (0, 0, false));
    let harmed =
        "select count(*) || ' ' || count(*) filter (where upper_inf(during) and id < 9999) from everything.bookings";
    assert_eq!(all.server.ask("shop", harmed).await, "201 6");
    let done = all.restore("everything", "bookings", TableMode::Overwrite).await.unwrap();
    assert_eq!((done.inserted, done.updated, done.deleted), (0, 6, 0));
    assert_eq!(all.server.ask("shop", harmed).await, "201 0");
    let done = all.restore("everything", "bookings", TableMode::Replace).await.unwrap();
    assert_eq!((done.inserted, done.updated, done.deleted), (0, 0, 1));
    all.is_as_it_was("bookings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_made_anew_is_what_it_was_to_the_letter() {
    let all = Everything::open().await;
    for (schema, table, harm) in [
        (
            "everything",
            "bookings",
            "alter table bookings drop column note cascade, drop constraint never_twice; delete from bookings where id > 2000",
        ),
        (
            "everything",
            "payments",
            "drop policy small_ones on payments; alter table payments drop constraint refund, disable row level security",
        ),
        (
            "everything",
            "payments",
            "truncate payments; drop trigger at_the_end on payments; alter table payments drop column paid cascade",
        ),
        ("everything", "fleeting", "drop table fleeting"),
        ("everything", "of_type", "alter table of_type drop constraint of_type_pkey, not of"),
        ("everything", "no_columns", "alter table no_columns add column a integer"),
        (
            "Odd Names",
            "Table \"with\" quotes; -- and more",
            "alter table \"Odd Names\".\"Table \"\"with\"\" quotes; -- and more\" drop column \"ünïcode ✓\"",
        ),
    ] {
        all.harm(harm).await;
        let restored = all.restore(schema, table, TableMode::Replace).await;
        let restored = restored.unwrap_or_else(|error| panic!("{harm}: {error}"));
        assert_eq!((restored.warnings, restored.rebuilt), (vec![], true), "{harm}");
        all.is_as_it_was(harm);
    }
    // Views stand on this one, and parts of others are not made anew alone.
    all.harm("alter table kinds add column more int").await;
    let said = all.refused("everything", "kinds").await;
    assert!(said.contains("these depend on it: ") && said.contains("view everything.happy_kinds"), "{said}");
    all.harm("alter table measured_2026 add constraint new check (value < 1000)").await;
    let said = all.refused("everything", "measured_2026").await;
    assert!(said.contains("it is part of a partitioned or inheriting table"), "{said}");
    all.harm("drop table measured_2026").await;
    let said = all.refused("everything", "measured_2026").await;
    assert!(said.contains("was a partition of another table and is none now"), "{said}");
}
