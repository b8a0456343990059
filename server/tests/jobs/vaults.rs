//! The vault registry: what an interrupted first use left is completed, and the kit opens the vault.

use holdfast::vaults::VaultsError;
use holdfast_model::state::Proof;

use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_whose_making_was_interrupted_is_completed() {
    // Three moments: before anything was on disk, with keys but no config, and with all of it but not noted.
    for left in ["nothing", "keys", "everything"] {
        let mut house = House::new().await;
        house.desk.vaults().of_project(&house.project().await).await.unwrap();
        house.stop().await;
        let folder = house.data().join("vaults/shop");
        match left {
            "nothing" => std::fs::remove_dir_all(&folder).unwrap(),
            "keys" => std::fs::remove_file(folder.join("config")).unwrap(),
            _ => {}
        }
        house.sql("update vault set state = 'creating'").await;
        house.restart().await;
        assert_eq!(house.back_up().await.proof, Proof::Proven, "{left}");
        house.restic(&["check"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_first_uses_make_one_vault() {
    let house = House::still().await;
    let project = house.project().await;
    let vaults = house.desk.vaults();
    let (one, two) = tokio::join!(vaults.of_project(&project), vaults.of_project(&project));
    assert_eq!(one.unwrap().id, two.unwrap().id);
    assert_eq!(house.store.vaults().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_vault_that_has_gone_is_not_made_anew() {
    let mut house = House::new().await;
    house.back_up().await;
    house.stop().await;
    std::fs::rename(house.data().join("vaults/shop"), house.folder.path().join("away")).unwrap();
    house.restart().await;
    let run = house.create(holdfast_model::request::CreateCheckpoint::default()).await;
    assert_eq!(run.state, holdfast_model::state::RunState::Failed);
    assert!(!house.data().join("vaults/shop/config").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kit_is_refused_before_there_is_a_vault_and_confirmed_after() {
    let house = House::new().await;
    let project = house.project().await;
    let none = house.desk.vaults().recovery_kit(&project, "ada").await;
    assert!(matches!(none, Err(VaultsError::None(_))));
    house.back_up().await;
    let kit = house.desk.vaults().recovery_kit(&project, "ada").await.unwrap();
    assert!(kit.commands.iter().any(|command| command.starts_with("restic restore")));
    assert!(std::path::Path::new(&kit.repository).join("keys").join(&kit.key_name).exists());
    let key_file = std::fs::read_to_string(std::path::Path::new(&kit.repository).join("keys").join(&kit.key_name));
    assert_eq!(key_file.unwrap(), kit.key_file);
    house.actions().confirm_recovery_kit(project.name.as_str(), None).await.unwrap();
    assert!(house.store.project_views().await.unwrap()[0].recovery_kit_confirmed);
}
