//! Restores of a part, into a folder, and what is said of them beforehand.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use holdfast_engine::{
    Destination, Live, Planned, RestoreError, RestoreWork,
    restore::{look, validate},
};
use holdfast_model::{
    definition::Definition,
    event::{EventBody, StepState},
    plan::PlanItem,
};
use holdfast_vault::{Cancel, Chunking, Meter, Node, TreeId};
use serde_json::json;

use crate::bench::{Bench, Checkpoint, listing, name, run};

/// One of each kind, and its checkpoint.
async fn shop(bench: &Bench) -> (Definition, Checkpoint) {
    for path in ["up/a.txt", "up/b.txt", "up/img/logo.svg", "up/img/deep/photo.jpg", "up/x.log"] {
        bench.write(path, "as sealed");
    }
    bench.write(".env", "KEY=1\nOTHER=2\n");
    rusqlite::Connection::open(bench.app("s.db"))
        .unwrap()
        .execute_batch("create table t (a); insert into t values (1)")
        .unwrap();
    bench.write("code/main.rs", "fn main() {}\n");
    run(&bench.app("code"), &["git", "init", "-q", "-b", "main"]);
    run(&bench.app("code"), &["git", "add", "."]);
    run(&bench.app("code"), &["git", "commit", "-q", "-m", "first"]);
    let definition = bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("up"), "exclude": ["*.log"]},
            {"name": "code", "kind": "git", "path": bench.app("code")},
            {"name": "env", "kind": "config", "file": bench.app(".env")},
            {"name": "db", "kind": "sqlite", "path": bench.app("s.db")},
        ]),
        json!({"restore": {"stop": ["/bin/true"]}}),
    );
    let checkpoint = bench.take(&definition).await;
    (definition, checkpoint)
}

async fn plan(bench: &Bench, work: RestoreWork) -> Planned {
    look(work, &bench.tools, &bench.ctx()).await.unwrap().plan()
}

fn item<'a>(plan: &'a Planned, component: &str) -> &'a PlanItem {
    plan.items.iter().find(|item| item.component.as_str() == component).unwrap()
}

async fn carry_out(bench: &Bench, work: RestoreWork) -> Result<holdfast_engine::RestoreReport, RestoreError> {
    validate(work, &bench.tools, &bench.ctx()).await?.carry_out(&bench.ctx()).await
}

