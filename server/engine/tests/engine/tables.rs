//! The tables of a sealed SQLite file, looked through from the sealed image alone.

use holdfast_engine::{
    End,
    tables::{self, PAGE, TablesError, TablesWork},
};
use rusqlite::Connection;
use serde_json::json;

use crate::bench::{Bench, name};

const SCHEMA: &str = "
    create table item (id integer primary key, name text, price real, data blob, pin text);
    create table note (what text);
    create table tag (item integer, tag text, primary key (item, tag)) without rowid;
    create virtual table search using fts5(name);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 130)
        insert into item select i, 'item ' || i, i / 4.0, x'00ff', '1234' from n;
    insert into note values ('one'), (null);
    insert into tag values (2, 'b'), (1, 'a');
";

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_rows_of_a_file() {
    let bench = Bench::new().await;
    let path = bench.app("search.db");
    Connection::open(&path).unwrap().execute_batch(SCHEMA).unwrap();
    let definition = bench.define(json!([{"name": "db", "kind": "sqlite", "path": path}]), json!({}));
    let sealed = bench.take(&definition).await;
    let end = End { vault: bench.vault.clone(), root: sealed.root, manifest: sealed.manifest.clone() };
    let work = TablesWork { end, component: name("db"), scratch: bench.scratch() };

    let list = tables::list(work.clone(), &bench.ctx()).await.unwrap();
    let open: Vec<_> = list.iter().filter(|table| table.closed.is_none()).collect();
    let told: Vec<_> = open.iter().map(|table| (table.name.as_str(), table.rows, table.columns.join(","))).collect();
    assert_eq!(
        told,
        [
            ("item", Some(130), "id,name,price,data,pin".to_owned()),
            ("note", Some(2), "rowid,what".to_owned()),
            ("tag", Some(2), "item,tag".to_owned()),
        ]
    );
    let inside = list.iter().find(|table| table.name == "search_data").unwrap();
    assert_eq!(inside.closed.as_deref(), Some("it is the inside of a virtual table"));

    let cell = |text: &str| Some(text.to_owned());
    let rows = async |table: &str, from| tables::rows(work.clone(), "main", table, from, &bench.ctx()).await;
    let page = rows("item", 50).await.unwrap();
    assert_eq!((page.rows.len(), page.more, page.total), (PAGE, true, Some(130)));
    assert_eq!(page.rows[0], [cell("51"), cell("item 51"), cell("12.75"), cell("x'00ff'"), cell("••••")]);
    assert_eq!((page.key, page.masked), (vec!["id".to_owned()], vec!["pin".to_owned()]));
    let last = rows("item", 100).await.unwrap();
    assert_eq!((last.rows.len(), last.more), (30, false));
    let notes = rows("note", 0).await.unwrap();
    assert_eq!(notes.rows, [[cell("1"), cell("one")], [cell("2"), None]]);
    assert_eq!(rows("tag", 0).await.unwrap().rows, [[cell("1"), cell("a")], [cell("2"), cell("b")]]);
    assert!(matches!(rows("nothing", 0).await, Err(TablesError::NoSuchTable { .. })));
    assert!(matches!(rows("search_data", 0).await, Err(TablesError::Said(_))));
    assert!(std::fs::read_dir(&work.scratch).unwrap().next().is_none(), "something was left");
}
