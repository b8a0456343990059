//! Restores that are planned first, and restores that go elsewhere: folders, other environments, databases.

use std::{
    fs,
    path::{Path, PathBuf},
};

use holdfast::{actions::ActionError, auth::Caller, store::RunFilter};
use holdfast_model::{
    access::{Access, Role},
    event::{EventBody, StepState},
    id::CheckpointId,
    plan::{PlanTarget, RestorePlan},
    request::{CreateCheckpoint, RestoreCheckpoint},
    state::{RunKind, RunState, Trigger},
    view::RunView,
};
use serde_json::json;

use crate::{
    cluster::Cluster,
    house::House,
    look::{apply, listing, step},
};

async fn plan(house: &House, id: &CheckpointId, request: &RestoreCheckpoint) -> RestorePlan {
    house.actions().restore_plan(id.as_str(), request.clone()).await.unwrap()
}

async fn asked(house: &House, id: &CheckpointId, request: &RestoreCheckpoint) -> Result<RunView, ActionError> {
    let run = house.actions().restore(id.as_str(), request.clone()).await?;
    Ok(house.ended(&run.id).await)
}

async fn restored(house: &House, id: &CheckpointId, request: &RestoreCheckpoint) -> RunView {
    let run = asked(house, id, request).await.unwrap();
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{}", house.story(&run.id).await);
    run
}

