//! Who has a role in one project only sees nothing of another one.

use holdfast::store::{CheckpointFilter, RunFilter, Store, StoreError};
use holdfast_model::{
    access::{Access, Role},
    state::Proof,
};

use crate::catalogue::Catalogue;

crate::on_both!(another_project_does_not_exist, a_name_within_a_name_is_another_project, who_has_no_role_sees_nothing,);

fn in_project(store: &Store, name: &str) -> Store {
    store.seen_by(&Access { projects: [(name.parse().unwrap(), Role::Admin)].into(), ..Access::default() })
}

fn is_missing<T: std::fmt::Debug>(found: Result<T, StoreError>) {
    assert!(matches!(found, Err(StoreError::NotFound { .. })), "{found:?}");
}

async fn another_project_does_not_exist(c: &Catalogue) {
    let ours = c.environment("shop", "production").await;
    let theirs = c.environment("blog", "production").await;
    let our_checkpoint = c.sealed(&ours, Some("before"), &["a"]).await;
    let their_checkpoint = c.sealed(&theirs, Some("before"), &["a"]).await;
    c.drilled(&theirs, Proof::Proven).await;
    c.store.sample().await.unwrap();
    let store = in_project(&c.store, "shop");

    assert_eq!(store.find_environment("production").await.unwrap().id, ours, "not ambiguous: there is one");
    is_missing(store.find_environment("blog/production").await);
    is_missing(store.find_environment(theirs.as_str()).await);
    is_missing(store.environment(&theirs).await);
    is_missing(store.find_project("blog").await);
    assert_eq!(store.projects().await.unwrap().len(), 1);
    assert_eq!(store.environments().await.unwrap().len(), 1);
    assert_eq!(store.project_views().await.unwrap().len(), 1);
    assert_eq!(store.vault_views().await.unwrap().len(), 1);

    for text in [their_checkpoint.as_str(), &their_checkpoint.as_str()[..20], "blog/production@latest"] {
        is_missing(store.find_checkpoint(text).await);
    }
    assert_eq!(store.find_checkpoint("before").await.unwrap().id, our_checkpoint);
    assert_eq!(store.find_checkpoint("latest").await.unwrap().id, our_checkpoint);
    let listed = store.checkpoints(&CheckpointFilter::default()).await.unwrap();
    assert_eq!((listed.items.len(), listed.count, listed.total), (1, 1, 1000));
    let asked = CheckpointFilter { environment: Some(theirs.clone()), ..CheckpointFilter::default() };
    assert_eq!(store.checkpoints(&asked).await.unwrap().count, 0);

    let runs = store.runs(&RunFilter::default()).await.unwrap();
    assert_eq!(runs.len(), 1);
    let all = c.store.runs(&RunFilter::default()).await.unwrap();
    assert_eq!(all.len(), 4);
    let foreign = all.iter().find(|run| run.id != runs[0].id).unwrap();
    is_missing(store.find_run(foreign.id.as_str()).await);
    is_missing(store.run(&foreign.id).await);

    let overview = store.overview().await.unwrap();
    assert_eq!((overview.environments.len(), overview.last.len(), overview.total), (1, 1, 1000));
    assert_eq!(overview.oldest_proof, None);
    assert_eq!(overview.storage.len(), 1);
    let said = serde_json::to_string(&overview).unwrap();
    assert!(!said.contains("blog"), "{said}");
}

async fn a_name_within_a_name_is_another_project(c: &Catalogue) {
    c.environment("shop", "e").await;
    c.environment("shop-2", "e").await;
    c.environment("my-shop", "e").await;
    let names: Vec<String> =
        in_project(&c.store, "shop").projects().await.unwrap().into_iter().map(|p| p.name.to_string()).collect();
    assert_eq!(names, ["shop"]);
}

async fn who_has_no_role_sees_nothing(c: &Catalogue) {
    let environment = c.environment("shop", "e").await;
    let id = c.sealed(&environment, None, &[]).await;
    let store = c.store.seen_by(&Access::default());
    is_missing(store.find_checkpoint(id.as_str()).await);
    assert!(store.environments().await.unwrap().is_empty());
    let store = c.store.seen_by(&Access::everywhere(Role::Viewer));
    assert_eq!(store.find_checkpoint(id.as_str()).await.unwrap().id, id);
}
