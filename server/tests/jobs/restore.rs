//! Restore: a safety checkpoint first, and nothing lost.

use holdfast::store::{CheckpointFilter, RunFilter};
use holdfast_model::{
    event::EventBody,
    request::RestoreCheckpoint,
    state::{Proof, RunKind, RunState, Trigger},
};

use crate::house::House;

fn words(house: &House) -> i64 {
    let database = rusqlite::Connection::open(house.app().join("search.db")).unwrap();
    database.query_row("select count(*) from words", [], |row| row.get(0)).unwrap()
}

fn migrate_badly(house: &House) {
    let database = rusqlite::Connection::open(house.app().join("search.db")).unwrap();
    database.execute("delete from words where id > 10", []).unwrap();
    std::fs::write(house.app().join("uploads/deep/7.txt"), "overwritten").unwrap();
    std::fs::remove_file(house.app().join("uploads/deep/8.txt")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_migration_is_undone_and_can_be_had_back() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    let good = std::fs::read(house.app().join("uploads/deep/7.txt")).unwrap();
    migrate_badly(&house);
    assert_eq!(words(&house), 10);
    let run = house.restore(&id, RestoreCheckpoint::default()).await;
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{}", house.story(&run.id).await);
    assert_eq!(words(&house), 500);
    assert_eq!(std::fs::read(house.app().join("uploads/deep/7.txt")).unwrap(), good);
    assert!(house.app().join("uploads/deep/8.txt").exists());

    // The safety checkpoint is a run of its own, a part of the restore; it is sealed, not drilled, and not `latest`.
    let all = RunFilter { environment: Some(house.environment.clone()), ..Default::default() };
    let runs = house.store.runs(&all).await.unwrap();
    let part = runs.iter().find(|part| part.parent.as_ref() == Some(&run.id)).expect("a part");
    assert_eq!((part.kind, part.state, part.sealed), (RunKind::Create, RunState::Succeeded, true));
    let safety = house.store.checkpoint_view(part.checkpoint.as_ref().unwrap()).await.unwrap();
    assert_eq!((safety.trigger, safety.proof), (Trigger::PreRestore, Proof::Unproven));
    assert_eq!(safety.ledger["search"]["main.words"].rows, 10);
    assert_eq!(house.store.find_checkpoint("latest").await.unwrap().id, id);

    let steps: Vec<String> = house
        .events(&run.id)
        .await
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Step { step, .. } if step.starts_with("restore:") => Some(step),
            _ => None,
        })
        .collect();
    let order = ["validate", "safety", "stop", "files", "databases", "config", "start", "health", "complete"];
    let mut seen: Vec<String> = Vec::new();
    for step in steps {
        if !seen.contains(&step) {
            seen.push(step);
        }
    }
    assert_eq!(seen, order.map(|step| format!("restore:{step}")));
    assert!(house.logged(&run.id, "next: ").await);
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());

    // The bad state is not lost either.
    let back = house
        .restore(&safety.id, RestoreCheckpoint { components: vec!["search".into()], ..RestoreCheckpoint::default() })
        .await;
    assert!(matches!(back.state, RunState::Succeeded | RunState::Warning), "{:?}", back.message);
    assert_eq!(words(&house), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backup_it_says_what_is_not_kept() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    migrate_badly(&house);
    let run = house
        .restore(
            &id,
            RestoreCheckpoint { components: vec!["search".into()], backup: false, ..RestoreCheckpoint::default() },
        )
        .await;
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{:?}", run.message);
    assert_eq!(words(&house), 500);
    assert_eq!(std::fs::read(house.app().join("uploads/deep/7.txt")).unwrap(), b"overwritten", "it was not chosen");
    assert_eq!(house.store.checkpoints(&CheckpointFilter::default()).await.unwrap().count, 1);
    assert!(house.logged(&run.id, "no copy is kept of").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_gone_does_not_stop_the_restore_that_brings_it_back() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    for name in ["search.db", "search.db-wal", "search.db-shm"] {
        let _ = std::fs::remove_file(house.app().join(name));
    }
    let run = house.restore(&id, RestoreCheckpoint::default()).await;
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{}", house.story(&run.id).await);
    assert_eq!(words(&house), 500);
    assert!(house.logged(&run.id, "the safety checkpoint holds nothing of search").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_stops_it_before_anything_is_touched() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    // The database is there, but it is no database any more: its content is in no checkpoint.
    for name in ["search.db-wal", "search.db-shm"] {
        let _ = std::fs::remove_file(house.app().join(name));
    }
    std::fs::write(house.app().join("search.db"), b"something else that somebody may want").unwrap();
    std::fs::write(house.app().join("uploads/deep/7.txt"), "kept").unwrap();
    let run = house.restore(&id, RestoreCheckpoint::default()).await;
    assert_eq!(run.state, RunState::Failed, "{:?}", run.message);
    let message = run.message.unwrap();
    assert!(message.contains("--no-backup") && message.contains("search"), "{message}");
    assert_eq!(std::fs::read(house.app().join("uploads/deep/7.txt")).unwrap(), b"kept");
    assert!(std::fs::read(house.app().join("search.db")).unwrap().starts_with(b"something else"));
}
