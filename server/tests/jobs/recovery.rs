//! The server died in the middle of a run. Nothing hangs, nothing is sealed twice, nothing half-sealed is shown.

use holdfast_model::{
    event::EventBody,
    request::{CreateCheckpoint, RestoreCheckpoint},
    state::{Proof, RunKind, RunState},
};
use holdfast_vault::{Cancel, SnapshotDraft};

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn between_snapshot_and_catalogue_the_run_goes_on_from_its_seal() {
    let mut house = House::new().await;
    let before = house.back_up().await;
    let text = house.store.manifest_text(&before.id).await.unwrap();
    house.stop().await;
    house.unpublish(&before.run, 1).await;
    assert!(house.store.checkpoint(&before.id).await.is_err());
    house.restart().await;
    let run = house.ended(&before.run).await;
    assert_eq!((run.state, run.sealed, run.gate_open), (RunState::Succeeded, true, Some(true)), "{:?}", run.message);
    let after = house.store.checkpoint_view(&before.id).await.unwrap();
    assert_eq!((after.proof, &after.vault.snapshot), (Proof::Proven, &before.vault.snapshot));
    assert_eq!(house.store.manifest_text(&before.id).await.unwrap(), text);
    assert_eq!(house.snapshots().await.len(), 1, "it was not captured again");
    assert!(house.logged(&run.id, "the seal had happened").await);
    house.restic(&["check", "--read-data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_snapshots_the_lowest_attempt_stands() {
    let mut house = House::new().await;
    let before = house.back_up().await;
    house.stop().await;
    let (vault, first) = (house.vault().await, house.snapshots().await.remove(0));
    tokio::task::spawn_blocking(move || {
        let tags = first.tags.iter().map(|tag| tag.replace("attempt:1", "attempt:2")).collect();
        let draft = SnapshotDraft {
            tree: first.tree,
            time: first.time - std::time::Duration::from_secs(60),
            paths: first.paths,
            tags,
            parent: None,
            hostname: first.hostname,
            username: first.username,
            program_version: first.program_version,
        };
        vault.writer(Cancel::new()).unwrap().seal(draft).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(house.snapshots().await.len(), 2);
    house.unpublish(&before.run, 2).await;
    house.restart().await;
    let run = house.ended(&before.run).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    let left = house.snapshots().await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id.to_string(), before.vault.snapshot);
    assert!(house.logged(&run.id, "was forgotten").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_capture_the_run_begins_again() {
    let mut house = House::still().await;
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: true, ..Default::default() }).await;
    house.died(&run, 1).await;
    house.restart().await;
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, Some(true)), "{:?}", run.message);
    assert_eq!(house.snapshots().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_attempts_it_fails_and_says_so_and_the_next_run_succeeds() {
    let mut house = House::still().await;
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: true, ..Default::default() }).await;
    house.died(&run, 3).await;
    house.restart().await;
    house.sql("update run set not_before = 0").await;
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.sealed), (RunState::Failed, false));
    assert!(run.message.unwrap().contains("the server stopped"));
    assert_eq!(house.back_up().await.proof, Proof::Proven);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_is_kept_even_after_three_attempts() {
    let mut house = House::new().await;
    let before = house.back_up().await;
    house.stop().await;
    house.unpublish(&before.run, 3).await;
    house.restart().await;
    house.sql("update run set not_before = 0").await;
    let run = house.ended(&before.run).await;
    assert_eq!((run.state, run.sealed, run.gate_open), (RunState::Warning, true, Some(false)), "{:?}", run.message);
    assert_eq!(house.store.checkpoint(&before.id).await.unwrap().proof, Proof::Unproven);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_of_a_dead_server_ends_and_keeps_its_seal() {
    let mut house = House::new().await;
    let before = house.back_up().await;
    house.stop().await;
    house.unpublish(&before.run, 1).await;
    house.store.request_cancel(&before.run, "ada").await.unwrap();
    house.restart().await;
    let run = house.ended(&before.run).await;
    assert_eq!((run.state, run.sealed), (RunState::Cancelled, true), "{:?}", run.message);
    assert!(house.store.checkpoint(&before.id).await.is_ok(), "what lies in the vault is shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_not_begun_a_second_time_by_itself() {
    let mut house = House::new().await;
    let id = house.back_up().await.id;
    house.stop().await;
    let run = house.queue(RunKind::Restore, Some(&id), RestoreCheckpoint::default()).await;
    house.died(&run, 1).await;
    std::fs::write(house.app().join("uploads/empty"), "written since").unwrap();
    house.restart().await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.unwrap().contains("can be run again"));
    assert_eq!(std::fs::read(house.app().join("uploads/empty")).unwrap(), b"written since");
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_and_scratch_of_the_dead_are_removed() {
    let mut house = House::new().await;
    house.back_up().await;
    house.stop().await;
    let scratch = house.data().join("scratch/run_00000000000000000000-1");
    std::fs::create_dir_all(scratch.join("deep")).unwrap();
    house.restart().await;
    house.back_up().await;
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_run_after_the_seal_leaves_no_second_snapshot() {
    let house = House::new().await;
    // Another worker takes the run away at the moment of the seal: the fence goes up behind this one's back, and
    // back to work goes the run.
    let mut live = house.store.live().subscribe();
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: false, ..Default::default() }).await;
    loop {
        let (_, event) = live.recv().await.unwrap();
        if matches!(&event.body, EventBody::Step { step, .. } if step == "seal") {
            break;
        }
    }
    house
        .sql(&format!(
            "update run set fence = fence + 1, state = 'queued', not_before = 0, lease_until = null \
             where id = '{run}' and state = 'running'"
        ))
        .await;
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.sealed), (RunState::Succeeded, true), "{:?}", run.message);
    let published = house.store.checkpoint_view(run.checkpoint.as_ref().unwrap()).await.unwrap().vault.snapshot;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(35);
    loop {
        let left: Vec<String> = house.snapshots().await.iter().map(|s| s.id.to_string()).collect();
        if left == [published.clone()] {
            break;
        }
        assert!(std::time::Instant::now() < end, "{left:?}, published {published}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_changes_under_a_capture_is_captured_anew() {
    let house = House::new().await;
    house.back_up().await;
    for number in 0..40 {
        let mut noise = vec![0; 4_000_000];
        getrandom::fill(&mut noise).unwrap();
        std::fs::write(house.app().join(format!("uploads/noise-{number}")), noise).unwrap();
    }
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: true, ..Default::default() }).await;
    // As after a process that stood still for so long that somebody took its lock for a dead one's.
    let locks = house.data().join("vaults/shop/locks");
    house
        .until(|| async {
            let there = std::fs::read_dir(&locks).unwrap().next();
            there.is_some_and(|lock| std::fs::remove_file(lock.unwrap().path()).is_ok())
        })
        .await;
    let ended = house.ended(&run).await;
    assert_eq!((ended.state, ended.gate_open), (RunState::Succeeded, Some(true)), "{:?}", ended.message);
    assert!(house.logged(&run, "captured anew").await, "{}", house.story(&run).await);
    let made = ended.checkpoint.unwrap().to_string();
    let sealed = house.snapshots().await.into_iter().filter(|s| s.tags.iter().any(|tag| tag.contains(&made)));
    assert_eq!(sealed.count(), 1);
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
    house.restic(&["check", "--read-data"]).await;
}
