use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
};

use holdfast_engine::{DiffError, diff::diff};
use holdfast_model::{
    diff::{Changes, FileCounts},
    manifest::Skipped,
};
use serde_json::json;

use super::{files, mirrored, one, sorted, told, work};
use crate::bench::{Bench, run};

fn up(bench: &Bench) -> holdfast_model::definition::Definition {
    bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_told_as_what_it_is_and_the_other_way_round_as_its_mirror() {
    let bench = Bench::new().await;
    let root = bench.app("up");
    let odd = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    for (path, text) in [
        ("src/routes.js", "one\ntwo\nthree\nfour\n"),
        ("src/old.js", "gone\n"),
        ("kept/a", "the same"),
        ("move/me.txt", "content that moves"),
        ("image.png", "\u{0}\u{1}png"),
        ("private.key", "key"),
        ("timed", "touched only"),
        ("becomes", "a folder"),
        ("was/a-folder", "x"),
        ("emptied/x", "x"),
    ] {
        bench.write(&format!("up/{path}"), text);
    }
    fs::set_permissions(root.join("private.key"), Permissions::from_mode(0o644)).unwrap();
    symlink("one", root.join("link")).unwrap();
    fs::write(odd(b"bytes-\xff\xfe"), "odd\n").unwrap();
    fs::write(odd(b"two\nlines"), "odd\n").unwrap();
    let definition = up(&bench);
    let first = bench.take(&definition).await;
    assert_eq!(one(&bench, &first, &first).await.changes, Changes::Same);

    fs::write(root.join("src/routes.js"), "one\n2\nthree\nfour\nfive\n").unwrap();
    fs::remove_file(root.join("src/old.js")).unwrap();
    bench.write("up/src/new-endpoint.js", "new\n");
    fs::create_dir(root.join("moved")).unwrap();
    fs::rename(root.join("move/me.txt"), root.join("moved/me.txt")).unwrap();
    fs::write(root.join("image.png"), "\u{0}\u{2}png, longer").unwrap();
    fs::set_permissions(root.join("private.key"), Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::lchown(root.join("private.key"), Some(12345), None).unwrap();
    run(&root, &["touch", "-d", "2001-02-03", "timed"]);
    fs::remove_file(root.join("becomes")).unwrap();
    fs::create_dir(root.join("becomes")).unwrap();
    fs::write(root.join("becomes/one"), "1").unwrap();
    fs::remove_dir_all(root.join("was")).unwrap();
    fs::write(root.join("was"), "a file now").unwrap();
    fs::remove_file(root.join("emptied/x")).unwrap();
    fs::create_dir(root.join("hollow")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    symlink("two", root.join("link")).unwrap();
    fs::write(odd(b"bytes-\xff\xfe"), "odder\n").unwrap();
    fs::remove_file(odd(b"two\nlines")).unwrap();
    run(&root, &["mkfifo", "pipe"]);
    let second = bench.take_after(&definition, &first).await;

    let part = one(&bench, &first, &second).await;
    let expected = [
        "M becomes [file → dir]",
        "A becomes/one",
        "M bytes-\\xFF\\xFE +1 -1",
        "D emptied/x",
        "A hollow [dir]",
        "M image.png",
        "M link [symlink]",
        "A moved [dir]",
        "R move/me.txt > moved/me.txt",
        "A pipe [fifo]",
        "* private.key (mode 0644 → 0600; owner root → 12345)",
        "A src/new-endpoint.js",
        "D src/old.js",
        "M src/routes.js +2 -1",
        "D two\nlines",
        "M was [dir → file]",
        "D was/a-folder",
    ];
    assert_eq!(told(files(&part)), expected);
    let counts = FileCounts { modified: 6, added: 3, deleted: 4, renamed: 1, metadata: 1, directories: 2 };
    assert_eq!(files(&part).counts, counts);
    assert_eq!(files(&part).more, 0);
    let odd = files(&part).entries.iter().find(|entry| entry.raw.is_some()).unwrap();
    assert_eq!(odd.raw.as_deref(), Some("62797465732dfffe"));
    let image = files(&part).entries.iter().find(|entry| entry.path == "image.png").unwrap();
    assert_eq!((image.before, image.after), (Some(5), Some(13)));

    let back = one(&bench, &second, &first).await;
    assert_eq!(sorted(files(&back)), sorted(&mirrored(files(&part))));
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_are_one_to_one_and_empty_files_are_none() {
    let bench = Bench::new().await;
    for path in ["a1", "a2", "a3"] {
        bench.write(&format!("up/{path}"), "alike");
    }
    bench.write("up/empty", "");
    let definition = up(&bench);
    let first = bench.take(&definition).await;
    for path in ["a1", "a2", "a3", "empty"] {
        fs::remove_file(bench.app("up").join(path)).unwrap();
    }
    bench.write("up/b1", "alike");
    bench.write("up/b2", "alike");
    bench.write("up/hollow", "");
    let second = bench.take(&definition).await;
    let part = one(&bench, &first, &second).await;
    assert_eq!(told(files(&part)), ["D a3", "R a1 > b1", "R a2 > b2", "D empty", "A hollow"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept_and_said() {
    let bench = Bench::new().await;
    for index in 0..60 {
        bench.write(&format!("up/f{index:02}"), &format!("{index}\n"));
    }
    let definition = up(&bench);
    let first = bench.take(&definition).await;
    for index in 0..50 {
        bench.write(&format!("up/f{index:02}"), &format!("{index}\nchanged\n"));
    }
    let second = bench.take(&definition).await;
    let mut few = work(&bench, &first, &second);
    few.limits.entries = 20;
    few.limits.text = 8;
    let found = diff(&few, &bench.tools, &bench.ctx()).await.unwrap();
    let changes = files(&found.components[0]);
    assert_eq!((changes.counts.modified, changes.entries.len(), changes.more), (50, 20, 30));
    assert!(changes.entries.iter().all(|entry| entry.lines.is_none()), "longer than the longest text");
    few.limits.text = 1 << 20;
    few.limits.patience = std::time::Duration::ZERO;
    let found = diff(&few, &bench.tools, &bench.ctx()).await.unwrap();
    assert!(files(&found.components[0]).entries.iter().all(|entry| entry.lines.is_none()), "no time");

    let ctx = bench.ctx();
    let cancel = bench.cancel.clone();
    cancel.cancel();
    assert!(matches!(diff(&few, &bench.tools, &ctx).await, Err(DiffError::Cancelled)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_checkpoint_could_not_read_was_not_removed() {
    let bench = Bench::new().await;
    for path in ["up/locked/a", "up/open/b", "up/c.log"] {
        bench.write(path, path);
    }
    let definition = up(&bench);
    let first = bench.take(&definition).await;
    fs::remove_dir_all(bench.app("up/locked")).unwrap();
    fs::remove_dir_all(bench.app("up/open")).unwrap();
    let narrower = bench
        .define(json!([{"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["*.log"]}]), json!({}));
    let mut second = bench.take(&narrower).await;
    // As root everything can be read, so the entry is put into the manifest.
    second.manifest.components[0].skipped.push(Skipped {
        component: "up".into(),
        name: "locked".into(),
        reason: "unreadable".into(),
        message: "Permission denied".into(),
    });
    let part = one(&bench, &first, &second).await;
    assert_eq!(told(files(&part)), ["D c.log", "D open [dir]", "D open/b"]);
    let said: Vec<_> = part.skipped.iter().map(|skipped| (skipped.name.as_str(), skipped.message.as_str())).collect();
    let pattern = "only the second checkpoint leaves out what matches `*.log`: such files look deleted";
    assert_eq!(said, [("locked", "Permission denied; in the second checkpoint only"), ("*.log", pattern)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_in_two_vaults_are_compared_by_their_bytes() {
    let (bench, other) = (Bench::new().await, Bench::new().await);
    // Long enough to be cut into several pieces, which every vault does in its own places.
    let long: String =
        (0..400_000).map(|number: u64| format!("{}\n", number.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    for bench in [&bench, &other] {
        bench.write("up/long", &long);
        bench.write("up/short", "short");
        run(&bench.app("up"), &["chmod", "-R", "u=rwX,go=rX", "."]);
    }
    other.write("up/short", "not so short");
    let (first, second) = (bench.take(&up(&bench)).await, other.take(&up(&other)).await);
    let content = |bench: &Bench, checkpoint: &crate::bench::Checkpoint| {
        bench.vault.find(&checkpoint.root, Path::new("files/up/long")).unwrap().content
    };
    assert_ne!(content(&bench, &first), content(&other, &second), "the vaults cut in the same places");
    let mut work = work(&bench, &first, &second);
    work.second.vault = other.vault.clone();
    let found = diff(&work, &bench.tools, &bench.ctx()).await.unwrap();
    assert_eq!(told(files(&found.components[0])), ["M short +1 -1"]);
}
