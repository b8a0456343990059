//! Vaults that earlier versions wrote, kept in `golden/`: they open, check and restore bit for bit, for ever.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

#[path = "support/lib.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use holdfast_vault::{
    Cancel, CheckScope, Chunking, Id, Meter, Node, PruneOptions, RestoreOptions, SnapshotId, Source, TreeId, Vault,
};
use support::*;
use time::OffsetDateTime;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A copy of each golden vault, with its folder in `golden/`.
fn copies() -> Vec<(PathBuf, Place)> {
    let folders = fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut copies: Vec<_> = folders
        .map(|folder| {
            let place = Place::new();
            run("cp", &["-r".as_ref(), folder.join("vault").as_os_str(), place.path("vault").as_os_str()]);
            // Git keeps no empty folder, and to the vault one that is missing is an error, never an empty list.
            fs::create_dir(place.path("vault/locks")).unwrap();
            (folder, place)
        })
        .collect();
    copies.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(copies.len() >= 3);
    copies
}

/// What the folder says that its snapshots hold.
fn promised(folder: &Path) -> Vec<(SnapshotId, String)> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension() == Some(OsStr::new("txt")));
    let mut promised: Vec<_> = texts
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().parse().unwrap(), fs::read_to_string(&path).unwrap()))
        .collect();
    promised.sort();
    promised
}

/// All that stands below `root`, one line each.
fn described(root: &Path) -> String {
    fn walk(root: &Path, dir: &Path, lines: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let kind = meta.file_type();
            let (word, content) = if kind.is_dir() {
                walk(root, &path, lines);
                ("dir", "-".to_owned())
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string().into_vec();
                ("link", target.escape_ascii().to_string())
            } else if kind.is_fifo() {
                ("pipe", "-".to_owned())
            } else {
                ("file", format!("{} {}", meta.len(), Id::of(&fs::read(&path).unwrap())))
            };
            let (mode, time) = (meta.mode() & 0o7777, format!("{}.{:09}", meta.mtime(), meta.mtime_nsec()));
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii().to_string();
            lines.push(format!("{word} {mode:04o} {time} {content} \"{name}\"\n"));
        }
    }
    let mut lines = Vec::new();
    walk(root, root, &mut lines);
    lines.sort_by(|a, b| a.split_once('"').unwrap().1.cmp(b.split_once('"').unwrap().1));
    lines.concat()
}

fn restores_as_promised(vault: &Vault, place: &Place, promised: &[(SnapshotId, String)]) {
    let mut ids = vault.snapshot_ids().unwrap();
    ids.sort();
    assert_eq!(ids, promised.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    for (id, text) in promised {
        let target = place.path("restored");
        let snapshot = vault.snapshot(id).unwrap();
        let restored = vault.restore(&snapshot.tree, &target, RestoreOptions::faithful()).unwrap();
        assert_eq!(restored.problems, []);
        assert_eq!(&described(&target), text, "{id}");
        fs::remove_dir_all(&target).unwrap();
    }
}

fn is_sound(vault: &Vault) {
    let report = vault.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
    assert_eq!(report.problems, []);
    assert!(report.bytes_read > 1000);
}

#[test]
fn every_golden_vault_restores_bit_for_bit() {
    for (folder, place) in copies() {
        eprintln!("{}", folder.display());
        let vault = open(&place.path("vault"));
        is_sound(&vault);
        restores_as_promised(&vault, &place, &promised(&folder));
    }
}

/// A directory of theirs that is read and written again has the same bytes, hence the same id.
#[test]
fn their_trees_are_written_as_they_were() {
    fn all(vault: &Vault, id: TreeId, found: &mut Vec<(TreeId, Vec<Node>)>) {
        let nodes = vault.tree(&id).unwrap().nodes;
        nodes.iter().filter_map(|node| node.subtree).for_each(|below| all(vault, below, found));
        found.push((id, nodes));
    }
    for (folder, place) in copies() {
        let vault = open(&place.path("vault"));
        let mut trees = Vec::new();
        for snapshot in vault.snapshots().unwrap() {
            all(&vault, snapshot.tree, &mut trees);
        }
        let writer = vault.writer(Cancel::new()).unwrap();
        for (id, nodes) in trees {
            assert_eq!(writer.put_tree(nodes).unwrap(), id, "{}", folder.display());
        }
        writer.abandon();
    }
}

/// What is in an old vault is found again by a new backup, and what an old prune marked is removed by a new one.
#[test]
fn life_goes_on_in_them() {
    for (folder, place) in copies() {
        let vault = open(&place.path("vault"));
        let kept = promised(&folder);
        let options = PruneOptions { grace: Duration::ZERO, unused_share: 0.0, ..PruneOptions::default() };
        let report = vault.prune(&options, &Cancel::new(), &Meter::new(), &|| false).unwrap();
        assert_eq!(report.damaged, []);
        assert_eq!(report.packs_removed > 0, folder.to_string_lossy().ends_with("-pruned"), "{report:?}");
        restores_as_promised(&vault, &place, &kept);
        let source = place.path("source");
        vault.restore(&vault.snapshot(&kept[0].0).unwrap().tree, &source, RestoreOptions::faithful()).unwrap();
        let before = vault.stats().unwrap().stored_bytes;
        let (archived, sealed) = backup(&vault, &source);
        assert!(archived.stored < before / 4, "{} of {before}", archived.stored);
        let again = place.path("again");
        vault.restore(&vault.snapshot(&sealed.snapshot).unwrap().tree, &again, RestoreOptions::faithful()).unwrap();
        assert_eq!(described(&again.join("source")), kept[0].1);
        is_sound(&vault);
    }
}

#[test]
fn stock_restic_accepts_them() {
    for program in restics() {
        if Command::new(&program).arg("version").output().is_err() {
            eprintln!("{program} is not installed");
            continue;
        }
        for (folder, place) in copies() {
            let mut command = place.restic_command(&["check", "--read-data"]);
            let output = if program == "restic" {
                command.output().unwrap()
            } else {
                let mut newest = Command::new(&program);
                newest.args(command.get_args()).envs(command.get_envs().filter_map(|(k, v)| Some((k, v?))));
                newest.output().unwrap()
            };
            let said = String::from_utf8_lossy(&output.stdout);
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("no errors were found"), "{program} in {}: {said}{errors}", folder.display());
        }
    }
}

