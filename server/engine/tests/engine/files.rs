use std::{fs, os::unix::ffi::OsStrExt as _, path::Path};

use holdfast_model::{manifest::Facts, state::Proof};
use serde_json::json;

use crate::bench::{Bench, listing};

fn places(bench: &Bench, checkpoint: &crate::bench::Checkpoint, place: &str) -> Vec<String> {
    let target = bench.scratch().join("out");
    let tree = bench.vault.find(&checkpoint.root, Path::new(place)).unwrap().subtree.unwrap();
    bench.vault.restore(&tree, &target, Default::default()).unwrap();
    listing(&target).into_keys().map(|path| path.display().to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_leave_out_what_they_say_and_nothing_else() {
    let bench = Bench::new().await;
    for path in ["up/a.txt", "up/x.log", "up/deep/y.log", "up/tmp/z", "up/deep/tmp/kept", "up/abs/gone", "up/cache/c"] {
        bench.write(path, path);
    }
    let absolute = format!("{}/abs", bench.app("up").display());
    let definition = bench.define(
        json!([{"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["*.log", "/tmp/*", absolute]}]),
        json!({}),
    );
    let mut work = bench.work(&definition);
    work.exclude = vec!["cache/".into()];
    let checkpoint = bench.checkpoint(work).await;
    assert_eq!(places(&bench, &checkpoint, "files/up"), ["a.txt", "deep", "deep/tmp", "deep/tmp/kept", "tmp"]);
    let part = checkpoint.part("up");
    assert!(part.not_covered.iter().any(|line| line.contains("*.log")), "{:?}", part.not_covered);
    assert!(matches!(&part.facts, Facts::Files { files: 2, dirs: 4, .. }), "{:?}", part.facts);
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Proven, "{report:?}");
    assert_eq!(report.reason, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_that_is_none_is_named() {
    let bench = Bench::new().await;
    bench.write("up/a", "a");
    let definition =
        bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["a{b"]}]), json!({}));
    let error = bench.try_capture(bench.work(&definition)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("`up`") && error.contains("`a{b`"), "{error}");
    let gone = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("nowhere")}]), json!({}));
    let error = bench.try_capture(bench.work(&gone)).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("nowhere does not exist"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_components_and_our_own_data_are_left_out_and_said() {
    let bench = Bench::new().await;
    for path in ["site/index.html", "site/inner/file", "site/.env", "site/.holdfast-trash-run_x/old"] {
        bench.write(path, "A=1");
    }
    fs::create_dir(bench.app("site/hold")).unwrap();
    rusqlite::Connection::open(bench.app("site/s.db")).unwrap().execute_batch("create table t (a)").unwrap();
    bench.write("site/s.db-wal", "");
    let definition = bench.define(
        json!([
            {"name": "site", "kind": "files", "path": bench.app("site")},
            {"name": "inner", "kind": "files", "path": bench.app("site/inner")},
            {"name": "env", "kind": "config", "file": bench.app("site/.env")},
            {"name": "db", "kind": "sqlite", "path": bench.app("site/s.db")},
        ]),
        json!({}),
    );
    let mut work = bench.work(&definition);
    work.forbidden.push(bench.app("site/hold"));
    let checkpoint = bench.checkpoint(work).await;
    assert_eq!(places(&bench, &checkpoint, "files/site"), ["index.html"]);
    let said = checkpoint.part("site").not_covered.join("\n");
    for word in ["`inner`: component `inner`", "`.env`: component `env`", "`hold`: it is Holdfast's own data"] {
        assert!(said.contains(word), "{said}");
    }
    let mut inside = bench.work(&definition);
    inside.forbidden.push(bench.app("site"));
    let error = bench.try_capture(inside).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("never captured"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_awkward_tree_comes_back_as_it_was_and_costs_nothing_twice() {
    let bench = Bench::new().await;
    let root = bench.app("up");
    for index in 0..300 {
        bench.write(&format!("up/d{}/f{index}", index % 7), &format!("file {index} ").repeat(50 + index));
    }
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"not-utf8-\xff\xfe")), "x").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    std::os::unix::fs::symlink("nowhere/at/all", root.join("dangling")).unwrap();
    fs::hard_link(root.join("d0/f0"), root.join("hard")).unwrap();
    crate::bench::run(&root, &["mkfifo", "pipe"]);
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": root}]), json!({}));
    let first = bench.take(&definition).await;
    let second = bench.take_after(&definition, &first).await;
    assert_eq!(second.part("up").stored, 0);
    let Facts::Files { files, unchanged, .. } = second.part("up").facts.clone() else { panic!() };
    assert_eq!((files, unchanged), (303, 303));
    assert_eq!(bench.drill(&definition, &second).await.verdict, Proof::Proven);

    let before = listing(&root);
    fs::remove_dir_all(&root).unwrap();
    bench.restore(&definition, &second).await.unwrap();
    assert_eq!(listing(&root), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_is_a_component_too() {
    let bench = Bench::new().await;
    let file = bench.write("conf/app.ini", "one");
    bench.write("conf/other", "other");
    let definition = bench.define(json!([{"name": "ini", "kind": "files", "path": file}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    assert_eq!(places(&bench, &checkpoint, "files/ini"), ["app.ini"]);
    assert_eq!(bench.drill(&definition, &checkpoint).await.verdict, Proof::Proven);
    fs::write(&file, "two").unwrap();
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    assert_eq!(fs::read_to_string(bench.app("conf/other")).unwrap(), "other");
    fs::remove_dir_all(bench.app("conf")).unwrap();
    bench.restore(&definition, &checkpoint).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_skipped_lowers_the_verdict_unless_it_is_accepted() {
    let bench = Bench::new().await;
    bench.write("up/a", "a");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let mut checkpoint = bench.take(&definition).await;
    // As root everything can be read, so the entry is put into the manifest.
    checkpoint.manifest.components[0].skipped.push(holdfast_model::manifest::Skipped {
        component: "up".into(),
        name: "cache/secret.key".into(),
        reason: "unreadable".into(),
        message: "Permission denied".into(),
    });
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Partial);
    assert!(report.reason.unwrap().contains("cache/secret.key"));
    let accepting = bench.define(
        json!([{"name": "up", "kind": "files", "path": bench.app("up")}]),
        json!({"drill": {"accept": ["cache/*.key"]}}),
    );
    let report = bench.drill(&accepting, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Proven);
    assert!(report.components[0].gaps[0].accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_bytes_in_the_vault_fail_the_drill() {
    let bench = Bench::new().await;
    bench.write("up/a", &"some text that is kept ".repeat(5000));
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    for pack in walk(&bench.dir.path().join("vault/data")) {
        let mut bytes = fs::read(&pack).unwrap();
        let middle = 40;
        bytes[middle] ^= 1;
        crate::bench::run(bench.dir.path(), &["chmod", "u+w", pack.to_str().unwrap()]);
        fs::write(&pack, bytes).unwrap();
    }
    let report = bench.drill(&definition, &checkpoint).await;
    assert_eq!(report.verdict, Proof::Failed);
    assert!(report.reason.unwrap().contains("damaged"), "no reason");
}

fn walk(root: &Path) -> Vec<std::path::PathBuf> {
    listing(root).into_keys().map(|path| root.join(path)).filter(|path| path.is_file()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_while_they_are_read_never_fail_a_checkpoint() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let bench = Bench::new().await;
    for index in 0..200 {
        bench.write(&format!("up/f{index}"), &"steady ".repeat(3000));
    }
    let (stop, root) = (std::sync::Arc::new(AtomicBool::new(false)), bench.app("up"));
    let stopped = stop.clone();
    let handle = std::thread::spawn(move || {
        let mut round = 0_usize;
        while !stopped.load(Ordering::Relaxed) {
            fs::write(root.join("busy"), format!("{round} ").repeat(40_000)).unwrap();
            let _ = fs::remove_file(root.join(format!("gone{}", round.wrapping_sub(1))));
            fs::write(root.join(format!("gone{round}")), "soon gone").unwrap();
            round += 1;
        }
        round
    });
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    for _ in 0..5 {
        let checkpoint = bench.take(&definition).await;
        let report = bench.drill(&definition, &checkpoint).await;
        let expected = if checkpoint.part("up").skipped.is_empty() { Proof::Proven } else { Proof::Partial };
        assert_eq!(report.verdict, expected, "{report:#?}");
        assert!(
            checkpoint.part("up").skipped.iter().all(|s| s.reason == "unsettled"),
            "{checkpoint:?}",
            checkpoint = checkpoint.part("up")
        );
    }
    stop.store(true, Ordering::Relaxed);
    assert!(handle.join().unwrap() > 5);
}
