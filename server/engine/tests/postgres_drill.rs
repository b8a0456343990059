//! A drill notices everything that a sealed copy may have lost, and says what it could not look at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/postgres.rs"]
mod support;

use std::{io, process::Command};

use holdfast_engine::postgres::archive::{self, Index, Sink};
use holdfast_engine::{ToolSettings, Tools};
use holdfast_model::state::Proof;
use support::{Bench, Checkpoint, Server, assert_failed, assert_proven, awkward, bin, file};

/// The sealed copy as it would be, had it lost something: the manifest of the one, the data of the other.
async fn tampered(server: &Server, bench: &Bench, sealed: &Checkpoint, name: &str, sql: &str) -> Checkpoint {
    server.sql("postgres", &format!("create database {name} owner app template shop")).await;
    server.sql(name, sql).await;
    let other = bench.checkpoint(&server.app(name)).await.unwrap();
    server.sql("postgres", &format!("drop database {name} with (force)")).await;
    Checkpoint { component: sealed.component.clone(), ..other }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_loss_is_noticed() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    let sealed = bench.checkpoint(&server.app("shop")).await.unwrap();
    let losses = [
        ("delete from app.orders where id = 17", "rows app.orders"),
        (
            "alter table app.orders disable trigger user; update app.orders set tags[2] = 'ünï\"c,odf' where id = 18",
            "rows app.orders",
        ),
        ("truncate app.log_2025", "rows app.log_2025"),
        ("drop index app.orders_open", "index app.orders_open"),
        (
            "alter table app.orders drop constraint orders_customer_fkey",
            "table constraint orders_customer_fkey on app.orders",
        ),
        ("select setval('app.orders_id_seq', 5)", "sequence app.orders_id_seq"),
        ("select lo_put((select min(oid) from pg_largeobject_metadata), 3, 'x')", "large objects"),
        ("drop trigger touch on app.customer", "trigger touch on app.customer"),
        ("alter table app.orders alter placed drop default", "table app.orders"),
        ("drop policy mine on app.secret", "policy mine on app.secret"),
        ("revoke select on app.orders from public", "grants on table app.orders"),
    ];
    for (number, (sql, check)) in losses.iter().enumerate() {
        let copy = tampered(&server, &bench, &sealed, &format!("tampered{number}"), sql).await;
        assert_failed(&bench.drill(&copy, &[]).await, check);
    }
    assert_proven(&bench.drill(&sealed, &[]).await);

    // An archive that ends early, and an index that belongs to another archive.
    let mut short = sealed.clone();
    let dump = short.nodes.iter_mut().find(|node| node.name == "dump.pgc").unwrap();
    let last = dump.content.len() - 1;
    let cut = dump.content[..last].to_vec();
    let node = holdfast_vault::Node::file("dump.pgc", cut, dump.size, sealed.component.instant);
    short.dir = bench.replaced(&sealed, move |_| node).await;
    assert_failed(&bench.drill(&short, &[]).await, "archive");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_is_read_as_pg_restore_reads_it() {
    let server = Server::ready().await;
    awkward(&server).await;
    let bench = Bench::new().await;
    let sealed = bench.checkpoint(&server.app("shop")).await.unwrap();
    let dump = bench.read(&sealed, "dump.pgc").await;
    let index: Index = serde_json::from_slice(&bench.read(&sealed, "dump.idx.json").await).unwrap();
    let mut sink = Cuts::default();
    let archive = archive::copy(dump.as_slice(), &mut sink).unwrap();
    assert_eq!(archive.index, index);
    assert!(sink.bytes == dump, "copied byte for byte");
    let offsets: Vec<u64> = index.entries.iter().map(|entry| entry.offset).collect();
    assert_eq!(sink.cuts, offsets);

    // The same entries, in the same order, as PostgreSQL's own tool lists them.
    let file = bench.dir.path().join("dump.pgc");
    std::fs::write(&file, &dump).unwrap();
    let listed = Command::new(bin().join("pg_restore")).arg("-l").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let lines: Vec<i64> = listed
        .lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| line.split(';').next()?.parse().ok())
        .collect();
    let own: Vec<i64> = archive.entries.iter().map(|entry| entry.id).collect();
    let shown: Vec<i64> = own.iter().copied().filter(|id| lines.contains(id)).collect();
    assert_eq!(shown, lines);
    assert!(lines.len() > 60 && own.len() - lines.len() < 12, "{} of {}", lines.len(), own.len());

    // One table's bytes are where the index says, and hold its rows.
    let cache = index.entries.iter().find(|entry| entry.name == "cache").unwrap();
    let from = usize::try_from(cache.offset).unwrap();
    let bytes = &dump[from..from + usize::try_from(cache.length).unwrap()];
    assert!(bytes.windows(4).any(|window| window == b"k\tv\n"));

    // Every shortened archive is refused, wherever it ends.
    for end in [0, 4, 7, 40, from, from + 6, dump.len() - 1] {
        assert!(archive::copy(&dump[..end], &mut Cuts::default()).is_err(), "cut at {end}");
    }
    // A version that nobody knows yet still streams by, and says so.
    let mut newer = dump.clone();
    newer[6] = 99;
    let unknown = archive::copy(newer.as_slice(), &mut Cuts::default()).unwrap();
    assert!(!unknown.index.known && unknown.index.length == dump.len() as u64);
}

