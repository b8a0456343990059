use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use holdfast_model::{drill::DrillReport, manifest::Facts, state::Proof};
use holdfast_vault::{Chunking, Meter, Node, SnapshotDraft};
use rusqlite::Connection;
use serde_json::json;
use time::OffsetDateTime;

use crate::bench::{Bench, Checkpoint};

const SCHEMA: &str = "
    pragma journal_mode = wal;
    create table item (id integer primary key, name text not null, price real, data blob);
    create table tag (item integer references item(id), tag text, primary key (item, tag)) without rowid;
    create table log (at text, what text);
    create index item_name on item(name);
    create view cheap as select * from item where price < 10;
    create virtual table search using fts5(name);
    create trigger grow after insert on item begin insert into search(rowid, name) values (new.id, new.name); end;
    insert into item(name, price, data) values ('anchor', 9.5, x'00ff'), ('buoy', 20, null), ('cable', 3, zeroblob(5000));
    insert into tag values (1, 'iron'), (1, 'heavy'), (2, 'red');
    pragma user_version = 7;
";

fn database(bench: &Bench) -> PathBuf {
    let path = bench.app("search.db");
    Connection::open(&path).unwrap().execute_batch(SCHEMA).unwrap();
    path
}

fn definition(bench: &Bench, path: &Path) -> holdfast_model::definition::Definition {
    bench.define(
        json!([{"name": "db", "kind": "sqlite", "path": path}]),
        json!({"drill": {"smoke": [{"component": "db", "sql": "select count(*) > 2 from item"}]}}),
    )
}