/// Bytes that do not compress, always the same.
fn noise(length: usize, seed: u8) -> Vec<u8> {
    let blocks = (0..length.div_ceil(32)).map(|at| Id::of(format!("{seed} {at}").as_bytes()));
    blocks.flat_map(|id| *id.as_bytes()).take(length).collect()
}

fn text(lines: usize) -> String {
    (0..lines).map(|n| format!("{n}: the quick brown fox jumps over the lazy dog\n")).collect()
}

fn odd_tree(root: &Path) {
    let at = |name: &str| root.join(name);
    fs::create_dir_all(at("a/b/empty directory")).unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::write(at("a/text"), text(900)).unwrap();
    fs::write(at("a/b/noise"), noise(20_000, 1)).unwrap();
    fs::File::create(at("all hole")).unwrap().set_len(300_000).unwrap();
    for name in [&b"latin1 \xfc\xff"[..], b"new\nline", b"quote\" back\\slash", b"tab\there", b"<&>", b"-rf", b" "] {
        fs::write(root.join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::create_dir(root.join(OsStr::from_bytes(b"dir \xe9"))).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"dir \xe9/\xe2\x80\xa8 \xf0\x9f\x99\x82")), "x").unwrap();
    symlink("a/text", at("link")).unwrap();
    symlink("/nowhere/at all", at("broken link")).unwrap();
    symlink(OsStr::from_bytes(b"to \xff"), at("odd link")).unwrap();
    fs::hard_link(at("a/text"), at("a/b/hard")).unwrap();
    run("mkfifo", &[at("pipe").as_os_str()]);
    for (name, mode) in [("a/text", 0o4755), ("a/b/noise", 0o400), ("a/b", 0o2750), ("pipe", 0o622)] {
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    mtime(&at("a/b/noise"), 981_173_106, 123_456_789);
    mtime(&at("a/b"), 1, 1);
    mtime(&at("a"), 4_102_444_800, 0);
}

/// Puts what a test made among the golden ones.
fn keep(place: &Place, name: &str, promised: &[(SnapshotId, String)]) {
    let folder = golden().join(name);
    fs::create_dir_all(&folder).unwrap();
    run("cp", &["-r".as_ref(), place.path("vault").as_os_str(), folder.as_os_str()]);
    for (id, text) in promised {
        fs::write(folder.join(format!("{id}.txt")), text).unwrap();
    }
}