#[derive(Default)]
struct Cuts {
    bytes: Vec<u8>,
    cuts: Vec<u64>,
}

impl io::Write for Cuts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Cuts {
    fn cut(&mut self) -> io::Result<()> {
        self.cuts.push(self.bytes.len() as u64);
        Ok(())
    }
}

/// Archives made by hand in the later versions of the format, as its source describes them.
#[test]
fn later_versions_of_the_format_are_read() {
    for minor in [15_u8, 16] {
        let mut bytes = b"PGDMP\x01".to_vec();
        bytes.extend([minor, 0, 4, 8, 1, 0]);
        let int = |value: i32| [vec![u8::from(value < 0)], value.unsigned_abs().to_le_bytes().to_vec()].concat();
        let text = |text: &str| [int(i32::try_from(text.len()).unwrap()), text.as_bytes().to_vec()].concat();
        (0..7).for_each(|number| bytes.extend(int(number)));
        ["shop", "17.1", "17.1"].iter().for_each(|word| bytes.extend(text(word)));
        bytes.extend(int(1));
        bytes.extend(
            [int(42), int(1), text("1259"), text("16400"), text("orders"), text("TABLE DATA"), int(3)].concat(),
        );
        bytes.extend([text(""), int(-1), text("COPY …"), text("app"), int(-1), int(-1)].concat());
        if minor == 16 {
            bytes.extend(int(114));
        }
        bytes.extend([text("owner"), text("false"), text("7"), int(-1)].concat());
        bytes.extend([1, 0, 0, 0, 0, 0, 0, 0, 0]);
        let data = bytes.len() as u64;
        bytes.push(1);
        bytes.extend([int(42), text("1\tone\n"), text("2\ttwo\n"), int(0)].concat());
        let archive = archive::copy(bytes.as_slice(), &mut Cuts::default()).unwrap();
        let entry = &archive.index.entries[0];
        assert_eq!((entry.id, entry.schema.as_str(), entry.name.as_str(), entry.offset), (42, "app", "orders", data));
        assert_eq!((archive.entries[0].owner.as_str(), archive.entries[0].needs.as_slice()), ("owner", &[7][..]));
        assert!(archive::copy(&bytes[..bytes.len() - 1], &mut Cuts::default()).is_err());
        let without_data = &bytes[..usize::try_from(data).unwrap()];
        assert!(archive::copy(without_data, &mut Cuts::default()).is_err(), "data that is missing altogether");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_extension_is_a_gap_and_not_a_failure() {
    let server = Server::ready().await;
    server
        .sql(
            "shop",
            "create extension hstore; create extension pg_trgm; create table public.plain (a int primary key);
            create table public.odd (a int primary key, h hstore); create index on public.odd (a);
            insert into public.plain values (1); insert into public.odd values (1, 'a=>1');
            alter table public.plain owner to app; alter table public.odd owner to app;
            create view public.seen as select h -> 'a' as a from public.odd",
        )
        .await;
    let bench = Bench::new().await;
    let mut sealed = bench.checkpoint(&server.app("shop")).await.unwrap();
    assert_proven(&bench.drill(&sealed, &[]).await);

    // The same archive, but its extension is one that no host has: same length, so that only the name differs.
    let dump = bench.read(&sealed, "dump.pgc").await;
    let renamed = replace(&dump, b"hstore", b"hstorx");
    sealed.dir = bench.replaced(&sealed, move |writer| file(writer, "dump.pgc", &renamed)).await;
    let drill = bench.drill(&sealed, &[]).await;
    assert_eq!(drill.verdict, Proof::Partial, "{:#?}", drill.checks.iter().filter(|c| !c.passed).collect::<Vec<_>>());
    assert_eq!((drill.gaps[0].kind.as_str(), drill.gaps[0].name.as_str()), ("extension", "hstorx"));
    assert!(drill.checks.iter().any(|check| check.name == "rows public.plain" && check.passed));
    assert_eq!(bench.drill_accepting(&sealed, &[], &["hstorx"]).await.verdict, Proof::Proven);
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for at in 0..out.len().saturating_sub(from.len()) {
        if &out[at..at + from.len()] == from {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}

/// What a process that was killed left behind goes at the next start; what a living one uses stays.
#[tokio::test]
async fn leftovers_of_the_dead_are_swept() {
    let scratch = tempfile::tempdir().unwrap();
    let mut ended = Command::new("true").spawn().unwrap();
    let dead = ended.id();
    ended.wait().unwrap();
    let room = |name: &str, pid: u32| {
        let room = scratch.path().join(name);
        std::fs::create_dir_all(room.join("data")).unwrap();
        std::fs::write(room.join("owner"), pid.to_string()).unwrap();
        room
    };
    let left = [room("holdfast-pg-dead", dead), room("run_1/holdfast-pg-dead", dead)];
    let kept = [room("holdfast-pg-living", std::process::id()), room("something-else", dead)];
    holdfast_engine::postgres::sweep(scratch.path()).await;
    assert!(left.iter().all(|room| !room.exists()) && kept.iter().all(|room| room.exists()));
}

/// `initdb` runs once, however many drills there are; a template that somebody has tidied is not trusted.
#[tokio::test(flavor = "multi_thread")]
async fn a_throwaway_server_is_copied_from_a_template() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::ready().await;
    let mut bench = Bench::new().await;
    let scratch = bench.open_scratch();
    // The real programs, and a note for each call of `initdb`.
    let (own, calls) = (bench.dir.path().join("bin"), bench.dir.path().join("calls"));
    std::fs::create_dir(&own).unwrap();
    for program in std::fs::read_dir(bin()).unwrap().flatten().filter(|program| program.file_name() != "initdb") {
        std::os::unix::fs::symlink(program.path(), own.join(program.file_name())).unwrap();
    }
    std::fs::write(&calls, "").unwrap();
    std::fs::set_permissions(&calls, std::fs::Permissions::from_mode(0o666)).unwrap();
    let script = format!("#!/bin/sh\necho >>{}\nexec {}/initdb \"$@\"\n", calls.display(), bin().display());
    std::fs::write(own.join("initdb"), script).unwrap();
    std::fs::set_permissions(own.join("initdb"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = ToolSettings { postgres_dirs: vec![own], templates: scratch.clone(), ..ToolSettings::default() };
    bench.tools = Tools::find(&settings).await;
    let called = || std::fs::read_to_string(&calls).unwrap().lines().count();
    let templates = || -> Vec<std::path::PathBuf> {
        let found = std::fs::read_dir(&scratch).unwrap().flatten().map(|entry| entry.path());
        found.filter(|path| path.to_string_lossy().contains("holdfast-pg-template-")).collect()
    };

    let sealed = bench.checkpoint(&server.app("shop")).await.unwrap();
    assert_proven(&bench.drill(&sealed, &[]).await);
    let (first, second) = tokio::join!(bench.drill(&sealed, &[]), bench.drill(&sealed, &[]));
    assert_proven(&first);
    assert_proven(&second);
    assert_eq!((called(), templates().len()), (1, 1));

    std::fs::remove_file(templates()[0].join("data/PG_VERSION")).unwrap();
    assert_proven(&bench.drill(&sealed, &[]).await);
    assert_eq!((called(), templates().len()), (2, 0), "the spoilt one is gone");
    assert_proven(&bench.drill(&sealed, &[]).await);
    assert_proven(&bench.drill(&sealed, &[]).await);
    assert_eq!((called(), templates().len()), (3, 1));
    drop(bench.tools);
    assert_eq!(templates().len(), 0, "a template ends with those who use it");
}
