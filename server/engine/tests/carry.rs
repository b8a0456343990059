//! Export and import through the public door: real tools read what goes out, and what comes in is proven, or refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code)]

#[path = "engine/bench.rs"]
mod bench;
#[path = "carry/forged.rs"]
mod forged;
#[path = "carry/hop3.rs"]
mod hop3;
#[path = "support/postgres.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bench::{Bench, Checkpoint, listing, run, seal};
use holdfast_engine::{ExportWork, Form, ImportError, ImportWork, Imported, Incoming, export, import};
use holdfast_model::{definition::Definition, drill::DrillReport, state::Proof};
use holdfast_vault::Cancel;
use serde_json::{Value, json};
use support::sealing;

async fn out(bench: &Bench, checkpoint: &Checkpoint, plain_sql: bool, form: Form) -> Vec<u8> {
    let work = ExportWork {
        vault: bench.vault.clone(),
        root: checkpoint.root,
        manifest: checkpoint.manifest.clone(),
        plain_sql,
        scratch: bench.scratch(),
        cancel: Cancel::new(),
    };
    let measured = export::measure(work, &bench.tools).await.unwrap();
    tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        measured.write(form, &mut bytes).unwrap();
        if form == Form::Tar {
            assert_eq!(bytes.len() as u64, measured.length());
        }
        bytes
    })
    .await
    .unwrap()
}

async fn take(bench: &Bench, bytes: Vec<u8>) -> Result<(Imported, Checkpoint), ImportError> {
    let incoming = tokio::task::spawn_blocking(move || Incoming::open(Cursor::new(bytes))).await.unwrap()?;
    let vault = bench.vault.clone();
    let writer = Arc::new(tokio::task::spawn_blocking(move || vault.writer(Cancel::new())).await.unwrap().unwrap());
    let work = ImportWork { known: Vec::new(), scratch: bench.scratch() };
    let imported = import(incoming, work, writer.clone(), &bench.tools, &bench.ctx()).await?;
    let captured = imported.captured.clone();
    let writer = Arc::try_unwrap(writer).unwrap_or_else(|_| panic!("an import keeps the writer"));
    let checkpoint = tokio::task::spawn_blocking(move || seal(captured, writer)).await.unwrap();
    Ok((imported, checkpoint))
}

/// What a vault of nothing but refusals says to it.
async fn refused(bench: &Bench, bytes: Vec<u8>) -> String {
    let error = take(bench, bytes).await.map(drop).unwrap_err();
    assert!(bench.vault.snapshot_ids().unwrap().is_empty(), "something was published");
    error.to_string()
}

/// Unpacked by the system's own tar, as a person would; gives the export's folder.
fn unpacked(bytes: &[u8], into: &Path) -> PathBuf {
    fs::create_dir_all(into).unwrap();
    let mut child =
        Command::new("tar").args(["-xf", "-", "-C"]).arg(into).stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    assert!(child.wait().unwrap().success());
    fs::read_dir(into).unwrap().next().unwrap().unwrap().path()
}

fn repository(bench: &Bench) -> PathBuf {
    let root = bench.app("src");
    fs::create_dir_all(root.join("lib/deep")).unwrap();
    run(&root, &["git", "init", "-q", "-b", "main"]);
    for index in 0..20 {
        fs::write(root.join(format!("lib/deep/f{index}.txt")), format!("line {index}\n").repeat(90 + index)).unwrap();
    }
    fs::write(root.join(".gitattributes"), "secret.txt export-ignore\n*.txt text eol=crlf\nlib/** export-subst\n")
        .unwrap();
    fs::write(root.join("secret.txt"), "$Format:%H$\n").unwrap();
    std::os::unix::fs::symlink("lib/deep", root.join("link")).unwrap();
    run(&root, &["git", "add", "."]);
    run(&root, &["git", "commit", "-qm", "first"]);
    run(&root, &["git", "tag", "v1"]);
    fs::write(root.join("lib/deep/f1.txt"), "staged\n").unwrap();
    run(&root, &["git", "add", "lib"]);
    fs::write(root.join("lib/deep/f2.txt"), "not staged\n").unwrap();
    fs::write(root.join("untracked \"odd\".txt"), "new\n").unwrap();
    root
}

