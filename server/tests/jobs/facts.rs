//! What became true of a checkpoint after its seal stands in its vault too, and nobody takes it for a checkpoint.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::{
    fact::{FORMAT, Fact, FactBody},
    request::CreateCheckpoint,
    state::{Proof, RunKind, RunState},
};

use crate::house::House;

/// Every fact in the vault by its id; one that stands there twice is the same both times.
async fn facts(house: &House) -> BTreeMap<String, Fact> {
    let (vault, snapshots) = (house.vault().await, house.tagged("holdfast:facts").await);
    tokio::task::spawn_blocking(move || {
        let mut facts = BTreeMap::new();
        for snapshot in snapshots {
            assert_eq!(snapshot.tags, ["holdfast:facts"]);
            let folder = vault.find(&snapshot.tree, Path::new("facts")).unwrap();
            for node in vault.tree(&folder.subtree.unwrap()).unwrap().nodes {
                let fact: Fact = serde_json::from_reader(vault.read(&node).unwrap()).unwrap();
                assert_eq!(node.name, format!("{}.json", fact.id).as_str());
                assert_eq!(fact.format, FORMAT);
                if let Some(twice) = facts.insert(fact.id.to_string(), fact.clone()) {
                    assert_eq!(twice, fact);
                }
            }
        }
        facts
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_and_a_deletion_are_appended_to_the_vault() {
    let house = House::new().await;
    let old = house.back_up().await;
    let newest = house.back_up().await;
    let drilled = facts(&house).await;
    assert_eq!(drilled.len(), 2, "{drilled:?}");
    for view in [&old, &newest] {
        let fact = drilled.values().find(|fact| fact.checkpoint == view.id).unwrap();
        let FactBody::Drill { run, report } = &fact.fact else { panic!("{fact:?}") };
        assert_eq!((run, report.verdict), (&view.run, Proof::Proven));
        assert_eq!(house.store.drills(&view.id).await.unwrap(), [report.as_ref().clone()]);
    }

    house.desk.delete_checkpoint(&old.id, "ada").await.unwrap();
    let after = facts(&house).await;
    assert_eq!(after.len(), 3);
    let deleted = after.values().find(|fact| fact.fact == FactBody::Deleted).unwrap();
    assert_eq!((&deleted.checkpoint, deleted.by.as_str()), (&old.id, "ada"));
    assert!(house.store.vaults_behind().await.unwrap().is_empty());
    // `latest` of our own tag is the newest checkpoint, whatever was appended behind it.
    let listed = house.restic(&["snapshots", "--json", "--tag", "holdfast"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], serde_json::json!(newest.vault.snapshot));
    house.restic(&["check", "--read-data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_cannot_be_written_to_gets_its_facts_later() {
    let mut house = House::new().await;
    let made = house.create(CreateCheckpoint { drill: false, ..CreateCheckpoint::default() }).await;
    let id = made.checkpoint.unwrap();
    assert!(facts(&house).await.is_empty());
    // No lock can be taken: nothing may be written.
    let locks = house.data().join("vaults/shop/locks");
    std::fs::remove_dir(&locks).unwrap();
    std::fs::write(&locks, "in the way").unwrap();
    let run = house.queue(RunKind::Drill, Some(&id), ()).await;
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, Some(true)), "{:?}", run.message);
    assert!(house.logged(&run.id, "not in the vault yet").await);
    assert!(facts(&house).await.is_empty());
    assert_eq!(house.store.vaults_behind().await.unwrap().len(), 1);

    std::fs::remove_file(&locks).unwrap();
    std::fs::create_dir(&locks).unwrap();
    house.stop().await;
    house.restart().await;
    let again = house.queue(RunKind::Drill, Some(&id), ()).await;
    house.ended(&again).await;
    let appended = facts(&house).await;
    assert_eq!(appended.len(), 2);

    // The server died after the snapshot and before it could note it: the same fact once more is the same fact.
    house.sql("update fact set snapshot = null").await;
    house.stop().await;
    house.restart().await;
    let third = house.queue(RunKind::Verify, Some(&id), ()).await;
    house.ended(&third).await;
    assert_eq!(facts(&house).await, appended);
    assert_eq!(house.tagged("holdfast:facts").await.len(), 3, "one for the first, one for the second, both again");
    assert!(house.store.vaults_behind().await.unwrap().is_empty());
    house.restic(&["check", "--read-data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_wait_in_a_catalogue_on_postgres_too() {
    let house = House::on_postgres().await;
    let made = house.back_up().await;
    let found = facts(&house).await;
    assert_eq!(found.values().map(|fact| &fact.checkpoint).collect::<Vec<_>>(), [&made.id]);
    assert!(house.store.vaults_behind().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prune_writes_the_facts_of_many_snapshots_into_one() {
    let house = House::new().await;
    let id = house.back_up().await.id;
    // As many days as it takes: each drill is a snapshot of facts of its own.
    for _ in 0..31 {
        let run = house.queue(RunKind::Drill, Some(&id), ()).await;
        assert_eq!(house.ended(&run).await.state, RunState::Succeeded);
    }
    let before = (facts(&house).await, house.tagged("holdfast:facts").await.len());
    assert!(before.1 > 30, "{}", before.1);
    let run = house.queue_on_vault(RunKind::Prune, None, serde_json::json!({})).await;
    assert_eq!(house.ended(&run).await.state, RunState::Succeeded);
    assert_eq!(facts(&house).await, before.0, "nothing of them is lost");
    assert_eq!(house.tagged("holdfast:facts").await.len(), 1);
    let run = house.queue(RunKind::Verify, Some(&id), ()).await;
    assert_eq!(house.ended(&run).await.state, RunState::Succeeded, "and the catalogue knows where they are");
}
