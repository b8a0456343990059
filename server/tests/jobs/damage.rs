//! What is damaged in the vault is found and said.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use holdfast_model::state::{Integrity, Proof, RunKind, RunState};

use crate::house::House;

/// Flips one bit in the middle of the biggest pack.
fn flip(house: &House) -> PathBuf {
    let packs = std::fs::read_dir(house.data().join("vaults/shop/data")).unwrap();
    let packs = packs.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let pack = packs.map(|entry| entry.unwrap().path()).max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::set_permissions(&pack, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&pack, bytes).unwrap();
    pack
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_a_flipped_bit() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    flip(&house);
    let run = house.queue(RunKind::Verify, Some(&id), ()).await;
    let run = house.ended(&run).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.as_ref().unwrap().contains("damaged"), "{:?}", run.message);
    assert_eq!(house.store.checkpoint_view(&id).await.unwrap().integrity, Integrity::Damaged);
    assert!(house.store.overview().await.unwrap().attention[0].urgent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_finds_it_too_once_the_pack_is_read_again() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    flip(&house);
    house.sql("update pack_read set read_at = 1").await;
    let run = house.queue(RunKind::Drill, Some(&id), ()).await;
    let run = house.ended(&run).await;
    assert_eq!(run.gate_open, Some(false), "{}", house.story(&run.id).await);
    assert_eq!(house.store.checkpoint_view(&id).await.unwrap().proof, Proof::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_has_gone_is_damage() {
    let house = House::new().await;
    let view = house.back_up().await;
    let path = house.data().join("vaults/shop/snapshots").join(&view.vault.snapshot);
    std::fs::remove_file(path).unwrap();
    let run = house.queue(RunKind::Verify, Some(&view.id), ()).await;
    assert_eq!(house.ended(&run).await.state, RunState::Failed);
    assert_eq!(house.store.checkpoint_view(&view.id).await.unwrap().integrity, Integrity::Damaged);
}