fn status(root: &Path) -> String {
    run(root, &["git", "status", "--porcelain=v1", "--untracked-files=all"])
}

/// An application with all that is hard to carry.
fn application(bench: &Bench, postgres: Option<&str>) -> Definition {
    repository(bench);
    let up = bench.app("up");
    bench.write("up/a.txt", &"some text ".repeat(5000));
    bench.write("up/deep/er/b.txt", "b");
    fs::create_dir(up.join("empty")).unwrap();
    fs::write(up.join(std::ffi::OsStr::from_bytes(b"not-utf8-\xff\xfe")), "x").unwrap();
    fs::create_dir_all(up.join("long").join("d".repeat(120))).unwrap();
    fs::write(up.join("long").join("d".repeat(120)).join("n".repeat(200)), "long").unwrap();
    std::os::unix::fs::symlink(format!("./nowhere/{}", "t".repeat(150)), up.join("dangling")).unwrap();
    fs::hard_link(up.join("a.txt"), up.join("deep/hard")).unwrap();
    run(&up, &["mkfifo", "pipe"]);
    // Not every file system keeps such; where it does, any bytes must pass.
    let _ =
        rustix::fs::setxattr(up.join("a.txt"), "user.note", b"two\nlines = \xff\0", rustix::fs::XattrFlags::empty());
    run(&up, &["chmod", "2770", "empty"]);
    bench.write(".env", "SECRET_KEY=canary value\nexport B=\"two\"\n# a comment\n");
    let database = rusqlite::Connection::open(bench.app("s.db")).unwrap();
    database.execute_batch("create table t (a, b); create index i on t (a);").unwrap();
    for number in 0..400 {
        database.execute("insert into t values (?1, ?2)", (number, format!("row {number}"))).unwrap();
    }
    drop(database);
    let mut components = vec![
        json!({"name": "src", "kind": "git", "path": bench.app("src")}),
        json!({"name": "up", "kind": "files", "path": up}),
        json!({"name": "ini", "kind": "files", "path": bench.write("conf/app.ini", "one")}),
        json!({"name": "settings", "kind": "config", "file": bench.app(".env"), "variables": [{"name": "C", "value": "three"}]}),
        json!({"name": "search", "kind": "sqlite", "path": bench.app("s.db")}),
    ];
    if let Some(url) = postgres {
        components.push(json!({"name": "shop", "kind": "postgres", "url": url}));
    }
    bench.define(Value::Array(components), json!({}))
}