/// Writes `source` and `database/dump.pgc`, the latter as a stream with cuts, and gives the snapshot.
fn with_dump(vault: &Vault, root: &Path, dump: &[&[u8]], time: OffsetDateTime) -> SnapshotId {
    let parent = vault.snapshots().unwrap().pop();
    let before = parent.as_ref().and_then(|parent| vault.find(&parent.tree, Path::new("source")).ok()?.subtree);
    let writer = vault.writer(Cancel::new()).unwrap();
    let source = Source { parent: before, ..Source::new(root.join("source")) };
    let archived = writer.archive(&source, &Meter::new()).unwrap();
    assert_eq!(archived.skipped, []);
    let mut stream = writer.stream(Chunking::Dump, &Meter::new());
    for part in dump {
        stream.cut().unwrap();
        stream.write_all(part).unwrap();
    }
    let streamed = stream.finish().unwrap();
    let database = writer
        .put_tree(vec![Node::file("dump.pgc", streamed.content, streamed.bytes, time)])
        .map(|tree| Node::dir("database", tree, time))
        .unwrap();
    let tree = writer.put_tree(vec![database, archived.node.with_name("source")]).unwrap();
    writer.seal(holdfast_vault::SnapshotDraft { parent: parent.map(|p| p.id), ..draft(tree) }).unwrap().snapshot
}

/// The folder `root`, with the same database that [`with_dump`] seals.
fn put_dump(root: &Path, dump: &[&[u8]], time: OffsetDateTime) {
    let folder = root.join("database");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dump.pgc"), dump.concat()).unwrap();
    fs::set_permissions(folder.join("dump.pgc"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    mtime(&folder.join("dump.pgc"), time.unix_timestamp(), 0);
    mtime(&folder, time.unix_timestamp(), 0);
}

fn write_with_dump(name: &str) {
    let place = Place::new();
    let (vault, root) = (place.vault(), place.path("root"));
    odd_tree(&root.join("source"));
    let time = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
    let (first, second) = (text(1500), noise(9000, 2));
    let (one, two): (Vec<&[u8]>, Vec<&[u8]>) =
        (vec![b"PGDMP, say", first.as_bytes()], vec![b"PGDMP, say", &second, first.as_bytes()]);
    let mut kept = Vec::new();
    for dump in [one, two] {
        put_dump(&root, &dump, time);
        kept.push((with_dump(&vault, &root, &dump, time), described(&root)));
        fs::write(root.join("source/added later"), text(100)).unwrap();
    }
    keep(&place, name, &kept);
}

fn write_pruned(name: &str) {
    let place = Place::new();
    let (vault, root) = (place.vault(), place.path("root"));
    let source = root.join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("gone soon"), noise(30_000, 3)).unwrap();
    let (_, first) = backup(&vault, &source);
    fs::remove_file(source.join("gone soon")).unwrap();
    fs::write(source.join("compressed"), text(700)).unwrap();
    fs::write(source.join("not compressed"), noise(20_000, 4)).unwrap();
    let (_, second) = backup(&vault, &source);
    vault.forget(&first.snapshot).unwrap();
    let report = vault.prune(&PruneOptions::default(), &Cancel::new(), &Meter::new(), &|| false).unwrap();
    assert!(report.packs_waiting >= 2, "{report:?}");
    keep(&place, name, &[(second.snapshot, described(&root))]);
}

fn write_by_restic(program: &str, name: &str) {
    let place = Place::new();
    let root = place.path("root");
    odd_tree(&root.join("source"));
    let restic = |args: &[&str]| {
        let command = place.restic_command(args);
        let mut newest = Command::new(program);
        newest.args(args).envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).current_dir(&root);
        assert!(newest.status().unwrap().success());
    };
    restic(&["init"]);
    let mut kept: Vec<(SnapshotId, String)> = Vec::new();
    for _ in 0..2 {
        restic(&["backup", "--host", "host", "--tag", "golden", "source"]);
        let vault = open(&place.path("vault"));
        let new = vault.snapshot_ids().unwrap().into_iter().find(|id| kept.iter().all(|(old, _)| old != id)).unwrap();
        kept.push((new, described(&root)));
        fs::write(root.join("source/added later"), text(100)).unwrap();
    }
    keep(&place, name, &kept);
}

#[test]
#[ignore = "adds golden vaults that are not there yet, for a new version"]
fn write_golden_vaults() {
    let ours = concat!("holdfast-", env!("CARGO_PKG_VERSION"));
    let missing = |name: &str| !golden().join(name).exists();
    if missing(ours) {
        write_with_dump(ours);
    }
    let pruned = format!("{ours}-pruned");
    if missing(&pruned) {
        write_pruned(&pruned);
    }
    let newest = restics().pop().unwrap();
    let version = Command::new(&newest).arg("version").output().expect("restic is installed").stdout;
    let version = String::from_utf8(version).unwrap();
    let theirs = format!("restic-{}", version.split_whitespace().nth(1).unwrap());
    if missing(&theirs) {
        write_by_restic(&newest, &theirs);
    }
}
