//! The catalogue's own copies, and the catalogue that one becomes.

use std::{path::Path, process::Command};

use holdfast::{
    auth::token_hash,
    keys::ServerKey,
    store::{NewKey, Store},
};
use holdfast_model::{
    access::{Access, Role},
    request::CreateCheckpoint,
    state::{Proof, RunKind, RunState},
};

use crate::house::House;

const COPIES: &str = "holdfast:catalogue";

/// `holdfast recover` on a host that has nothing; what it said, as JSON.
async fn recover(house: &House, data: &Path) -> serde_json::Value {
    let kit = house.desk.vaults().catalogue_kit("test").await.unwrap().unwrap();
    let file = house.folder.path().join("kit.json");
    std::fs::write(&file, serde_json::to_vec(&kit).unwrap()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    command.args(["recover", "--json", "--kit"]).arg(&file).env("HOLDFAST_DATA_DIR", data);
    command.env("HOLDFAST_SCRATCH_DIR", data.join("scratch")).env_remove("HOLDFAST_DATABASE_URL");
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_neither_checkpoints_nor_facts_and_are_thinned_out() {
    let house = House::new().await;
    assert!(house.desk.copy_catalogue("ada", None).await.is_err(), "there is no vault yet");
    house.back_up().await;
    let mut last = None;
    for round in 0..4_u64 {
        let copied = house.desk.copy_catalogue("ada", None).await.unwrap();
        // Of one day the newest stays, and the one before it in case that it is damaged.
        assert_eq!(copied.forgotten, u64::from(round >= 2));
        last = Some(copied);
    }
    let copies = house.tagged(COPIES).await;
    assert_eq!(copies.len(), 2);
    assert!(copies.iter().any(|copy| copy.id.to_string() == last.as_ref().unwrap().snapshot));
    assert_eq!((house.snapshots().await.len(), house.tagged("holdfast:facts").await.len()), (1, 1));
    assert_eq!(house.store.last_copy().await.unwrap().unwrap().snapshot, last.unwrap().snapshot);
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
    house.restic(&["check", "--read-data"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_its_host_ends_and_a_seal_after_the_copy_is_known() {
    let mut house = House::new().await;
    house.store.check_key(&house.key).await.unwrap();
    let sealed = house.back_up().await;
    let running = house.create(CreateCheckpoint::default()).await;
    house.stop().await;
    // At the moment of the copy one create runs, whose seal comes later, and another one waits.
    let lost = house.queue(RunKind::Create, None, CreateCheckpoint::default()).await;
    house.unpublish(&running.id, 1).await;
    house.store.put_credential(&token_hash("hfk_old"), "root@old").await.unwrap();
    let key = NewKey {
        id: house.store.new_key_id().await.unwrap(),
        name: "a pipeline".into(),
        hash: token_hash("hfk_ci"),
        access: Access::everywhere(Role::Operator).of_program(),
        networks: Vec::new(),
        lasts: time::Duration::days(90),
    };
    house.store.put_key("ada", &key, None).await.unwrap();
    let tomorrow = time::OffsetDateTime::now_utc() + time::Duration::days(1);
    house.store.put_session("a session", "{}", tomorrow).await.unwrap();
    house.store.put_link("a link", "ada", tomorrow).await.unwrap();
    let copied = house.desk.copy_catalogue("ada", None).await.unwrap();

    let data = house.folder.path().join("new");
    let recovered = recover(&house, &data).await;
    assert_eq!(recovered["snapshot"], copied.snapshot);
    assert_eq!((recovered["checkpoints"].as_u64(), recovered["new_checkpoints"].as_u64()), (Some(2), Some(1)));
    assert_eq!(recovered["ended_runs"], 2);
    assert_eq!(
        (&recovered["missing_vaults"], &recovered["problems"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );

    let key = ServerKey::load_or_create(&data.join("server.key")).unwrap();
    assert_eq!(key.check_value(), house.key.check_value());
    let store = Store::open(&Store::sqlite_url(&data.join("catalogue.db"))).await.unwrap();
    store.check_key(&key).await.unwrap();
    assert!(store.environment(&house.environment).await.unwrap().to_confirm);
    let lost = store.run(&lost).await.unwrap();
    assert_eq!((lost.state, lost.sealed), (RunState::Failed, false));
    assert!(lost.message.unwrap().contains("its host was lost"));
    let known = store.run(&running.id).await.unwrap();
    assert_eq!((known.state, known.sealed), (RunState::Succeeded, true), "{:?}", known.message);
    assert_eq!(store.checkpoint(&sealed.id).await.unwrap().proof, Proof::Proven);
    assert!(store.credential(&token_hash("hfk_old")).await.unwrap().is_none());
    assert!(store.key_of(&token_hash("hfk_ci")).await.unwrap().is_some(), "a key works on");
    assert!(store.session("a session").await.unwrap().is_none());
    assert!(!store.take_link("a link").await.unwrap());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_was_deleted_after_the_copy_stays_deleted() {
    let house = House::new().await;
    house.store.check_key(&house.key).await.unwrap();
    house.back_up().await;
    let gone = house.back_up().await.id;
    house.back_up().await;
    house.desk.copy_catalogue("ada", None).await.unwrap();
    house.desk.delete_checkpoint(&gone, "ada").await.unwrap();
    let recovered = recover(&house, &house.folder.path().join("new")).await;
    assert_eq!(recovered["checkpoints"], 2);
    assert_eq!(recovered["problems"], serde_json::json!([]), "its snapshot is not missed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalogue_in_postgresql_is_for_postgresql_to_copy() {
    let house = House::on_postgres().await;
    house.back_up().await;
    let refused = house.desk.copy_catalogue("ada", None).await.unwrap_err().to_string();
    assert!(refused.contains("PostgreSQL's own tools"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_without_a_copy_the_first_page_says_so() {
    let house = House::new().await;
    house.back_up().await;
    let says = || async {
        let attention = house.store.overview().await.unwrap().attention;
        attention.into_iter().map(|one| one.message).find(|message| message.contains("copy of the catalogue"))
    };
    assert_eq!(says().await, None, "its vault is new");
    house.sql("update vault set created_at = created_at - 300000000000").await;
    assert!(says().await.unwrap().starts_with("There is no copy"));
    house.desk.copy_catalogue("ada", None).await.unwrap();
    assert_eq!(says().await, None);
    let old = time::OffsetDateTime::now_utc() - time::Duration::days(4);
    let vault = house.store.vault_of_copies().await.unwrap().unwrap();
    house.store.catalogue_copied("ada", &vault.id, old, "a snapshot", false).await.unwrap();
    assert!(says().await.unwrap().contains("is 4 days old"));
}