fn refused(error: &RestoreError) -> String {
    let RestoreError::Refused(faults) = error else { panic!("{error:?}") };
    faults.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_the_restore_does_and_touches_nothing() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    fs::write(bench.app("up/a.txt"), "changed since, and longer").unwrap();
    fs::remove_dir_all(bench.app("up/img")).unwrap();
    bench.write("up/new/precious.txt", "new since");
    fs::write(bench.app(".env"), "KEY=9\nMORE=3\n").unwrap();
    run(&bench.app("code"), &["git", "commit", "-q", "--allow-empty", "-m", "second"]);
    run(&bench.app("code"), &["git", "branch", "later"]);
    let before = listing(bench.dir.path());
    let planned = plan(&bench, bench.restore_work(&definition, &checkpoint)).await;
    let mut after = listing(bench.dir.path());
    // The folder that this restore would work in was made by the test.
    after.retain(|path, _| before.contains_key(path) || !path.starts_with("scratch"));
    assert_eq!(after, before, "a plan has touched something");

    assert_eq!(planned.refused, Vec::<String>::new());
    let up = item(&planned, "up");
    assert_eq!(up.place, bench.app("up").display().to_string());
    assert_eq!((up.made.count, up.changed.count, up.removed.count, up.kept.count, up.same), (2, 1, 1, 1, 1));
    assert_eq!(up.changed.first, ["a.txt"]);
    assert_eq!(up.removed.first, ["new"]);
    assert_eq!(up.kept.first, ["x.log"]);
    assert_eq!(up.made.first, ["img/logo.svg", "img/deep/photo.jpg"]);
    assert!(up.keeps.as_ref().is_some_and(|keeps| keeps.ends_with(".holdfast-trash-…/up")), "{:?}", up.keeps);
    assert!(up.does.join("\n").contains("2 files are made"), "{:?}", up.does);
    let code = item(&planned, "code");
    assert_eq!(
        (code.changed.first.clone(), code.removed.first.clone()),
        (vec!["refs/heads/main".into()], vec!["refs/heads/later".into()])
    );
    let env = item(&planned, "env");
    assert_eq!(
        (&env.made.first[..], &env.changed.first[..], &env.removed.first[..]),
        (&["OTHER".to_owned()][..], &["KEY".to_owned()][..], &["MORE".to_owned()][..])
    );
    let db = item(&planned, "db");
    assert_eq!((db.changed.count, db.versions.len()), (1, 1));
    assert_eq!(planned.would_lose.len(), 4, "{:?}", planned.would_lose);
    assert!(planned.stands);
    assert!(planned.space.iter().all(|space| space.free > space.needed), "{:?}", planned.space);

    // What was planned is what is carried out: the same steps, and the same files.
    let done = carry_out(&bench, bench.restore_work(&definition, &checkpoint)).await.unwrap();
    let told: Vec<(String, bool)> = bench
        .told
        .0
        .lock()
        .unwrap()
        .iter()
        .filter_map(|body| match body {
            EventBody::Step { step, state, .. } if step.starts_with("restore:") && *state != StepState::Started => {
                Some((step.clone(), *state == StepState::Done))
            }
            _ => None,
        })
        .collect();
    let steps: Vec<(String, bool)> =
        planned.steps.iter().map(|step| (step.step.clone(), step.skipped.is_none())).collect();
    assert_eq!(told, steps);
    assert_eq!(fs::read_to_string(bench.app("up/a.txt")).unwrap(), "as sealed");
    assert!(done.kept.iter().any(|line| line.starts_with("2 entries in ")), "{:?}", done.kept);

    // Once more there is nothing to do.
    let again = plan(&bench, bench.restore_work(&definition, &checkpoint)).await;
    let up = item(&again, "up");
    assert_eq!((up.made.count, up.changed.count, up.removed.count, up.bytes), (0, 0, 0, 0));
    assert!(up.keeps.is_none() && up.does.join("\n").contains("nothing is written"), "{up:?}");
    assert_eq!(item(&again, "env").same, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plan_still_says_the_rest() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    let open = rusqlite::Connection::open(bench.app("s.db")).unwrap();
    open.execute_batch("begin immediate; insert into t values (2)").unwrap();
    let mut work = bench.restore_work(&definition, &checkpoint);
    work.definition.restore.stop = None;
    let planned = plan(&bench, work).await;
    assert_eq!(planned.items.len(), 3);
    assert!(
        planned.refused[0].contains("`db`") && planned.refused[0].contains("restore.stop"),
        "{:?}",
        planned.refused
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_matches_is_put_back() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    let only = |patterns: &[&str]| {
        let mut work = bench.restore_work(&definition, &checkpoint);
        work.components = vec![name("up")];
        work.paths = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        work
    };
    let spoil = || {
        for path in ["up/a.txt", "up/b.txt", "up/img/logo.svg", "up/x.log"] {
            bench.write(path, "spoiled since then");
        }
        let _ = fs::remove_dir_all(bench.app("up/img/deep"));
        bench.write("up/img/newer.svg", "newer");
    };
    let read = |path: &str| fs::read_to_string(bench.app(path)).unwrap_or_default();

    spoil();
    let planned = plan(&bench, only(&["*.svg"])).await;
    let up = item(&planned, "up");
    assert_eq!(up.matched.as_ref().unwrap().first, ["img/logo.svg"]);
    assert_eq!((up.made.count, up.changed.count, up.removed.count), (0, 1, 0));
    let done = carry_out(&bench, only(&["*.svg"])).await.unwrap();
    assert!(done.matched[0].contains("`up`: 1 file matched"), "{:?}", done.matched);
    assert_eq!(read("up/img/logo.svg"), "as sealed");
    assert_eq!((read("up/a.txt"), read("up/img/newer.svg")), ("spoiled since then".into(), "newer".into()));
    assert!(!bench.app("up/img/deep").exists());
    let trash = bench.app(&format!(".holdfast-trash-{}/up/img/logo.svg", only(&[]).run));
    assert!(trash.exists() || done.kept.len() == 1, "{:?}", done.kept);

    // A folder, an absolute pattern, one that takes away, and what is excluded.
    spoil();
    let absolute = bench.app("up/a.txt").display().to_string();
    carry_out(&bench, only(&["img/", &absolute, "!logo.svg", "x.log", "b.*"])).await.map(drop).unwrap_err();
    let done = carry_out(&bench, only(&["img/**", &absolute, "!logo.svg"])).await.unwrap();
    assert_eq!((read("up/a.txt"), read("up/img/deep/photo.jpg")), ("as sealed".into(), "as sealed".into()));
    assert_eq!((read("up/img/logo.svg"), read("up/b.txt")), ("spoiled since then".into(), "spoiled since then".into()));
    assert!(done.matched[0].contains("2 files matched"), "{:?}", done.matched);

    // Refusals: nothing matches, another kind, a pattern that is none, and something in the way.
    let before = listing(&bench.app(""));
    let error = refused(&carry_out(&bench, only(&["*.svg", "no/such/**"])).await.unwrap_err());
    assert!(error.contains("`no/such/**` matches nothing in `up`"), "{error}");
    let mut all = only(&["*.svg"]);
    all.components = ["up", "db"].map(name).into();
    let error = refused(&carry_out(&bench, all).await.unwrap_err());
    assert!(error.contains("`db` is of kind `sqlite`"), "{error}");
    let error = refused(&carry_out(&bench, only(&["[z-a]"])).await.unwrap_err());
    assert!(error.contains("[z-a]"), "{error}");
    assert_eq!(listing(&bench.app("")), before);
    fs::remove_dir_all(bench.app("up/img")).unwrap();
    symlink(bench.app("code"), bench.app("up/img")).unwrap();
    let error = refused(&carry_out(&bench, only(&["*.svg"])).await.unwrap_err());
    assert!(error.contains("up/img is no folder now"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_components_go_into_a_folder_one_each() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    let before = listing(&bench.app(""));
    let folder = bench.dir.path().join("out");
    let into = |folder: &Path, components: &[&str]| {
        let mut work = bench.restore_work(&definition, &checkpoint);
        work.destination = Destination::Folder(folder.to_path_buf());
        work.components = components.iter().map(|text| name(text)).collect();
        work
    };
    let all = ["up", "code", "env", "db"];
    let planned = plan(&bench, into(&folder, &all)).await;
    assert_eq!(planned.refused, Vec::<String>::new());
    assert_eq!(item(&planned, "db").place, folder.join("db/s.db").display().to_string());
    assert!(!planned.stands && planned.would_lose.is_empty());
    let skipped = |step: &str| planned.steps.iter().find(|one| one.step == step).unwrap().skipped.clone();
    assert!(skipped("restore:stop").unwrap().contains("nothing of the application"));
    assert_eq!(skipped("restore:place"), None);
    assert!(!folder.exists());

    let done = carry_out(&bench, into(&folder, &all)).await.unwrap();
    assert_eq!(fs::read_to_string(folder.join("up/img/deep/photo.jpg")).unwrap(), "as sealed");
    assert_eq!(fs::read_to_string(folder.join("code/main.rs")).unwrap(), "fn main() {}\n");
    assert_eq!(fs::read_to_string(folder.join("env/.env")).unwrap(), "KEY=1\nOTHER=2\n");
    let rows = rusqlite::Connection::open(folder.join("db/s.db")).unwrap();
    assert_eq!(rows.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!(run(&folder.join("code"), &["git", "status", "--porcelain"]), "");
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700, "others can look into it");
    assert!(!format!("{done:?}").contains(".holdfast-"), "{done:?}");
    let names: Vec<_> = fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 4, "something was left beside it: {names:?}");
    assert_eq!(listing(&bench.app("")), before, "the application was touched");

    // One alone stands in the folder itself; one that is there and empty keeps its owner's word.
    let single = bench.dir.path().join("single");
    fs::create_dir(&single).unwrap();
    fs::set_permissions(&single, fs::Permissions::from_mode(0o755)).unwrap();
    let mut work = into(&single, &["up"]);
    work.paths = vec!["*.jpg".to_owned()];
    carry_out(&bench, work).await.unwrap();
    assert_eq!(listing(&single).len(), 3, "{:?}", listing(&single));
    assert!(single.join("img/deep/photo.jpg").is_file());
    assert_eq!(fs::metadata(&single).unwrap().mode() & 0o777, 0o755);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_refused_where_something_could_be_lost() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    let into = |folder: PathBuf| {
        let mut work = bench.restore_work(&definition, &checkpoint);
        work.components = vec![name("up")];
        work.live = vec![Live { name: "shop/test".into(), definition: definition.clone() }];
        work.destination = Destination::Folder(folder);
        work
    };
    bench.write("full/one", "x");
    symlink(bench.app("full"), bench.app("link")).unwrap();
    let before =
        listing(bench.dir.path()).into_iter().filter(|(path, _)| !path.starts_with("scratch")).collect::<Vec<_>>();
    for (folder, word) in [
        (bench.app("full"), "is not empty"),
        (bench.app("link"), "is a link"),
        (bench.app("full/one"), "is not a folder"),
        (bench.dir.path().join("vault/data/new"), "Holdfast's own data directory"),
        (bench.dir.path().join("scratch/x"), "Holdfast's own data directory"),
        (PathBuf::from("relative"), "not the absolute path"),
        (PathBuf::from("/"), "not the absolute path"),
        (bench.app("up/inside"), "overlaps"),
        (bench.app("code/.git/inside"), "overlaps"),
    ] {
        let error = refused(&carry_out(&bench, into(folder.clone())).await.unwrap_err());
        assert!(error.contains(word), "{}: {error}", folder.display());
    }
    let after =
        listing(bench.dir.path()).into_iter().filter(|(path, _)| !path.starts_with("scratch")).collect::<Vec<_>>();
    assert_eq!(after, before);
    let mut meant = into(bench.app("up/inside"));
    meant.overlap = true;
    carry_out(&bench, meant).await.unwrap();
    assert_eq!(fs::read_to_string(bench.app("up/inside/a.txt")).unwrap(), "as sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_leaves_nothing_of_a_folder_and_it_can_be_run_again() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    let folder = bench.dir.path().join("out");
    let into = || {
        let mut work = bench.restore_work(&definition, &checkpoint);
        work.destination = Destination::Folder(folder.clone());
        work
    };
    let entries = || {
        let mut names: Vec<_> =
            fs::read_dir(bench.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = entries();

    // Files: their content is gone from the vault. Databases and configuration: the same.
    let (data, away) = (bench.dir.path().join("vault/data"), tempfile::tempdir().unwrap());
    for (component, step) in [("up", "restore:files"), ("db", "restore:databases"), ("env", "restore:config")] {
        let mut work = into();
        work.components = vec![name("code"), name(component)];
        let validated = validate(work, &bench.tools, &bench.ctx()).await.unwrap();
        for pack in packs_with_data(&data) {
            fs::rename(&pack, away.path().join(pack.file_name().unwrap())).unwrap();
        }
        let error = validated.carry_out(&bench.ctx()).await.unwrap_err();
        for pack in fs::read_dir(away.path()).unwrap().map(|entry| entry.unwrap()) {
            let name = pack.file_name().into_string().unwrap();
            fs::rename(pack.path(), data.join(&name[..2]).join(&name)).unwrap();
        }
        let RestoreError::Step { step: failed, state, .. } = &error else { panic!("{error:?}") };
        assert!(failed == step || failed == "restore:files", "{error}");
        assert!(state.contains("Nothing was left") && state.contains("run again"), "{error}");
        assert_eq!(entries(), before, "{component}");
    }
    // In the last step: somebody was faster.
    let validated = validate(into(), &bench.tools, &bench.ctx()).await.unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("theirs"), "x").unwrap();
    let error = validated.carry_out(&bench.ctx()).await.unwrap_err();
    assert!(matches!(&error, RestoreError::Step { step, .. } if step == "restore:place"), "{error}");
    assert_eq!(fs::read_to_string(folder.join("theirs")).unwrap(), "x");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(entries(), before);
    // Cancelled.
    let mut ctx = bench.ctx();
    ctx.cancel = Cancel::new();
    let validated = validate(into(), &bench.tools, &ctx).await.unwrap();
    ctx.cancel.cancel();
    let error = validated.carry_out(&ctx).await.unwrap_err();
    assert!(matches!(error, RestoreError::Cancelled { .. }), "{error}");
    assert_eq!(entries(), before);
    carry_out(&bench, into()).await.unwrap();
    assert_eq!(fs::read_to_string(folder.join("up/a.txt")).unwrap(), "as sealed");
}

fn packs_with_data(data: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect()
}

/// Puts a tree that no capture would write into the place of a component.
fn with_tree(
    bench: &Bench,
    checkpoint: &Checkpoint,
    make: impl FnOnce(&holdfast_vault::Writer) -> TreeId,
) -> Checkpoint {
    let writer = bench.vault.writer(Cancel::new()).unwrap();
    let time = checkpoint.manifest.created_at;
    let up = make(&writer);
    let files = writer.put_tree(vec![Node::dir("up", up, time)]).unwrap();
    let root = writer.put_tree(vec![Node::dir("files", files, time)]).unwrap();
    let draft = holdfast_vault::SnapshotDraft {
        tree: root,
        time,
        paths: vec!["/".into()],
        tags: vec!["holdfast".into()],
        parent: None,
        hostname: "host".into(),
        username: "attacker".into(),
        program_version: "of their own".into(),
    };
    writer.seal(draft).unwrap();
    Checkpoint { root, ..checkpoint.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_tree_stays_inside_whichever_way_it_is_put_back() {
    let bench = Bench::new().await;
    bench.write("up/a.txt", "as sealed");
    bench.write("outside/precious", "precious");
    let definition = bench.define(json!([{"name": "up", "kind": "files", "path": bench.app("up")}]), json!({}));
    let checkpoint = bench.take(&definition).await;
    let hostile = with_tree(&bench, &checkpoint, |writer| {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        std::io::Write::write_all(&mut stream, b"evil").unwrap();
        let content = stream.finish().unwrap().content[0].to_string();
        let file = |name: &str, mode: u64| json!({"name": name, "type": "file", "mode": mode, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "size": 4, "content": [content]});
        let tree =
            |nodes: serde_json::Value| writer.put_raw_tree(json!({"nodes": nodes}).to_string().as_bytes()).unwrap();
        let dir = |name: &str, nodes: serde_json::Value| json!({"name": name, "type": "dir", "mode": (1_u64 << 31) | 0o755, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "content": null, "subtree": tree(nodes).to_string()});
        let link = json!({"name": "door", "type": "symlink", "mode": 0o777, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "linktarget": "../outside", "content": null});
        let device = json!({"name": "null", "type": "chardev", "mode": (1_u64 << 26) | (1 << 21) | 0o666, "mtime": "2001-01-01T00:00:00Z", "uid": 0, "gid": 0, "device": 259, "content": null});
        tree(json!([
            file("sound", 0o644),
            file("raised", (1_u64 << 23) | 0o755),
            device,
            link,
            dir(
                "sub",
                json!([
                    file("sound", 0o644),
                    file("../../../outside/precious", 0o644),
                    dir("..", json!([file("evil", 0o644)]))
                ])
            ),
            file("/etc/holdfast-evil", 0o644),
            dir("../outside", json!([file("precious", 0o644)])),
        ]))
    });
    let around = || {
        let mut all = listing(bench.dir.path());
        all.retain(|path, _| !["vault", "scratch", "app/up", "out"].iter().any(|own| path.starts_with(own)));
        all.retain(|path, _| !path.display().to_string().contains(".holdfast-trash-"));
        all
    };
    let before = around();
    let work = |paths: &[&str], destination: Destination| {
        let mut work = bench.restore_work(&definition, &hostile);
        work.paths = paths.iter().map(|path| (*path).to_owned()).collect();
        work.destination = destination;
        work
    };
    let folder = bench.dir.path().join("out");
    for (paths, into_folder) in [
        (&[][..], false),
        (&[][..], true),
        (&["**"][..], false),
        (&["**"][..], true),
        (&["sub/", "precious", "../outside"][..], false),
    ] {
        let destination = || if into_folder { Destination::Folder(folder.clone()) } else { Destination::Definition };
        let _ = fs::remove_dir_all(bench.app("up"));
        let planned = plan(&bench, work(paths, destination())).await;
        assert!(planned.items.iter().all(|item| !format!("{item:?}").contains("outside")), "{:?}", planned.items);
        // What cannot be put back is an error that names it; the rest stays usable.
        let error = carry_out(&bench, work(paths, destination())).await.unwrap_err();
        assert!(
            error.to_string().contains("cannot be a name") || error.to_string().contains("matches nothing"),
            "{error}"
        );
        assert_eq!(around(), before, "{paths:?} {into_folder}");
        assert!(!folder.exists());
        let up = bench.app("up");
        assert!(up.join("null").symlink_metadata().is_err() && !up.join("sub/evil").exists());
        if let Ok(facts) = fs::metadata(up.join("raised")) {
            assert_eq!(facts.mode() & 0o6000, 0);
        }
    }
    // Who names only what is sound gets it, though the rest of the tree is not.
    carry_out(&bench, work(&["/sound", "/raised"], Destination::Definition))
        .await
        .map(drop)
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fs::read_to_string(bench.app("up/sound")).unwrap(), "evil");
    assert_eq!(around(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_another_environment_are_not_written_over() {
    let bench = Bench::new().await;
    let (definition, checkpoint) = shop(&bench).await;
    bench.write("other/up/theirs", "theirs");
    let other = bench.define(
        json!([
            {"name": "all", "kind": "files", "path": bench.app("other")},
            {"name": "main", "kind": "postgres", "url": "postgres://u:canary-pw@127.0.0.1:5999/shop"},
        ]),
        json!({}),
    );
    let clone = bench.define(
        json!([
            {"name": "up", "kind": "files", "path": bench.app("other/up")},
            {"name": "db", "kind": "sqlite", "path": bench.app("clone.db")},
        ]),
        json!({}),
    );
    let mut work = bench.restore_work(&clone, &checkpoint);
    work.components = ["up", "db"].map(name).into();
    work.live =
        vec![Live { name: "shop/other".into(), definition: other }, Live { name: "shop/test".into(), definition }];
    let error = validate(work.clone(), &bench.tools, &bench.ctx()).await.map(drop).unwrap_err();
    let said = refused(&error);
    assert!(said.contains("component `all` of shop/other") && said.contains("--overlap"), "{said}");
    assert!(!said.contains("`db`") && !said.contains("canary"), "{said}");
    assert_eq!(fs::read_to_string(bench.app("other/up/theirs")).unwrap(), "theirs");
    work.overlap = true;
    validate(work, &bench.tools, &bench.ctx()).await.map(drop).unwrap();
}