/// Writes without a pause until it is told to stop.
fn writer(path: &Path) -> (Arc<AtomicBool>, JoinHandle<u64>) {
    let (stop, path) = (Arc::new(AtomicBool::new(false)), path.to_path_buf());
    let stopped = stop.clone();
    let handle = std::thread::spawn(move || {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        let mut count = 0;
        while !stopped.load(Ordering::Relaxed) {
            connection
                .execute_batch(&format!(
                    "begin immediate;
                     insert into item(name, price) values ('n{count}', {count});
                     insert into log values ('{count}', 'x');
                     delete from log where rowid % 7 = {count} % 7 and rowid < {count};
                     update item set price = price + 1 where id = 1 + {count} % 3; commit;"
                ))
                .unwrap();
            count += 1;
        }
        count
    });
    (stop, handle)
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_checkpoints_under_a_writer_are_all_proven() {
    let bench = Bench::new().await;
    let path = database(&bench);
    let definition = definition(&bench, &path);
    let (stop, handle) = writer(&path);
    let mut rows = 0;
    for round in 0..20 {
        let checkpoint = bench.take(&definition).await;
        let ledger = checkpoint.part("db").ledger.as_ref().unwrap();
        assert!(ledger.tables["main.item"].rows >= rows, "time runs backwards");
        rows = ledger.tables["main.item"].rows;
        // One transaction writes one row to each: the copy is of one moment.
        assert!(matches!(&checkpoint.part("db").facts, Facts::Sqlite { journal, .. } if journal == "wal"));
        let report = bench.drill(&definition, &checkpoint).await;
        assert_eq!(report.verdict, Proof::Proven, "round {round}: {report:#?}");
    }
    stop.store(true, Ordering::Relaxed);
    assert!(handle.join().unwrap() > 20);
    assert!(rows > 3, "the writer wrote nothing");
    let ledger_of_all: String =
        Connection::open(&path).unwrap().query_row("pragma journal_mode", [], |r| r.get(0)).unwrap();
    assert_eq!(ledger_of_all, "wal");
}

/// The same checkpoint with a change made in a copy of its image.
async fn tampered(bench: &Bench, checkpoint: &Checkpoint, sql: &str) -> Checkpoint {
    let file = bench.scratch().join("image");
    let node = bench.vault.find(&checkpoint.root, Path::new("databases/db/database.sqlite")).unwrap();
    std::io::copy(&mut bench.vault.read(&node).unwrap(), &mut fs::File::create(&file).unwrap()).unwrap();
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(&format!("pragma foreign_keys = off; pragma journal_mode = delete; {sql}")).unwrap();
    connection.execute_batch("pragma journal_mode = wal").unwrap();
    drop(connection);
    let bytes = fs::read(&file).unwrap();
    let (vault, mut other) = (bench.vault.clone(), checkpoint.clone());
    other.manifest.components[0].size = bytes.len() as u64;
    other.root = tokio::task::spawn_blocking(move || {
        let (writer, now) = (vault.writer(Default::default()).unwrap(), OffsetDateTime::now_utc());
        let mut stream = writer.stream(Chunking::Dump, &Meter::new());
        std::io::Write::write_all(&mut stream, &bytes).unwrap();
        let streamed = stream.finish().unwrap();
        let image = Node::file("database.sqlite", streamed.content, streamed.bytes, now);
        let db = Node::dir("db", writer.put_tree(vec![image]).unwrap(), now);
        let databases = Node::dir("databases", writer.put_tree(vec![db]).unwrap(), now);
        let tree = writer.put_tree(vec![databases]).unwrap();
        writer
            .seal(SnapshotDraft {
                tree,
                time: now,
                paths: vec!["/x".into()],
                tags: Vec::new(),
                parent: None,
                hostname: "host".into(),
                username: "test".into(),
                program_version: "test".into(),
            })
            .unwrap();
        tree
    })
    .await
    .unwrap();
    other
}

fn faults(report: &DrillReport) -> Vec<&str> {
    report.components[0].checks.iter().filter(|c| !c.passed).map(|c| c.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_drill_catches_every_change_and_says_what_it_is() {
    let bench = Bench::new().await;
    let path = database(&bench);
    let definition = definition(&bench, &path);
    let checkpoint = bench.take(&definition).await;
    let same = tampered(&bench, &checkpoint, "").await;
    let report = bench.drill(&definition, &same).await;
    assert_eq!(report.verdict, Proof::Proven, "the untouched copy: {report:#?}");
    for (sql, check, words) in [
        (
            "delete from item where id = 2; insert into log values (1, 2)",
            "rows main.item",
            "1 row fewer in `item` than were sealed",
        ),
        ("update item set data = x'00fe' where id = 1", "rows main.item", "other content in `item`"),
        (
            "update item set price = 20 where id = 2; update item set name = 'Buoy' where id = 2",
            "rows main.item",
            "other content",
        ),
        ("update tag set tag = 'blue' where item = 2", "rows main.tag", "other content in `tag`"),
        ("delete from tag", "rows main.tag", "3 rows fewer in `tag`"),
        ("drop index item_name", "index item_name", "no index item_name"),
        ("drop trigger grow", "trigger grow", "no trigger grow"),
        ("pragma user_version = 8", "pragma user_version", "another definition of pragma user_version"),
        ("insert into tag values (99, 'nobody')", "rows main.tag", "1 row more in `tag`"),
        ("drop table log", "rows main.log", "the table `log` is missing"),
        ("delete from search where rowid = 1", "rows main.search_content", "search_content"),
    ] {
        let other = tampered(&bench, &checkpoint, sql).await;
        let report = bench.drill(&definition, &other).await;
        assert_eq!(report.verdict, Proof::Failed, "{sql}");
        assert!(faults(&report).contains(&check), "{sql}: {:?}", faults(&report));
        let told = report.components[0].checks.iter().filter_map(|c| c.message.as_deref()).any(|m| m.contains(words));
        assert!(told, "{sql}: {report:#?}");
        assert!(report.reason.is_some());
    }
    // A real and an integer of the same value are not the same value.
    let report = bench.drill(&definition, &tampered(&bench, &checkpoint, "delete from item where id = 2").await).await;
    assert_eq!(report.reason.as_deref(), Some("The drill found 1 row fewer in `item` than were sealed."));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_database_is_said() {
    let bench = Bench::new().await;
    let text = bench.write("text.db", &"this is not a database ".repeat(400));
    for (path, word) in [
        (bench.app("none.db"), "does not exist"),
        (text, "is not a SQLite database"),
        (bench.dir.path().to_path_buf(), "is not a file"),
    ] {
        let definition = bench.define(json!([{"name": "db", "kind": "sqlite", "path": path}]), json!({}));
        let error = bench.try_capture(bench.work(&definition)).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_waits_for_nobody_and_keeps_the_old_file() {
    let bench = Bench::new().await;
    let path = database(&bench);
    let definition = definition(&bench, &path);
    let checkpoint = bench.take(&definition).await;

    let open = Connection::open(&path).unwrap();
    open.execute_batch("pragma foreign_keys = off; delete from item; insert into log values ('later', 'kept')")
        .unwrap();
    let error = bench.restore(&definition, &checkpoint).await.unwrap_err().to_string();
    assert!(error.contains("is open in another process") && error.contains("nothing was touched"), "{error}");
    drop(open);

    let done = bench.restore(&definition, &checkpoint).await.unwrap();
    let restored = Connection::open(&path).unwrap();
    let count: i64 = restored.query_row("select count(*) from item", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 3);
    let kept = Path::new(done.kept[0].strip_prefix("the database ").unwrap());
    let later: i64 =
        Connection::open(kept).unwrap().query_row("select count(*) from log", [], |row| row.get(0)).unwrap();
    assert_eq!(later, 1, "the old file is whole");
    drop(restored);

    fs::remove_file(&path).unwrap();
    fs::write(bench.app("search.db-wal"), "stale").unwrap();
    bench.restore(&definition, &checkpoint).await.unwrap();
    let fine: String =
        Connection::open(&path).unwrap().query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(fine, "ok");
}
