//! From a request to a proven checkpoint.

use std::{io::Read as _, time::Duration};

use holdfast::{jobs::DeskError, store::StoreError};
use holdfast_model::{
    event::EventBody,
    manifest::Manifest,
    request::CreateCheckpoint,
    state::{Integrity, Proof, RunKind, RunState},
};
use holdfast_vault::{Cancel, Meter, PruneOptions};
use sha2::{Digest as _, Sha256};

use crate::house::{CANARY_DEFINITION, CANARY_ENV, House};

async fn is_proven(house: &House) {
    let run = house
        .create(CreateCheckpoint {
            name: Some("before v2".into()),
            tags: vec!["release".into()],
            drill: true,
            ..CreateCheckpoint::default()
        })
        .await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, Some(true)), "{}", house.story(&run.id).await);
    let view = house.store.checkpoint_view(run.checkpoint.as_ref().unwrap()).await.unwrap();
    assert_eq!(view.proof, Proof::Proven);
    assert_eq!((view.name.as_deref(), view.tags.as_slice()), (Some("before v2"), ["release".to_owned()].as_slice()));
    assert_eq!(view.components.len(), 3);
    assert_eq!(view.ledger["search"]["main.words"].rows, 500);
    assert!(view.size.total > 0 && view.size.stored > 0);
    assert!(view.drill.unwrap().checks.iter().all(|check| check.passed));
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());

    let steps: Vec<String> = house
        .events(&run.id)
        .await
        .into_iter()
        .filter_map(|event| match event.body {
            EventBody::Step { step, .. } => Some(step),
            _ => None,
        })
        .collect();
    for wanted in ["prepare", "hold", "seal", "drill"] {
        assert!(steps.iter().any(|step| step == wanted), "{wanted} in {steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_is_sealed_and_proven() {
    is_proven(&House::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_the_catalogue_in_postgres() {
    is_proven(&House::on_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_restic_reads_what_was_sealed() {
    let house = House::new().await;
    let first = house.back_up().await;
    std::fs::write(house.app().join("uploads/new"), "new").unwrap();
    let second = house.back_up().await;
    house.restic(&["check", "--read-data"]).await;

    let tag = format!("holdfast:{}", second.id);
    let text = house.restic(&["dump", "--tag", &tag, "latest", "/manifest.json"]).await;
    assert_eq!(text, house.store.manifest_text(&second.id).await.unwrap(), "byte for byte");
    let manifest: Manifest = serde_json::from_str(&text).unwrap();
    let previous = manifest.previous.unwrap();
    let before = house.store.manifest_text(&first.id).await.unwrap();
    assert_eq!(previous.checkpoint, first.id);
    assert_eq!(previous.manifest, hex::encode(Sha256::digest(before.as_bytes())));
    // The definition is in there, whole: a new server can restore from it.
    let definition = house.restic(&["dump", "--tag", &tag, "latest", "/environment.json"]).await;
    assert!(definition.contains(CANARY_DEFINITION));

    let target = house.folder.path().join("restored");
    house.restic(&["restore", "latest", "--tag", &tag, "--target", target.to_str().unwrap()]).await;
    let restored = target.join("files/uploads");
    assert_eq!(std::fs::read(restored.join("new")).unwrap(), b"new");
    assert_eq!(
        std::fs::read(restored.join("deep/39.txt")).unwrap(),
        std::fs::read(house.app().join("uploads/deep/39.txt")).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_the_vault_and_nowhere_else() {
    let mut house = House::new().await;
    let checkpoint = house.back_up().await;
    let kit = house.desk.vaults().recovery_kit(&house.project().await, "ada").await.unwrap();
    let canaries = [CANARY_ENV, CANARY_DEFINITION, kit.password.as_str()];
    let overview = house.store.overview().await.unwrap();
    let shown = [
        serde_json::to_string(&checkpoint).unwrap(),
        serde_json::to_string(&overview).unwrap(),
        house.story(&checkpoint.run).await,
        house.store.manifest_text(&checkpoint.id).await.unwrap(),
    ];
    for canary in canaries {
        assert!(shown.iter().all(|text| !text.contains(canary)));
    }
    house.stop().await;
    house.store.close().await;
    let mut looked = 0;
    for entry in std::fs::read_dir(house.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            looked += 1;
            let bytes = std::fs::read(&path).unwrap();
            for canary in canaries {
                let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
                assert!(!found, "{canary} in {}", path.display());
            }
        }
    }
    assert!(looked >= 2, "the catalogue and the key");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_read_and_all_of_it_can_be_deleted() {
    let house = House::new().await;
    let old = house.back_up().await;
    let newest = house.back_up().await;
    let content = house.desk.content(&old.id, "files/uploads/deep/3.txt", "ada").await.unwrap();
    let text = tokio::task::spawn_blocking(move || {
        let (mut text, mut content) = (String::new(), content);
        content.reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.len() as u64, content.size);
        text
    })
    .await
    .unwrap();
    assert_eq!(text, std::fs::read_to_string(house.app().join("uploads/deep/3.txt")).unwrap());
    let missing = house.desk.content(&old.id, "files/uploads/nope", "ada").await.err().unwrap();
    assert!(matches!(missing, DeskError::NoSuchPath(_)), "{missing}");
    let folder = house.desk.content(&old.id, "files/uploads", "ada").await.err().unwrap();
    assert!(matches!(folder, DeskError::NotAFile(_)), "{folder}");

    let refused = house.desk.delete_checkpoint(&newest.id, "ada").await;
    assert!(matches!(refused, Err(DeskError::Store(StoreError::Refused(_)))), "{refused:?}");
    house.desk.delete_checkpoint(&old.id, "ada").await.unwrap();
    let left: Vec<String> = house.snapshots().await.iter().map(|s| s.id.to_string()).collect();
    assert_eq!(left, [newest.vault.snapshot]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_components_is_said_to_be_a_part() {
    let house = House::new().await;
    let run = house
        .create(CreateCheckpoint {
            components: vec!["database".into(), "config".into()],
            drill: false,
            ..CreateCheckpoint::default()
        })
        .await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, None));
    let view = house.store.checkpoint_view(&run.checkpoint.unwrap()).await.unwrap();
    assert_eq!(view.components.len(), 2);
    assert_eq!(view.proof, Proof::Unproven);
    assert!(view.not_covered.iter().any(|line| line.contains("uploads")), "{:?}", view.not_covered);

    let run = house.create(CreateCheckpoint { components: vec!["redis".into()], ..CreateCheckpoint::default() }).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.message.unwrap().contains("`redis`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_capture_makes_no_checkpoint() {
    let house = House::new().await;
    house.back_up().await;
    std::fs::remove_file(house.app().join("search.db")).unwrap();
    let run = house.create(CreateCheckpoint { drill: true, ..CreateCheckpoint::default() }).await;
    assert_eq!((run.state, run.sealed), (RunState::Failed, false));
    assert!(run.message.as_ref().unwrap().contains("search"), "{:?}", run.message);
    assert_eq!(house.snapshots().await.len(), 1);
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
    house.restic(&["check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drill_and_verify_on_demand() {
    let house = House::new().await;
    let run = house.create(CreateCheckpoint { drill: false, ..CreateCheckpoint::default() }).await;
    let id = run.checkpoint.unwrap();
    let drill = house.queue(RunKind::Drill, Some(&id), ()).await;
    let verify = house.queue(RunKind::Verify, Some(&id), ()).await;
    let drill = house.ended(&drill).await;
    assert_eq!((drill.state, drill.gate_open), (RunState::Succeeded, Some(true)), "{:?}", drill.message);
    assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
    let view = house.store.checkpoint_view(&id).await.unwrap();
    assert_eq!((view.proof, view.integrity), (Proof::Proven, Integrity::Intact));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_before_only_saves_work_and_may_have_gone_from_the_vault() {
    let house = House::new().await;
    let gone = house.back_up().await;
    let (vault, snapshot) = (house.vault().await, gone.vault.snapshot.parse().unwrap());
    // Somebody else's hand: forgotten, and taken out at once with all that it alone needed.
    tokio::task::spawn_blocking(move || {
        vault.forget(&snapshot).unwrap();
        let at_once = PruneOptions { grace: Duration::ZERO, ..PruneOptions::default() };
        for _ in 0..2 {
            vault.prune(&at_once, &Cancel::new(), &Meter::new(), &|| false).unwrap();
        }
    })
    .await
    .unwrap();
    let run = house.create(CreateCheckpoint { drill: true, ..CreateCheckpoint::default() }).await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, Some(true)), "{}", house.story(&run.id).await);
    assert!(house.logged(&run.id, "the checkpoint before this one cannot be read").await);
    house.restic(&["check", "--read-data"]).await;
}
