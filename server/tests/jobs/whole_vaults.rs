//! What is done with a vault as a whole: checked, repaired, copied, moved, each as a run that can be watched.

use std::path::{Path, PathBuf};

use holdfast_model::{
    id::VaultId,
    request::{CopyVault, Depth},
    state::{Integrity, RunKind, RunState, VaultRole},
};
use serde_json::json;

use crate::house::House;

/// The pack that holds the most, with one bit of its middle turned over.
fn damage(vault: &Path) -> PathBuf {
    let mut packs: Vec<PathBuf> = std::fs::read_dir(vault.join("data"))
        .unwrap()
        .flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap())
        .map(|pack| pack.unwrap().path())
        .collect();
    packs.sort_by_key(|pack| std::fs::metadata(pack).unwrap().len());
    let pack = packs.pop().unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    pack
}

fn noise(path: &Path, bytes: usize) {
    let mut noise = vec![0; bytes];
    getrandom::fill(&mut noise).unwrap();
    std::fs::write(path, noise).unwrap();
}

/// A mirror of the house's vault in a folder of its own.
async fn mirror(house: &House, moves: bool) -> (VaultId, holdfast_model::view::RunView) {
    let location = house.app().parent().unwrap().join("mirror").display().to_string();
    let request = CopyVault { location: location.clone(), bucket: None, moves };
    let started = house.actions().copy_vault("shop", request).await.unwrap();
    let run = house.ended(&started.run.id).await;
    let row = house.store.vault_of(&house.project().await.id, Some(&location)).await.unwrap();
    (row.id, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_names_the_checkpoints_that_damage_touches_and_no_others() {
    let house = House::new().await;
    let sound = house.back_up().await;
    let clean = house.queue_on_vault(RunKind::Check, None, json!({ "depth": "all" })).await;
    let clean = house.ended(&clean).await;
    assert_eq!(clean.state, RunState::Succeeded, "{:?}", clean.message);
    let view = house.store.checkpoint_view(&sound.id).await.unwrap();
    assert_eq!(view.integrity, Integrity::Intact, "all of its data was read");

    noise(&house.app().join("uploads/noise"), 3_000_000);
    let harmed = house.back_up().await;
    let pack = damage(&house.data().join("vaults/shop"));
    let structure = house.queue_on_vault(RunKind::Check, None, json!({ "depth": "structure" })).await;
    assert_eq!(house.ended(&structure).await.state, RunState::Succeeded, "it reads no data");
    let all = house.queue_on_vault(RunKind::Check, None, json!({ "depth": Depth::All })).await;
    let all = house.ended(&all).await;
    assert_eq!(all.state, RunState::Failed);
    let name = pack.file_name().unwrap().to_str().unwrap();
    assert!(house.logged(&all.id, &name[..8]).await, "{}", house.story(&all.id).await);
    assert_eq!(house.store.checkpoint_view(&harmed.id).await.unwrap().integrity, Integrity::Damaged);
    assert_eq!(house.store.checkpoint_view(&sound.id).await.unwrap().integrity, Integrity::Intact);
    let listed = house.actions().list_vaults().await.unwrap();
    assert!(listed[0].damaged > 0 && listed[0].checked_at.is_some(), "{listed:?}");
    let attention = house.store.overview().await.unwrap().attention;
    assert!(attention.iter().any(|a| a.message.contains("vault of shop")), "{attention:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_whose_snapshot_is_gone_is_never_called_intact() {
    let house = House::new().await;
    let lost = house.back_up().await;
    let kept = house.back_up().await;
    let (vault, snapshot) = (house.vault().await, lost.vault.snapshot.parse().unwrap());
    tokio::task::spawn_blocking(move || vault.forget(&snapshot).unwrap()).await.unwrap();
    let run = house.queue_on_vault(RunKind::Check, None, json!({ "depth": "all" })).await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Failed, "{:?}", run.message);
    assert!(run.message.unwrap().contains(&lost.vault.snapshot));
    assert_eq!(house.store.checkpoint_view(&lost.id).await.unwrap().integrity, Integrity::Damaged);
    assert_ne!(house.store.checkpoint_view(&kept.id).await.unwrap().integrity, Integrity::Damaged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_a_day_reads_everything_in_the_end() {
    let house = House::new().await;
    noise(&house.app().join("uploads/noise"), 3_000_000);
    house.back_up().await;
    damage(&house.data().join("vaults/shop"));
    let mut found = 0;
    for part in 1..=3 {
        let run = house.queue_on_vault(RunKind::Check, None, json!({ "depth": { "part": { "part": part, "of": 3 } } }));
        found += u32::from(house.ended(&run.await).await.state == RunState::Failed);
    }
    assert_eq!(found, 1, "the damaged pack belongs to one share");
    assert_eq!(house.store.vaults_to_check(-1).await.unwrap()[0].1, 1, "after the last share comes the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_comes_back_from_the_packs() {
    let house = House::new().await;
    let made = house.back_up().await;
    let vault = house.data().join("vaults/shop");
    for entry in std::fs::read_dir(vault.join("index")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let run = house.queue_on_vault(RunKind::Repair, None, json!({})).await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    house.restic(&["check", "--read-data"]).await;
    let verify = house.queue(RunKind::Verify, Some(&made.id), ()).await;
    assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
    house.back_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_says_which_checkpoints_are_not_whole_any_more() {
    let house = House::new().await;
    let sound = house.back_up().await;
    noise(&house.app().join("uploads/noise"), 3_000_000);
    let harmed = house.back_up().await;
    std::fs::remove_file(damage(&house.data().join("vaults/shop"))).unwrap();
    let run = house.queue_on_vault(RunKind::Repair, None, json!({ "read_data": true })).await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Warning, "{:?}", run.message);
    assert!(house.logged(&run.id, harmed.id.as_str()).await, "{}", house.story(&run.id).await);
    assert!(!house.logged(&run.id, sound.id.as_str()).await, "{}", house.story(&run.id).await);
    assert_eq!(house.store.checkpoint_view(&harmed.id).await.unwrap().integrity, Integrity::Damaged);
    // The next one stores again what is lost.
    let next = house.back_up().await;
    let verify = house.queue(RunKind::Verify, Some(&next.id), ()).await;
    assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_names_the_checkpoints_whose_snapshot_is_gone() {
    let house = House::new().await;
    let (lost, deleted, kept) = (house.back_up().await, house.back_up().await, house.back_up().await);
    let snapshot = house.data().join("vaults/shop/snapshots").join(&lost.vault.snapshot);
    std::fs::remove_file(snapshot).unwrap();
    house.desk.delete_checkpoint(&deleted.id, "ada").await.unwrap();
    let run = house.queue_on_vault(RunKind::Repair, None, json!({})).await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Warning, "{:?}", run.message);
    assert!(run.message.unwrap().ends_with("the snapshot of one checkpoint is gone: the log names it"));
    let story = house.story(&run.id).await;
    assert!(house.logged(&run.id, &format!("{} is not whole", lost.id)).await, "{story}");
    for other in [&kept, &deleted] {
        assert!(!house.logged(&run.id, other.id.as_str()).await, "{story}");
    }
    assert_eq!(house.store.checkpoint_view(&lost.id).await.unwrap().integrity, Integrity::Damaged);
    assert_ne!(house.store.checkpoint_view(&kept.id).await.unwrap().integrity, Integrity::Damaged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_gets_what_there_is_and_what_comes_and_loses_what_is_deleted() {
    let house = House::new().await;
    let first = house.back_up().await;
    let (id, run) = mirror(&house, false).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    let second = house.back_up().await;
    house.until(|| async { house.store.lacking(&id).await.unwrap().is_empty() }).await;
    for made in [&first, &second] {
        let copies = house.store.checkpoint_view(&made.id).await.unwrap().copies;
        let roles: Vec<VaultRole> = copies.iter().map(|copy| copy.role).collect();
        assert_eq!(roles, [VaultRole::Primary, VaultRole::Mirror]);
    }
    // Its facts go there too: the proof is known to whoever has the mirror alone.
    house.until(|| async { house.store.waiting_facts(&id, 9).await.unwrap().is_empty() }).await;
    let verify = house.queue(RunKind::Verify, Some(&second.id), ()).await;
    assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
    let copies = house.store.checkpoint_view(&second.id).await.unwrap().copies;
    assert!(copies.iter().all(|copy| copy.integrity == Integrity::Intact), "{copies:?}");

    house.desk.delete_checkpoint(&first.id, "ada").await.unwrap();
    let mirror = house.desk.vaults().get(&id).await.unwrap().vault;
    let left = tokio::task::spawn_blocking(move || mirror.snapshots().unwrap()).await.unwrap();
    let named = |id: &str| left.iter().any(|snapshot| snapshot.tags.iter().any(|tag| tag.contains(id)));
    assert!(!named(first.id.as_str()) && named(second.id.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_checkpoint_is_put_back_from_its_sound_copy() {
    let house = House::new().await;
    noise(&house.app().join("uploads/noise"), 3_000_000);
    let before = std::fs::read(house.app().join("uploads/noise")).unwrap();
    let made = house.back_up().await;
    mirror(&house, false).await;
    damage(&house.data().join("vaults/shop"));
    let verify = house.queue(RunKind::Verify, Some(&made.id), ()).await;
    let verify = house.ended(&verify).await;
    assert_eq!(verify.state, RunState::Failed);
    let copies = house.store.checkpoint_view(&made.id).await.unwrap().copies;
    let seen: Vec<Integrity> = copies.iter().map(|copy| copy.integrity).collect();
    assert_eq!(seen, [Integrity::Damaged, Integrity::Intact]);

    std::fs::remove_file(house.app().join("uploads/noise")).unwrap();
    let run = house.restore(&made.id, holdfast_model::request::RestoreCheckpoint::default()).await;
    assert!(matches!(run.state, RunState::Succeeded | RunState::Warning), "{:?}", run.message);
    assert_eq!(std::fs::read(house.app().join("uploads/noise")).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_takes_the_place_and_leaves_the_one_before_as_it_is() {
    let house = House::new().await;
    let first = house.back_up().await;
    let old = house.data().join("vaults/shop");
    let (id, run) = mirror(&house, true).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    let before = std::fs::read_dir(old.join("snapshots")).unwrap().count();
    let second = house.back_up().await;
    assert_eq!(std::fs::read_dir(old.join("snapshots")).unwrap().count(), before, "nothing is written there");
    let view = house.store.checkpoint_view(&second.id).await.unwrap();
    assert!(view.vault.repository.ends_with("/mirror"), "{:?}", view.vault);
    assert_eq!(house.store.primary_vault(&house.project().await.id).await.unwrap().unwrap().id, id);
    let drill = house.queue(RunKind::Drill, Some(&first.id), ()).await;
    assert_eq!(house.ended(&drill).await.state, RunState::Succeeded, "the older one is read from the new place");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_with_the_catalogue_in_postgresql() {
    let house = House::on_postgres().await;
    let made = house.back_up().await;
    for (kind, request) in
        [(RunKind::Prune, json!({})), (RunKind::Check, json!({ "depth": "all" })), (RunKind::Repair, json!({}))]
    {
        let run = house.queue_on_vault(kind, None, request).await;
        let run = house.ended(&run).await;
        assert_eq!(run.state, RunState::Succeeded, "{kind}: {:?}", run.message);
    }
    let (id, run) = mirror(&house, true).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.message);
    let listed = house.actions().list_vaults().await.unwrap();
    let seen: Vec<_> = listed.iter().map(|vault| (vault.role, vault.checkpoints)).collect();
    assert_eq!(seen, [(VaultRole::Primary, (1, 1)), (VaultRole::Former, (1, 1))]);
    assert!(house.store.overview().await.unwrap().attention.iter().all(|a| !a.urgent));
    assert!(house.store.vaults_to_check(-1).await.unwrap().iter().any(|(due, _)| *due == id));
    assert_eq!(house.store.checkpoint_view(&made.id).await.unwrap().copies.len(), 2);
}
