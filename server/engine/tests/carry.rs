//! Export and import through the public door: real tools read what goes out, and what comes in is proven, or refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, dead_code)]

#[path = "engine/bench.rs"]
mod bench;
#[path = "support/postgres.rs"]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read, Write},
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

/// An export's files by name, in order.
fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in tar::Archive::new(bytes).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if let Some((_, name)) = path.split_once('/').filter(|(_, name)| !name.is_empty()) {
            found.push((name.to_owned(), content));
        }
    }
    found
}

fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, format!("x/{name}"), content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    holdfast_vault::Id::of(bytes).to_string()
}

/// With another content of one file, and everything that lists it made to fit.
fn forged(files: &[(String, Vec<u8>)], name: &str, content: Vec<u8>) -> Vec<u8> {
    let mut files = files.to_vec();
    let mut metadata: Value = serde_json::from_slice(&files[0].1).unwrap();
    for file in metadata["files"].as_array_mut().unwrap() {
        if file["name"] == name {
            (file["bytes"], file["sha256"]) = (json!(content.len()), json!(sha256(&content)));
        }
    }
    files.iter_mut().find(|(known, _)| known == name).unwrap().1 = content;
    rewrite(files, &metadata)
}

fn rewrite(mut files: Vec<(String, Vec<u8>)>, metadata: &Value) -> Vec<u8> {
    files[0].1 = serde_json::to_vec(metadata).unwrap();
    let mut sums = format!("{}  metadata.json\n", sha256(&files[0].1));
    for file in metadata["files"].as_array().unwrap() {
        sums += &format!("{}  {}\n", file["sha256"].as_str().unwrap(), file["name"].as_str().unwrap());
    }
    files[1].1 = sums.into_bytes();
    packed(&files)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive of one entry with a name that no decent program would write.
fn odd(name: &[u8], kind: tar::EntryType, link: &[u8], mode: u32, content: &[u8]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut root = tar::Header::new_gnu();
    root.as_old_mut().name[..3].copy_from_slice(b"up/");
    root.set_entry_type(tar::EntryType::Directory);
    root.set_mode(0o755);
    root.set_size(0);
    root.set_cksum();
    archive.append(&root, std::io::empty()).unwrap();
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(content.len() as u64);
    header.set_cksum();
    archive.append(&header, content).unwrap();
    gzip(&archive.into_inner().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_its_metadata_says_is_refused_and_publishes_nothing() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", &"text ".repeat(9000));
    bench.write("up/b.txt", "b");
    bench.write(".env", "A=1\n");
    let definition = bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("up")},
            {"name": "env", "kind": "config", "file": bench.app(".env")},
        ]),
        json!({}),
    );
    let checkpoint = bench.take(&definition).await;
    let whole = out(&bench, &checkpoint, false, Form::Tar).await;
    let parts = files(&whole);
    let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["metadata.json", "SHA256SUMS", "env.json", "config/env.json", "data.tar.gz"]);
    let other = Bench::new().await;
    take(&other, packed(&parts)).await.unwrap();

    let closed = Bench::new().await;
    let says = |error: String, words: &[&str]| {
        for word in words {
            assert!(error.contains(word), "`{word}` in: {error}");
        }
    };
    // A bent byte in each file.
    for index in 0..parts.len() {
        let mut bent = parts.clone();
        let middle = bent[index].1.len() / 2;
        bent[index].1[middle] ^= 1;
        refused(&closed, packed(&bent)).await;
    }
    // Cut at many places; the last kilobyte is padding.
    for end in [10, 700, 2048, whole.len() / 2, whole.len() - 2000, whole.len() - 1500] {
        refused(&closed, whole[..end].to_vec()).await;
    }
    let zipped = out(&bench, &checkpoint, false, Form::TarGz).await;
    refused(&closed, zipped[..zipped.len() - 6].to_vec()).await;
    let mut swapped = parts.clone();
    swapped.swap(2, 3);
    says(refused(&closed, packed(&swapped)).await, &["another order"]);
    let mut first = parts.clone();
    first.swap(0, 1);
    says(refused(&closed, packed(&first)).await, &["metadata.json"]);
    let mut twice = parts.clone();
    twice.push(parts[2].clone());
    says(refused(&closed, packed(&twice)).await, &["env.json"]);
    let mut more = parts.clone();
    more.push(("evil.sh".into(), b"x".to_vec()));
    says(refused(&closed, packed(&more)).await, &["evil.sh", "does not name it"]);
    let mut fewer = parts.clone();
    fewer.pop();
    says(refused(&closed, packed(&fewer)).await, &["data.tar.gz is missing"]);
    let mut trailing = whole.clone();
    trailing.extend_from_slice(&[7; 512]);
    says(refused(&closed, trailing).await, &["behind the archive's end"]);
    says(refused(&closed, b"age-encryption.org/v1\nrest".to_vec()).await, &["encrypted"]);
    refused(&closed, b"not an archive at all, but a text that is long enough to be read".repeat(20)).await;

    // A format of tomorrow.
    for pointer in ["/format", "/manifest/format"] {
        let mut metadata: Value = serde_json::from_slice(&parts[0].1).unwrap();
        *metadata.pointer_mut(pointer).unwrap() = json!(99);
        says(refused(&closed, rewrite(parts.clone(), &metadata)).await, &["format 99", "update"]);
    }
    // Names and kinds that lead elsewhere, in archives whose sums are right.
    use tar::EntryType as Kind;
    type Attack = (&'static [u8], Kind, &'static [u8], u32, &'static [u8]);
    let attacks: [Attack; 7] = [
        (b"../evil", Kind::Regular, b"", 0o644, b"x"),
        (b"up/../../evil", Kind::Regular, b"", 0o644, b"x"),
        (b"/etc/evil", Kind::Regular, b"", 0o644, b"x"),
        (b"elsewhere/evil", Kind::Regular, b"", 0o644, b"x"),
        (b"up/hard", Kind::Link, b"../../etc/passwd", 0o644, b""),
        (b"up/hard", Kind::Link, b"up/nothing", 0o644, b""),
        (b"up/sparse", Kind::GNUSparse, b"", 0o644, b""),
    ];
    for (name, kind, link, mode, content) in attacks {
        refused(&closed, forged(&parts, "data.tar.gz", odd(name, kind, link, mode, content))).await;
    }
    // A thousand times its size: nobody waits for its end.
    let bomb = odd(b"up/zeros", Kind::Regular, b"", 0o644, &vec![0; 40 << 20]);
    assert!(bomb.len() < 1 << 20);
    says(refused(&closed, forged(&parts, "data.tar.gz", bomb)).await, &["more bytes than metadata.json says"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_and_set_uid_programs_are_left_behind_and_said() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "a");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    let parts = files(&out(&bench, &checkpoint, false, Form::Tar).await);
    let program = odd(b"up/a.txt", tar::EntryType::Regular, b"", 0o4755, b"a");
    let other = Bench::new().await;
    let (_, came) = take(&other, forged(&parts, "data.tar.gz", program)).await.unwrap();
    let report = drilled(&other, &definition, &came).await;
    assert_eq!(report.verdict, Proof::Partial, "{:?}", report.reason);
    assert!(came.part("up").skipped[0].message.contains("set-uid"));
    fs::remove_dir_all(bench.app("up")).unwrap();
    other.restore(&definition, &came).await.unwrap();
    assert_eq!(run(&bench.app("up"), &["stat", "-c", "%a", "a.txt"]), "755");

    let device = odd(b"up/sda", tar::EntryType::Block, b"", 0o600, b"");
    let other = Bench::new().await;
    let (_, came) = take(&other, forged(&parts, "data.tar.gz", device)).await.unwrap();
    assert_eq!(came.part("up").skipped[0].reason, "device");
    // It lacks what it should hold, and is never called proven.
    assert_eq!(drilled(&other, &definition, &came).await.verdict, Proof::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_database_with_fitting_sums_is_never_proven() {
    let bench = Bench::new().await;
    let database = rusqlite::Connection::open(bench.app("s.db")).unwrap();
    database.execute_batch("create table t (a); insert into t values (1), (2), (3);").unwrap();
    drop(database);
    let definition = bench.define(json!([{"name": "s", "kind": "sqlite", "path": bench.app("s.db")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    let parts = files(&out(&bench, &checkpoint, false, Form::Tar).await);
    let changed = bench.dir.path().join("changed.db");
    fs::copy(bench.app("s.db"), &changed).unwrap();
    rusqlite::Connection::open(&changed).unwrap().execute_batch("update t set a = 4 where a = 3").unwrap();
    let other = Bench::new().await;
    let bytes = forged(&parts, "services/sqlite_s.sqlite", fs::read(&changed).unwrap());
    let (_, came) = take(&other, bytes).await.unwrap();
    assert_eq!(drilled(&other, &definition, &came).await.verdict, Proof::Failed);
}

/// A backup directory of hop3's layout, as a tar archive with its metadata first.
fn hop3(folder: &Path, names: &[&str], format: &str) -> Vec<u8> {
    let mut all: Vec<(String, Vec<u8>)> =
        names.iter().map(|name| ((*name).to_owned(), fs::read(folder.join(name)).unwrap())).collect();
    let checksums: BTreeMap<&str, String> =
        all.iter().map(|(name, content)| (name.as_str(), format!("sha256:{}", sha256(content)))).collect();
    let metadata = json!({
        "backup_id": "20251108_143022_a8f3d9", "app_name": "blog", "created_at": "2025-11-08T14:30:22.123456",
        "format_version": format, "hop3_version": "0.8.0", "checksums": checksums, "size_bytes": 1,
    });
    all.insert(0, ("metadata.json".to_owned(), serde_json::to_vec(&metadata).unwrap()));
    packed(&all)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_directory_of_hop3_comes_in_and_is_never_called_proven() {
    let server = support::Server::ready().await;
    let mut session = support::app_session(&server, "shop").await;
    support::run(
        &mut session,
        "create table t (a int primary key, b text); insert into t select i, 'b' || i from generate_series(1, 500) i;
         create view v as select a from t; grant select on t to public;",
    )
    .await;
    let bench = Bench::new().await;
    let folder = bench.dir.path().join("backup");
    fs::create_dir_all(folder.join("services")).unwrap();
    repository(&bench);
    bench.write("data/uploads/a.txt", "a");
    fs::write(folder.join("env.json"), r#"{"SECRET": "canary", "WORKERS": 2}"#).unwrap();
    run(&bench.app(""), &["tar", "-czf", folder.join("source.tar.gz").to_str().unwrap(), "src"]);
    run(&bench.app(""), &["tar", "-czf", folder.join("data.tar.gz").to_str().unwrap(), "data"]);
    let dumped = Command::new(support::bin().join("pg_dump"))
        .arg(server.app("shop").expose())
        .arg("-f")
        .arg(folder.join("services/postgres_mydb.sql"))
        .status()
        .unwrap();
    assert!(dumped.success());
    let names = ["source.tar.gz", "data.tar.gz", "env.json", "services/postgres_mydb.sql"];
    let (imported, came) = take(&bench, hop3(&folder, &names, "1.0")).await.unwrap();
    assert_eq!((imported.origin.system.as_str(), imported.origin.id.as_str()), ("hop3", "20251108_143022_a8f3d9"));
    let kinds: Vec<(&str, String)> =
        came.manifest.components.iter().map(|c| (c.name.as_str(), c.kind.to_string())).collect();
    let wanted = [("source", "git"), ("data", "files"), ("env", "config"), ("mydb", "postgres")];
    assert_eq!(kinds, wanted.map(|(name, kind)| (name, kind.to_owned())));
    assert_eq!(came.part("mydb").ledger.as_ref().unwrap().tables["public.t"].rows, 500);
    let definition = bench.define(json!([{"name": "data", "kind": "files", "path": bench.app("back")}]), json!({}));
    let report = drilled(&bench, &definition, &came).await;
    assert_eq!(report.verdict, Proof::Partial, "{:?}", report.reason);
    assert!(report.components.iter().all(|part| part.checks.iter().all(|check| check.passed)));
    assert!(report.components.iter().all(|part| part.gaps.iter().any(|gap| gap.reason.contains("no ledger"))));
    let mut work = bench.restore_work(&definition, &came);
    work.components.retain(|name| name.as_str() == "data");
    holdfast_engine::restore::validate(work, &bench.tools, &bench.ctx())
        .await
        .unwrap()
        .carry_out(&bench.ctx())
        .await
        .unwrap();
    assert_eq!(fs::read_to_string(bench.app("back/uploads/a.txt")).unwrap(), "a");

    let closed = Bench::new().await;
    // Older is warned about, newer refused; SQL that fails imports nothing, and neither does one that reaches out.
    let older = Bench::new().await;
    let (imported, _) = take(&older, hop3(&folder, &["env.json"], "0.9")).await.unwrap();
    assert!(imported.warnings[0].contains("older"));
    assert!(refused(&closed, hop3(&folder, &["env.json"], "2.0")).await.contains("update"));
    fs::write(folder.join("services/postgres_mydb.sql"), "create table x (a int);\nselect nonsense;\n").unwrap();
    assert!(refused(&closed, hop3(&folder, &["services/postgres_mydb.sql"], "1.0")).await.contains("nonsense"));
    let loot = bench.dir.path().join("loot");
    fs::write(&loot, "canary").unwrap();
    fs::set_permissions(&loot, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let steal = format!("create table x (a text);\n\\copy x from '{}'\n", loot.display());
    fs::write(folder.join("services/postgres_mydb.sql"), steal).unwrap();
    assert!(
        refused(&closed, hop3(&folder, &["services/postgres_mydb.sql"], "1.0")).await.contains("Permission denied")
    );

    // A repository that borrows from this host's own ones.
    fs::write(bench.app("src/.git/objects/info/alternates"), "/root/secret/.git/objects\n").unwrap();
    run(&bench.app(""), &["tar", "-czf", folder.join("source.tar.gz").to_str().unwrap(), "src"]);
    assert!(refused(&closed, hop3(&folder, &["source.tar.gz"], "1.0")).await.contains("alternates"));
}
