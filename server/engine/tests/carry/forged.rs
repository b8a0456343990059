//! Archives that are not what they say: refused, or brought in and never proven.

use std::{fs, io::Read as _, io::Write as _};

use holdfast_engine::Form;
use holdfast_model::state::Proof;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, run},
    drilled, out, refused, take,
};

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

pub fn packed(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o600);
        archive.append_data(&mut header, format!("x/{name}"), content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

pub fn sha256(bytes: &[u8]) -> String {
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
