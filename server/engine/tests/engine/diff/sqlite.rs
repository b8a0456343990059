//! Two sealed SQLite databases compared from their images alone.

use std::collections::BTreeMap;

use holdfast_engine::diff::{DiffWork, diff, table};
use holdfast_model::diff::{Changes, DatabaseChanges, RowChanges, TableRows};
use rusqlite::Connection;

use crate::bench::{Bench, Checkpoint, name};

#[path = "../../support/rows.rs"]
mod rows;
use rows::rows;

struct Work {
    bench: Bench,
    connection: Connection,
    definition: holdfast_model::definition::Definition,
}

impl Work {
    async fn open(sql: &str) -> Self {
        let bench = Bench::new().await;
        let path = bench.app("search.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&format!("pragma journal_mode = wal; {sql}")).unwrap();
        let components = serde_json::json!([{"name": "db", "kind": "sqlite", "path": path}]);
        let definition = bench.define(components, serde_json::json!({}));
        Self { bench, connection, definition }
    }

    async fn sealed_after(&self, sql: &str) -> Checkpoint {
        self.connection.execute_batch(sql).unwrap();
        self.bench.take(&self.definition).await
    }

    fn work(&self, first: &Checkpoint, second: &Checkpoint, memory: u64) -> DiffWork {
        let mut work = super::work(&self.bench, first, second);
        work.limits.memory = memory;
        work
    }

    async fn changes(&self, first: &Checkpoint, second: &Checkpoint, memory: u64) -> DatabaseChanges {
        let work = self.work(first, second, memory);
        let found = diff(&work, &self.bench.tools, &self.bench.ctx()).await.unwrap();
        assert!(std::fs::read_dir(&work.scratch).unwrap().next().is_none(), "something was left");
        match found.components.into_iter().next().unwrap().changes {
            Changes::Database(changes) => changes,
            Changes::Same => DatabaseChanges::default(),
            other => panic!("{other:?}"),
        }
    }

    async fn opened(&self, first: &Checkpoint, second: &Checkpoint, of: &str) -> TableRows {
        let work = self.work(first, second, 64 << 20);
        table(&work, &name("db"), "main", of, 100, &self.bench.tools, &self.bench.ctx()).await.unwrap()
    }
}

fn tables(changes: &DatabaseChanges) -> Vec<String> {
    let each = changes.tables.iter().map(|table| match &table.rows {
        RowChanges::Counted { added, removed, changed, key } => {
            format!("{} +{added} -{removed} ~{changed} by {}", table.name, key.join("+"))
        }
        other => format!("{} {other:?}", table.name),
    });
    each.collect()
}

const SCHEMA: &str = "
    create table item (id integer primary key, name text not null, price real, data blob, secret_token text);
    create table tag (item integer, tag text, note text, primary key (item, tag)) without rowid;
    create table log (at text, what text);
    create table soft (k text primary key, v);
    create table sums (id integer primary key, a int, twice int generated always as (a * 2) stored);
    create table still (a);
    create index item_name on item(name);
    create view cheap as select * from item where price < 10;
    create virtual table search using fts5(body);
    insert into item values (1, 'anchor', 9.5, x'00ff', 's1'), (2, 'buoy', 20, null, 's2'), (3, 'cable', 3, zeroblob(5000), 's3');
    insert into tag values (1, 'iron', 'a'), (1, 'heavy', 'b'), (2, 'red', 'c');
    insert into log values ('1', 'x'), ('2', 'y'), ('2', 'y');
    insert into soft values (null, 1), (null, 2), ('a', 3);
    insert into sums (id, a) values (1, 1), (2, 2);
    insert into still values (1);
    insert into search values ('one'), ('two');
";

#[tokio::test(flavor = "multi_thread")]
async fn every_sort_of_change_is_told() {
    let work = Work::open(SCHEMA).await;
    let before = work.sealed_after("").await;
    let same = work.sealed_after("vacuum").await;
    let changes = work.changes(&before, &same, 64 << 20).await;
    assert!(changes.is_empty(), "{changes:#?}");
    let after = work
        .sealed_after(
            "update item set price = 20.0, name = 'Buoy' where id = 2; update item set data = x'00fe', secret_token = 'z' where id = 1;
            delete from item where id = 3; insert into item values (4, '', 1, x'', null);
            update tag set note = 'd' where tag = 'heavy'; insert into tag values (9, 'x', null); delete from tag where item = 2;
            insert into log values ('3', 'z'); update log set what = 'q' where rowid = 1;
            update soft set v = 5 where v = 2; update sums set a = 7 where id = 2;
            update search set body = 'three' where rowid = 1;
            alter table item add column extra text default 'e'; drop view cheap; create index log_at on log(at);
            alter table still add column b; create table new (a); pragma user_version = 3",
        )
        .await;
    let changes = work.changes(&before, &after, 64 << 20).await;
    let told = tables(&changes);
    for expected in [
        "item +1 -1 ~2 by id",
        "tag +1 -1 ~1 by item+tag",
        "log +1 -0 ~1 by rowid",
        "soft +0 -0 ~1 by k",
        "sums +0 -0 ~1 by id",
        "new NotRead",
    ] {
        assert!(told.iter().any(|line| line == expected), "no `{expected}` in {told:#?}");
    }
    assert!(
        told.iter().any(|line| line.starts_with("search_") && line.contains("inside of a virtual table")),
        "{told:#?}"
    );
    assert!(!told.iter().any(|line| line.starts_with("still")), "a column more is no other row: {told:#?}");
    let said: Vec<String> = changes
        .schema
        .iter()
        .map(|object| {
            format!("{} {} {}: {}", object.change.sign(), object.kind, object.name, object.details.join("; "))
        })
        .collect();
    let expected = [
        "+ index log_at: ",
        "~ setting user_version: 0 → 3",
        "~ table item: column extra added: TEXT default 'e'",
        "+ table new: ",
        "~ table still: column b added: no type",
        "- view cheap: ",
    ];
    assert_eq!(said.iter().map(|line| line.to_lowercase()).collect::<Vec<_>>(), expected.map(str::to_lowercase));

    let item = work.opened(&before, &after, "item").await;
    assert_eq!(item.masked, ["secret_token"]);
    assert_eq!(
        rows(&item),
        [
            "~ 1|anchor|9.5|x'00ff'|•••• → 1|anchor|9.5|x'00fe'|••••",
            "~ 2|buoy|20.0|NULL|•••• → 2|Buoy|20.0|NULL|••••",
            &format!("- 3|cable|3.0|x'{}…|••••", "00".repeat(999)),
            "+ 4||1.0|x''|NULL"
        ]
    );
    assert_eq!(item.rows[0].differs, [3, 4]);
    let log = work.opened(&before, &after, "log").await;
    assert_eq!(log.columns, ["rowid", "at", "what"]);
    assert_eq!(rows(&log), ["~ 1|1|x → 1|1|q", "+ 4|3|z"]);
    let turned = work.changes(&after, &before, 64 << 20).await;
    assert!(
        tables(&turned).contains(&"item +1 -1 ~2 by id".to_owned())
            && tables(&turned).contains(&"log +0 -1 ~1 by rowid".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_those_of_a_plain_comparison() {
    let work = Work::open(
        "create table t (id integer primary key, a text, b);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
         insert into t select i, hex(randomblob(8)), i % 7 from n",
    )
    .await;
    let all = || -> BTreeMap<i64, String> {
        let mut query = work.connection.prepare("select id, quote(a) || quote(b) from t").unwrap();
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let (mut before, mut old) = (work.sealed_after("").await, all());
    for sql in [
        "update t set b = -1 where abs(random()) % 1000 = 0; delete from t where abs(random()) % 1000 = 0; insert into t (a) values ('x'), ('y')",
        "update t set a = a || 'x' where abs(random()) % 2 = 0; delete from t where abs(random()) % 3 = 0",
    ] {
        let (after, new) = (work.sealed_after(sql).await, all());
        let added = new.keys().filter(|id| !old.contains_key(id)).count();
        let removed = old.keys().filter(|id| !new.contains_key(id)).count();
        let changed = new.iter().filter(|(id, row)| old.get(id).is_some_and(|old| old != *row)).count();
        assert!(changed > 0 && removed > 0);
        for memory in [64 << 20, 80_000] {
            let changes = work.changes(&before, &after, memory).await;
            assert_eq!(tables(&changes), [format!("t +{added} -{removed} ~{changed} by id")]);
        }
        (before, old) = (after, new);
    }
}
