//! What is said of a restore beforehand, and restores of a part.

use std::{fs, os::unix::fs::symlink};

use holdfast_model::event::{EventBody, StepState};

use crate::{
    bench::{Bench, listing, name, run},
    shop::{carry_out, item, plan, refused, shop},
};

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
