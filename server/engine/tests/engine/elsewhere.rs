//! Restores that go elsewhere: into a folder, and to places that another environment uses.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use holdfast_engine::{Destination, Live, RestoreError, restore::validate};
use holdfast_vault::Cancel;
use serde_json::json;

use crate::{
    bench::{Bench, listing, name, run},
    shop::{carry_out, item, plan, refused, shop},
};

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
        work.live = vec![Live { name: Some("shop/test".into()), definition: definition.clone() }];
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
    work.live = vec![
        Live { name: Some("shop/other".into()), definition: other },
        Live { name: Some("shop/test".into()), definition },
    ];
    let error = validate(work.clone(), &bench.tools, &bench.ctx()).await.map(drop).unwrap_err();
    let said = refused(&error);
    assert!(said.contains("component `all` of shop/other") && said.contains("--overlap"), "{said}");
    assert!(!said.contains("`db`") && !said.contains("canary"), "{said}");
    assert_eq!(fs::read_to_string(bench.app("other/up/theirs")).unwrap(), "theirs");
    work.overlap = true;
    validate(work, &bench.tools, &bench.ctx()).await.map(drop).unwrap();
}
