//! The first page says what is the case.

use holdfast_model::{
    state::{Integrity, Proof, RunKind, RunState},
    view::Attention,
};

use crate::catalogue::Catalogue;

crate::on_both!(
    the_first_page_asks_for_what_is_missing,
    a_failure_after_the_newest_checkpoint_is_urgent,
    samples_are_one_a_day,
    an_environment_shows_its_run_and_sizes,
    projects_add_up,
);

fn says(attention: &[Attention], text: &str) -> bool {
    attention.iter().any(|a| a.message.contains(text))
}

async fn the_first_page_asks_for_what_is_missing(c: &Catalogue) {
    assert!(c.store.overview().await.unwrap().attention.is_empty());
    let environment = c.environment("p", "staging").await;
    let first = c.store.overview().await.unwrap();
    assert!(says(&first.attention, "staging has no checkpoint yet"));
    assert_eq!((first.environments.len(), first.proven), (1, 0));

    c.sealed(&environment, None, &[]).await;
    let unproven = c.store.overview().await.unwrap();
    assert!(says(&unproven.attention, "has not been proven"));
    assert!(says(&unproven.attention, "recovery kit"));

    let proven = c.drilled(&environment, Proof::Proven).await;
    let vault = c.vault(&environment).await;
    c.store.confirm_kit(&vault, "ada").await.unwrap();
    let calm = c.store.overview().await.unwrap();
    assert_eq!(calm.attention, []);
    assert_eq!(calm.proven, 1);
    assert_eq!(calm.oldest_proof.unwrap().0.as_str(), "staging");
    assert_eq!(calm.last.len(), 2);
    assert_eq!(calm.last[0].id, proven);

    c.drilled(&environment, Proof::Failed).await;
    let failed = c.store.overview().await.unwrap();
    assert!(failed.attention[0].urgent && says(&failed.attention, "failed its drill"));
    assert_eq!(failed.proven, 0);

    let id = c.drilled(&environment, Proof::Proven).await;
    c.queue(RunKind::Verify, &environment, Some(&id)).await;
    let claim = c.claim().await;
    c.store.record_integrity(&claim, &id, &vault, Integrity::Damaged, None).await.unwrap();
    let damaged = c.store.overview().await.unwrap();
    assert!(damaged.attention[0].urgent && says(&damaged.attention, "damaged"));
    assert_eq!(damaged.running.len(), 1);
}

async fn a_failure_after_the_newest_checkpoint_is_urgent(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.drilled(&environment, Proof::Proven).await;
    c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    c.store.finish(&claim, RunState::Failed, Some("pg_dump: wrong password".into()), None).await.unwrap();
    let overview = c.store.overview().await.unwrap();
    assert!(overview.attention[0].urgent && says(&overview.attention, "wrong password"));
    c.drilled(&environment, Proof::Proven).await;
    assert!(!says(&c.store.overview().await.unwrap().attention, "wrong password"));
}

async fn samples_are_one_a_day(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.store.sample().await.unwrap();
    c.sealed(&environment, None, &[]).await;
    c.store.sample().await.unwrap();
    c.sql("insert into sample (day, environment, total, stored) select '2020-01-01', id, 1, 1 from environment").await;
    let storage = c.store.storage().await.unwrap();
    assert_eq!(storage.len(), 1);
    let points: Vec<(u64, u64)> = storage[0].points.iter().map(|point| (point.total, point.stored)).collect();
    assert_eq!(points, [(1000, 100)], "today's newest; what is older than the chart is left out");
}

async fn an_environment_shows_its_run_and_sizes(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    for _ in 0..3 {
        c.sealed(&environment, None, &[]).await;
    }
    let waiting = c.queue(RunKind::Create, &environment, None).await;
    let view = c.store.environment_view(&environment).await.unwrap();
    assert_eq!(view.running.as_ref().unwrap().id, waiting);
    assert_eq!(view.components[0].sizes, [1000, 1000, 1000]);
    assert_eq!((view.checkpoints, view.total, view.stored), (3, 3000, 300));
    assert!(view.latest.is_some() && view.latest_proven.is_none());
    c.claim().await;
    let later = c.queue(RunKind::Create, &environment, None).await;
    let view = c.store.environment_view(&environment).await.unwrap();
    assert_eq!(view.running.unwrap().id, waiting, "the one that is going, not {later}");
}

async fn projects_add_up(c: &Catalogue) {
    let one = c.environment("p", "a").await;
    let two = c.environment("p", "b").await;
    c.sealed(&one, None, &[]).await;
    c.sealed(&two, None, &[]).await;
    c.store.vault_holds(&c.vault(&one).await, 777, None).await.unwrap();
    let projects = c.store.project_views().await.unwrap();
    assert_eq!((projects[0].checkpoints, projects[0].total, projects[0].stored), (2, 2000, 777));
    assert_eq!(projects[0].environments.len(), 2);
    assert!(!projects[0].recovery_kit_confirmed);
}