async fn drilled(bench: &Bench, definition: &Definition, checkpoint: &Checkpoint) -> DrillReport {
    bench.drill(definition, checkpoint).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everybodys_tools_read_an_export_and_it_comes_back_proven_and_equal() {
    let server = support::Server::ready().await;
    support::awkward(&server).await;
    let bench = Bench::new().await;
    let url = server.app("shop").expose().to_owned();
    let definition = application(&bench, Some(&url));
    let checkpoint = bench.take(&definition).await;
    let bytes = out(&bench, &checkpoint, true, Form::Tar).await;
    assert_eq!(bytes, out(&bench, &checkpoint, true, Form::Tar).await, "an export is not the same each time");

    let folder = unpacked(&bytes, &bench.dir.path().join("out"));
    assert_eq!(folder.file_name().unwrap().to_str(), Some(checkpoint.manifest.checkpoint.as_str()));
    assert_eq!(run(&folder, &["stat", "-c", "%a", ".", "env.json"]), "700\n600");
    let sums = run(&folder, &["sha256sum", "-c", "SHA256SUMS"]);
    assert_eq!(sums.lines().count(), sums.lines().filter(|line| line.ends_with(": OK")).count());
    for name in ["metadata.json", "source.tar.gz", "data.tar.gz", "env.json", "services/postgres_shop.dump"] {
        assert!(sums.contains(&format!("{name}: OK")), "{sums}");
    }
    let variables: Value = serde_json::from_slice(&fs::read(folder.join("env.json")).unwrap()).unwrap();
    assert_eq!(variables, json!({"SECRET_KEY": "canary value", "B": "two", "C": "three"}));
    let restore = support::bin().join("pg_restore");
    let list = run(&folder, &[restore.to_str().unwrap(), "-l", "services/postgres_shop.dump"]);
    assert!(list.contains("TABLE DATA app orders"), "{list}");
    let sql = fs::read_to_string(folder.join("services/postgres_shop.sql")).unwrap();
    assert!(sql.contains("CREATE TABLE app.customer") && sql.contains("COPY app.orders"));
    let rows = rusqlite::Connection::open(folder.join("services/sqlite_search.sqlite")).unwrap();
    assert_eq!(rows.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0)).unwrap(), 400);

    // Files as they were, by the system's own tar.
    run(&folder, &["tar", "-tzf", "data.tar.gz"]);
    run(&folder, &["tar", "-xpzf", "data.tar.gz"]);
    run(&folder, &["tar", "-xpzf", "source.tar.gz"]);
    assert_eq!(listing(&folder.join("up")), listing(&bench.app("up")));
    assert_eq!(fs::read_to_string(folder.join("ini/app.ini")).unwrap(), "one");
    // A repository with its work tree: nothing was left out, filled in or translated, and work is staged as it was.
    let git = |root: &Path, line: &[&str]| run(root, &[&["git", "-c", "core.attributesFile=/dev/null"], line].concat());
    let log = ["log", "--format=%H %s", "--branches", "--tags"];
    assert_eq!(git(&folder.join("src"), &log), git(&bench.app("src"), &log));
    assert_eq!(status(&folder.join("src")), status(&bench.app("src")));
    let without_git = |root: PathBuf| -> BTreeMap<PathBuf, Vec<u8>> {
        let all = listing(&root).into_keys().filter(|path| !path.starts_with(".git/") && !path.ends_with(".git"));
        all.filter(|path| root.join(path).is_file())
            .map(|path| (path.clone(), fs::read(root.join(path)).unwrap()))
            .collect()
    };
    assert_eq!(without_git(folder.join("src")), without_git(bench.app("src")));

    for form in [Form::Tar, Form::TarGz, Form::TarZst] {
        let other = Bench::new().await;
        let sent = out(&bench, &checkpoint, form == Form::Tar, form).await;
        let (imported, came) = take(&other, sent).await.unwrap();
        assert_eq!(imported.origin.id, checkpoint.manifest.checkpoint.as_str());
        assert!(imported.captured.components.iter().all(|c| c.manifest.skipped.is_empty()));
        let report = drilled(&other, &definition, &came).await;
        assert_eq!(report.verdict, Proof::Proven, "{form:?}: {:?}", report.reason);
        let ledgers = |of: &Checkpoint| of.manifest.components.iter().map(|c| c.ledger.clone()).collect::<Vec<_>>();
        assert_eq!(ledgers(&came), ledgers(&checkpoint));
        if form == Form::TarGz {
            let before = (listing(&bench.app("up")), fs::read(bench.app(".env")).unwrap(), status(&bench.app("src")));
            for gone in ["up", "src"] {
                fs::remove_dir_all(bench.app(gone)).unwrap();
            }
            fs::remove_file(bench.app(".env")).unwrap();
            let mut work = other.restore_work(&definition, &came);
            work.components.retain(|name| name.as_str() != "shop");
            holdfast_engine::restore::validate(work, &other.tools, &other.ctx())
                .await
                .unwrap()
                .carry_out(&other.ctx())
                .await
                .unwrap();
            let after = (listing(&bench.app("up")), fs::read(bench.app(".env")).unwrap(), status(&bench.app("src")));
            assert_eq!(after, before);
            // Exported once more, the same files go out: nothing was lost on the way.
            let again = unpacked(&out(&other, &came, false, Form::Tar).await, &other.dir.path().join("again"));
            for name in
                ["data.tar.gz", "config/settings.json", "services/postgres_shop.dump", "services/sqlite_search.sqlite"]
            {
                assert_eq!(fs::read(again.join(name)).unwrap(), fs::read(folder.join(name)).unwrap(), "{name}");
            }
        }
    }
}
