//! What no checkpoint needs leaves its vault, and nothing else does; whoever wants to write waits for moments only.

use std::time::Duration;

use holdfast_model::{
    request::CreateCheckpoint,
    state::{Integrity, RunKind, RunState},
    view::RunView,
};
use rustix::process::{Pid, Signal, kill_process};

use crate::house::House;

/// Ends with the test, even a stopped one.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn pruned(house: &House) -> RunView {
    let run = house.queue_on_vault(RunKind::Prune, None, serde_json::json!({})).await;
    house.ended(&run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deleted_checkpoint_alone_needed_waits_for_its_grace_and_goes() {
    let house = House::new().await;
    let mut noise = vec![0; 4_000_000];
    getrandom::fill(&mut noise).unwrap();
    std::fs::write(house.app().join("uploads/noise"), &noise).unwrap();
    let old = house.back_up().await;
    std::fs::remove_file(house.app().join("uploads/noise")).unwrap();
    let kept = house.back_up().await;
    let nothing = pruned(&house).await;
    assert_eq!(nothing.state, RunState::Succeeded, "{:?}", nothing.message);

    house.desk.delete_checkpoint(&old.id, "ada").await.unwrap();
    let run = pruned(&house).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    let said = run.message.unwrap();
    assert!(said.starts_with("0 B freed, 4.0"), "{said}");
    assert!(house.store.vaults_to_prune(3600).await.unwrap().is_empty());
    let verify = house.queue(RunKind::Verify, Some(&kept.id), ()).await;
    assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
    assert_eq!(house.store.checkpoint_view(&kept.id).await.unwrap().integrity, Integrity::Intact);
    house.back_up().await;
    house.restic(&["check", "--read-data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_lacks_a_checkpoint_is_not_touched() {
    let house = House::new().await;
    let made = house.back_up().await;
    let vault = house.vault().await;
    let snapshot = made.vault.snapshot.parse().unwrap();
    let before = tokio::task::spawn_blocking(move || {
        let before = vault.stats().unwrap();
        vault.forget(&snapshot).unwrap();
        before
    })
    .await
    .unwrap();
    let run = pruned(&house).await;
    assert_eq!(run.state, RunState::Failed);
    let refused = run.message.unwrap();
    assert!(refused.contains(&made.vault.snapshot), "{refused}");
    let vault = house.vault().await;
    let after = tokio::task::spawn_blocking(move || vault.stats().unwrap()).await.unwrap();
    assert_eq!((after.packs, after.blobs), (before.packs, before.blobs));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_waits_for_somebody_who_holds_the_vault_for_himself() {
    let house = House::new().await;
    house.back_up().await;
    let kit = house.desk.vaults().recovery_kit(&house.project().await, "test").await.unwrap();
    let locks = house.data().join("vaults/shop/locks");
    // Stock restic in the middle of a prune of its own; its lock is there once it has its whole name.
    let locked = || std::fs::read_dir(&locks).unwrap().any(|entry| entry.unwrap().file_name().len() == 64);
    let mut tries = 0;
    let mut restic = loop {
        tries += 1;
        assert!(tries < 50, "restic was never caught in the middle");
        let restic = std::process::Command::new("restic")
            .args(["--no-cache", "-r", &kit.repository, "prune"])
            .env("RESTIC_PASSWORD", &kit.password)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut restic = Killed(restic);
        while restic.0.try_wait().unwrap().is_none() && !locked() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if restic.0.try_wait().unwrap().is_none() {
            kill_process(Pid::from_child(&restic.0), Signal::STOP).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            if locked() {
                break restic;
            }
        }
    };
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: true, ..CreateCheckpoint::default() }).await;
    let begun = std::time::Instant::now();
    while !house.logged(&run, "waiting: ").await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", house.story(&run).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kill_process(Pid::from_child(&restic.0), Signal::CONT).unwrap();
    assert!(restic.0.wait().unwrap().success());
    let ended = house.ended(&run).await;
    assert_eq!((ended.state, ended.gate_open), (RunState::Succeeded, Some(true)), "{:?}", ended.message);
    house.restic(&["check", "--read-data"]).await;
}