async fn refusal(house: &House, id: &CheckpointId, request: &RestoreCheckpoint) -> String {
    let error = asked(house, id, request).await.unwrap_err();
    let message = error.to_string();
    format!("{message} {:?}", error.into_problem().errors)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_what_a_restore_would_do_and_touches_nothing() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    fs::write(house.app().join("uploads/empty"), "not any more").unwrap();
    fs::write(house.app().join("uploads/new"), "newer").unwrap();
    let files = listing(&house.app());
    let runs = house.store.runs(&RunFilter::default()).await.unwrap();
    let planned = plan(&house, &id, &RestoreCheckpoint::default()).await;
    assert_eq!(listing(&house.app()), files);
    assert_eq!(house.store.runs(&RunFilter::default()).await.unwrap(), runs);
    assert_eq!(house.leftovers(), Vec::<PathBuf>::new());

    assert_eq!(planned.refused, Vec::<String>::new());
    assert!(matches!(&planned.target, PlanTarget::Environment { own: true, new: false, .. }), "{:?}", planned.target);
    assert!(planned.safety && planned.would_lose.len() == 3, "{:?}", planned.would_lose);
    assert_eq!(planned.expected_from.as_deref(), Some("the last drill of this checkpoint"));
    let up = planned.items.iter().find(|item| item.component.as_str() == "uploads").unwrap();
    assert_eq!((up.changed.count, up.removed.count), (1, 1));
    let text = serde_json::to_string(&planned).unwrap();
    for canary in [crate::house::CANARY_ENV, crate::house::CANARY_DEFINITION] {
        assert!(!text.contains(canary), "{text}");
    }

    let run = restored(&house, &id, &RestoreCheckpoint::default()).await;
    let told: Vec<String> = house
        .events(&run.id)
        .await
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Step { step, state, .. } if state != StepState::Started => Some(step),
            _ => None,
        })
        .collect();
    let steps: Vec<&str> = planned.steps.iter().map(|step| step.step.as_str()).collect();
    assert_eq!(told, steps);
    let bare = plan(&house, &id, &RestoreCheckpoint { backup: false, ..Default::default() }).await;
    assert!(!bare.safety && bare.steps[1].skipped.as_deref() == Some("switched off"), "{:?}", bare.steps);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_paths_are_put_back_after_a_safety_checkpoint() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    for name in ["empty", "deep/7.txt", "deep/8.txt"] {
        fs::write(house.app().join("uploads").join(name), "spoiled").unwrap();
    }
    let request = RestoreCheckpoint { paths: vec!["deep/7.*".into()], ..Default::default() };
    let run = restored(&house, &id, &request).await;
    assert!(house.logged(&run.id, "matched: `uploads`: 1 file matched").await, "{}", house.story(&run.id).await);
    let read = |name: &str| fs::read_to_string(house.app().join("uploads").join(name)).unwrap();
    assert!(read("deep/7.txt").starts_with("file 7\n"));
    assert_eq!((read("deep/8.txt"), read("empty")), ("spoiled".into(), "spoiled".into()));
    assert_eq!(step(&house, &run, "restore:databases").await.0, StepState::Skipped);
    assert_eq!(step(&house, &run, "restore:safety").await.0, StepState::Done);

    let nothing = RestoreCheckpoint { paths: vec!["nothing/**".into()], ..Default::default() };
    let planned = plan(&house, &id, &nothing).await;
    assert!(planned.refused[0].contains("`nothing/**` matches nothing"), "{:?}", planned.refused);
    let run = asked(&house, &id, &nothing).await.unwrap();
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.unwrap().contains("`nothing/**` matches nothing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn into_a_folder_nothing_of_the_application_is_touched() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    let app = listing(&house.app());
    let folder = house.folder.path().join("out");
    let into = |folder: PathBuf| RestoreCheckpoint { to_dir: Some(folder), ..Default::default() };
    let planned = plan(&house, &id, &into(folder.clone())).await;
    assert_eq!(planned.target, PlanTarget::Folder { path: folder.display().to_string() });
    assert!(!planned.safety && planned.refused.is_empty(), "{planned:?}");
    let run = restored(&house, &id, &into(folder.clone())).await;
    assert_eq!(step(&house, &run, "restore:safety").await.0, StepState::Skipped);
    assert_eq!(step(&house, &run, "restore:place").await, (StepState::Done, folder.display().to_string()));
    assert!(fs::read_to_string(folder.join("uploads/deep/7.txt")).unwrap().starts_with("file 7\n"));
    assert!(fs::read_to_string(folder.join("settings/.env")).unwrap().contains(crate::house::CANARY_ENV));
    let words = rusqlite::Connection::open(folder.join("search/search.db")).unwrap();
    assert_eq!(words.query_row("select count(*) from words", [], |row| row.get::<_, i64>(0)).unwrap(), 500);
    assert_eq!(listing(&house.app()), app);

    // Once more it is not empty; Holdfast's own folders are nobody's; a person needs `allow_paths`.
    let run = asked(&house, &id, &into(folder.clone())).await.unwrap();
    assert!(run.message.unwrap().contains("is not empty"));
    for own in [house.data().join("x"), house.data().join("vaults/shop/x")] {
        assert!(refusal(&house, &id, &into(own)).await.contains("belongs to Holdfast itself"));
    }
    let person = Caller::person("eve".into(), "eve".into(), Access::everywhere(Role::Admin), true);
    let elsewhere = into(house.folder.path().join("other"));
    let refused = house.actions().by(person.clone()).restore(id.as_str(), elsewhere.clone()).await.unwrap_err();
    assert!(matches!(&refused, ActionError::Forbidden(why) if why.contains("allow_paths")), "{refused}");
    let refused = house.actions().by(person.clone()).restore_plan(id.as_str(), elsewhere).await.unwrap_err();
    assert!(matches!(refused, ActionError::Forbidden(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_left_of_a_folder_when_it_died_is_swept() {
    let mut house = House::new().await;
    let id = house.back_up().await.id;
    house.stop().await;
    let folder = house.folder.path().join("out");
    let request = RestoreCheckpoint { to_dir: Some(folder.clone()), ..Default::default() };
    let run = house.actions().restore(id.as_str(), request.clone()).await.unwrap();
    let staging = house.folder.path().join(format!(".out.holdfast-{}", run.id));
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("half"), "half").unwrap();
    house.died(&run.id, 1).await;
    house.restart().await;
    let ended = house.ended(&run.id).await;
    assert_eq!(ended.state, RunState::Failed);
    assert!(!staging.exists() && !folder.exists());
    restored(&house, &id, &request).await;
    assert!(folder.join("uploads/empty").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn into_another_environment_its_own_places_are_used() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    let staging = house.folder.path().join("staging");
    fs::create_dir_all(staging.join("uploads")).unwrap();
    fs::write(staging.join("uploads/theirs"), "of staging").unwrap();
    rusqlite::Connection::open(staging.join("search.db"))
        .unwrap()
        .execute_batch("create table words (id int)")
        .unwrap();
    apply(
        &house,
        json!({"project": "shop", "environment": "staging", "components": [
            {"name": "uploads", "kind": "files", "path": staging.join("uploads")},
            {"name": "search", "kind": "sqlite", "path": staging.join("search.db")},
        ]}),
    )
    .await;
    let production = listing(&house.app());
    let request = RestoreCheckpoint { to: Some("staging".into()), ..Default::default() };
    let planned = plan(&house, &id, &request).await;
    assert!(
        matches!(&planned.target, PlanTarget::Environment { own: false, new: false, environment } if environment.name.as_str() == "staging")
    );
    assert!(planned.safety, "{:?}", planned.steps);
    assert!(planned.warnings.iter().any(|line| line.contains("`settings` is left out")), "{:?}", planned.warnings);
    let run = restored(&house, &id, &request).await;
    assert_eq!(run.subject.environment().unwrap().name.as_str(), "staging");
    assert!(fs::read_to_string(staging.join("uploads/deep/7.txt")).unwrap().starts_with("file 7\n"));
    assert!(!staging.join("uploads/theirs").exists());
    assert_eq!(listing(&house.app()), production);
    // The state before it is in a checkpoint of that environment.
    let parts = house
        .store
        .runs(&RunFilter { environment: Some(run.subject.environment().unwrap().id.clone()), ..Default::default() })
        .await
        .unwrap();
    let safety = parts.iter().find(|part| part.parent.as_ref() == Some(&run.id)).unwrap().checkpoint.clone().unwrap();
    let view = house.store.checkpoint_view(&safety).await.unwrap();
    assert_eq!((view.trigger, view.environment.name.as_str()), (Trigger::PreRestore, "staging"));
    restored(&house, &safety, &RestoreCheckpoint::default()).await;
    assert_eq!(fs::read_to_string(staging.join("uploads/theirs")).unwrap(), "of staging");
    // A place of its own may be repeated, another one may not be given.
    let map = |place: &Path| [("uploads".parse().unwrap(), place.display().to_string().into())].into();
    plan(&house, &id, &RestoreCheckpoint { map: map(&staging.join("uploads")), ..request.clone() }).await;
    let other = RestoreCheckpoint { map: map(Path::new("/srv/other")), ..request };
    assert!(refusal(&house, &id, &other).await.contains("is there already"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_is_not_there_is_made_with_places_of_its_own() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    let copy = house.folder.path().join("copy");
    let place = |name: &str, path: PathBuf| (name.parse().unwrap(), path.display().to_string().into());
    let mut request = RestoreCheckpoint { to: Some("copy".into()), ..Default::default() };
    let said = refusal(&house, &id, &request).await;
    for word in ["--map uploads=PATH", "--map settings=PATH", "--map search=PATH"] {
        assert!(said.contains(word), "{said}");
    }
    request.map = [
        place("uploads", copy.join("up")),
        place("settings", copy.join("env")),
        place("search", house.app().join("search.db")),
    ]
    .into();
    // Over the places of the one that lives: refused, and nothing was made.
    let said = refusal(&house, &id, &request).await;
    assert!(said.contains("overlaps") && said.contains("shop/production") && said.contains("--overlap"), "{said}");
    assert!(house.store.find_environment("shop/copy").await.is_err());
    assert!(!copy.exists());
    request.map.insert("search".parse().unwrap(), copy.join("search.db").display().to_string().into());
    let planned = plan(&house, &id, &request).await;
    assert!(matches!(&planned.target, PlanTarget::Environment { new: true, .. }), "{:?}", planned.target);
    assert_eq!(planned.items[0].place, copy.join("up").display().to_string());
    assert!(!planned.safety && planned.refused.is_empty(), "{planned:?}");
    assert!(house.store.find_environment("shop/copy").await.is_err() && !copy.exists(), "a plan has made something");
    let person = Caller::person("eve".into(), "eve".into(), Access::everywhere(Role::Admin), true);
    let refused = house.actions().by(person.clone()).restore(id.as_str(), request.clone()).await.unwrap_err();
    assert!(matches!(&refused, ActionError::Forbidden(why) if why.contains("allow_paths")), "{refused}");

    let production = listing(&house.app());
    let run = restored(&house, &id, &request).await;
    assert_eq!(step(&house, &run, "restore:safety").await, (StepState::Skipped, "nothing stands there yet".into()));
    assert!(fs::read_to_string(copy.join("up/deep/7.txt")).unwrap().starts_with("file 7\n"));
    assert!(fs::read_to_string(copy.join("env")).unwrap().contains(crate::house::CANARY_ENV));
    assert_eq!(listing(&house.app()), production);
    let view = house.actions().environment("shop/copy").await.unwrap();
    assert!(view.address.is_none() && view.warnings[0].contains("was made for a restore"), "{view:?}");
    assert_eq!(view.components.len(), 3);
    // It lives: it is captured, and the same restore can be asked for again, now after a safety checkpoint.
    let taken = house
        .actions()
        .create(CreateCheckpoint { environment: "shop/copy".into(), ..Default::default() })
        .await
        .unwrap();
    assert!(house.ended(&taken.id).await.sealed);
    let again = restored(&house, &id, &request).await;
    assert_eq!(step(&house, &again, "restore:safety").await.0, StepState::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_goes_to_another_one_by_its_url_and_the_url_stays_secret() {
    const CANARY: &str = "canary-in-the-url";
    let mut house = House::new().await;
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
    let shop = cluster.database();
    let (copy, clone) = (format!("{shop}_copy"), format!("{shop}_clone"));
    cluster.sql(&shop, "create table orders (id int primary key); insert into orders select generate_series(1, 100)");
    let rows = |database: &str| cluster.sql(database, "select count(*) from orders");
    let secret = |database: &str| cluster.url(database).replace("holdfast@", &format!("holdfast:{CANARY}@"));
    apply(&house, json!({"project": "shop", "environment": "live", "components": [{"name": "main", "kind": "postgres", "url": secret(&shop)}]})).await;
    let taken = house
        .actions()
        .create(CreateCheckpoint { environment: "shop/live".into(), ..Default::default() })
        .await
        .unwrap();
    let taken = house.ended(&taken.id).await;
    assert!(taken.sealed, "{}", house.story(&taken.id).await);
    let id = taken.checkpoint.unwrap();

    // Into one that is not there; the running environment keeps its own.
    let request = RestoreCheckpoint { to_url: Some(secret(&copy).into()), ..Default::default() };
    let planned = plan(&house, &id, &request).await;
    assert!(planned.refused.is_empty() && !planned.safety, "{planned:?}");
    assert!(
        matches!(&planned.target, PlanTarget::Database { address } if address.ends_with(&format!("/{copy}"))),
        "{:?}",
        planned.target
    );
    assert!(planned.items[0].versions[0].contains("PostgreSQL"), "{:?}", planned.items);
    let first = restored(&house, &id, &request).await;
    assert_eq!((rows(&copy), rows(&shop)), ("100".into(), "100".into()));
    // Filled, it is refused unless that was meant; then what was in it stays beside it.
    cluster.sql(&copy, "delete from orders where id > 10");
    let run = asked(&house, &id, &request).await.unwrap();
    let message = run.message.clone().unwrap();
    assert!(message.contains("is not empty") && message.contains("--replace-database"), "{message}");
    assert_eq!(rows(&copy), "10");
    let replace = RestoreCheckpoint { replace_database: true, ..request.clone() };
    let planned = plan(&house, &id, &replace).await;
    assert!(planned.items[0].keeps.as_ref().unwrap().ends_with("_before_…"), "{:?}", planned.items);
    let second = restored(&house, &id, &replace).await;
    assert_eq!(rows(&copy), "100");
    // Over a database that lives: refused, and so is one that cannot be reached.
    let live = RestoreCheckpoint { to_url: Some(secret(&shop).into()), ..replace.clone() };
    let run = asked(&house, &id, &live).await.unwrap();
    assert!(run.message.clone().unwrap().contains("component `main` of shop/live"), "{run:?}");
    let nobody = format!("postgres://shop:{CANARY}@127.0.0.1:1/shop");
    let nobody = RestoreCheckpoint { to_url: Some(nobody.into()), ..Default::default() };
    let planned = plan(&house, &id, &nobody).await;
    assert!(planned.refused[0].contains("cannot be reached"), "{:?}", planned.refused);
    let last = asked(&house, &id, &nobody).await.unwrap();
    assert_eq!(last.state, RunState::Failed);

    // A clone of the environment by the name of a database on the same server.
    let map = [("main".parse().unwrap(), clone.as_str().into())].into();
    let cloned = RestoreCheckpoint { to: Some("clone".into()), map, ..Default::default() };
    let fourth = restored(&house, &id, &cloned).await;
    assert_eq!(rows(&clone), "100");
    restored(&house, &id, &cloned).await;

    for run in [&first, &second, &run, &last, &fourth] {
        assert!(!house.story(&run.id).await.contains(CANARY));
    }
    house.stop().await;
    house.store.close().await;
    for name in ["catalogue.db", "catalogue.db-wal"] {
        let Ok(bytes) = fs::read(house.data().join(name)) else { continue };
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{name} holds the URL");
    }
    for database in [&shop, &copy, &clone] {
        cluster.sql("postgres", &format!("drop database if exists {database} with (force)"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_together_is_named_at_once() {
    let house = House::still().await;
    let mut request = RestoreCheckpoint {
        to: Some("x".into()),
        to_dir: Some("relative".into()),
        replace_database: true,
        paths: vec!["!only/this".into(), "a\u{1b}b".into()],
        ..Default::default()
    };
    let Err(ActionError::Invalid { errors, .. }) = house.actions().restore_plan("latest", request.clone()).await else {
        panic!("it was taken")
    };
    let at: Vec<&str> = errors.iter().map(|fault| fault.at.as_str()).collect();
    assert_eq!(at, ["to_dir", "replace_database", "to_dir", "paths[1]"]);
    request = RestoreCheckpoint { map: [("a".parse().unwrap(), "/b".into())].into(), ..Default::default() };
    assert!(house.actions().restore("latest", request).await.unwrap_err().to_string().contains("map"));
    let none = house.store.runs(&RunFilter::default()).await.unwrap();
    assert!(none.iter().all(|run| run.kind != RunKind::Restore));
}
