//! How checkpoints are found, listed and deleted.

use holdfast::store::{CheckpointFilter, StoreError};
use holdfast_model::{
    id::CheckpointId,
    state::{Integrity, Proof, RunKind, RunState},
};

use crate::catalogue::{Catalogue, new_run};

crate::on_both!(
    one_is_found_by_every_name_that_it_has,
    latest_is_one_to_go_back_to,
    an_environment_is_found_by_name_and_an_ambiguous_one_is_not,
    lists_have_totals_over_all_that_match,
    rules_decide_about_deletion,
    two_deletions_at_once_leave_a_proven_one,
    the_manifest_is_kept_byte_for_byte,
    the_newest_drill_speaks,
    damage_is_kept_with_its_time,
);

fn candidates(found: Result<impl std::fmt::Debug, StoreError>) -> Vec<String> {
    match found {
        Err(StoreError::Ambiguous { candidates, .. }) => candidates,
        other => panic!("expected candidates, got {other:?}"),
    }
}

async fn one_is_found_by_every_name_that_it_has(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let first = c.sealed(&environment, Some("before v2"), &[]).await;
    let second = c.sealed(&environment, Some("twice"), &[]).await;
    let third = c.sealed(&environment, Some("twice"), &[]).await;
    let find = async |text: &str| c.store.find_checkpoint(text).await;
    assert_eq!(find(first.as_str()).await.unwrap().id, first);
    assert_eq!(find("before v2").await.unwrap().id, first);
    assert_eq!(find("latest").await.unwrap().id, third);
    assert_eq!(find("e@latest").await.unwrap().id, third);
    assert_eq!(find("p/e@latest").await.unwrap().id, third);
    assert_eq!(candidates(find("twice").await), [third.to_string(), second.to_string()]);

    // As many characters as tell them apart, with the prefix and without.
    let alike = first.as_str().bytes().zip(second.as_str().bytes()).take_while(|(a, b)| a == b).count();
    let unique = first
        .as_str()
        .char_indices()
        .map(|(at, c)| &first.as_str()[..at + c.len_utf8()])
        .find(|prefix| !second.as_str().starts_with(prefix) && !third.as_str().starts_with(prefix))
        .unwrap();
    assert_eq!(find(unique).await.unwrap().id, first);
    assert_eq!(find(unique.strip_prefix("chk_").unwrap()).await.unwrap().id, first);
    let shared = &first.as_str()[..alike.min(8)];
    assert!(candidates(find(shared).await).contains(&first.to_string()));
    assert!(matches!(find("zzz").await, Err(StoreError::NotFound { .. })));
    // Characters that mean something to LIKE mean nothing here.
    assert!(matches!(find("chk_%").await, Err(StoreError::NotFound { .. })));
    assert!(matches!(find("chk_______").await, Err(StoreError::NotFound { .. })));
}

async fn latest_is_one_to_go_back_to(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let id = c.sealed(&environment, None, &[]).await;
    let mut run = new_run(RunKind::Create, &environment, None);
    run.trigger = holdfast_model::state::Trigger::PreRestore;
    c.store.enqueue(run).await.unwrap();
    let claim = c.claim().await;
    let safety = c.publication(&claim, None, &[]).await;
    c.store.publish_checkpoint(&claim, &safety).await.unwrap();
    assert_eq!(c.store.find_checkpoint("latest").await.unwrap().id, id);
    let (newest, _) = c.store.newest_with_manifest(&environment).await.unwrap().unwrap();
    assert_eq!(newest.id, safety.manifest.checkpoint, "the next one builds upon the safety checkpoint");

    c.store.finish(&claim, RunState::Succeeded, None, None).await.unwrap();
    c.sealed(&environment, None, &["live"]).await;
    assert_eq!(c.store.find_checkpoint("latest").await.unwrap().id, id, "it was taken to compare with");

    c.environment("q", "e").await;
    assert_eq!(candidates(c.store.find_checkpoint("latest").await), ["p/e@latest", "q/e@latest"]);
}

async fn an_environment_is_found_by_name_and_an_ambiguous_one_is_not(c: &Catalogue) {
    let one = c.environment("p", "production").await;
    let find = async |text: &str| c.store.find_environment(text).await.map(|row| row.id);
    assert_eq!(find("production").await.unwrap(), one);
    let two = c.environment("q", "production").await;
    assert_eq!(candidates(find("production").await), ["p/production", "q/production"]);
    assert_eq!(find("q/production").await.unwrap(), two);
    assert_eq!(find("q~production").await.unwrap(), two);
    assert_eq!(find(one.as_str()).await.unwrap(), one);
    assert!(matches!(find("staging").await, Err(StoreError::NotFound { .. })));
    assert_eq!(c.environment("p", "production").await, one, "applying again keeps the id");
}

async fn lists_have_totals_over_all_that_match(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let other = c.environment("p", "other").await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(c.sealed(&environment, None, if number % 2 == 0 { &["even"] } else { &[] }).await);
    }
    c.sealed(&other, None, &["even"]).await;
    let filter = CheckpointFilter { environment: Some(environment.clone()), limit: Some(2), ..Default::default() };
    let page = c.store.checkpoints(&filter).await.unwrap();
    let listed = |page: &holdfast_model::view::CheckpointList| -> Vec<CheckpointId> {
        page.items.iter().map(|item| item.id.clone()).collect()
    };
    assert_eq!(listed(&page), [ids[4].clone(), ids[3].clone()]);
    assert_eq!((page.count, page.total, page.stored), (5, 5000, 500));
    let next = CheckpointFilter { before: Some(ids[3].clone()), ..filter.clone() };
    assert_eq!(listed(&c.store.checkpoints(&next).await.unwrap()), [ids[2].clone(), ids[1].clone()]);
    let even = CheckpointFilter { tag: Some("even".into()), ..Default::default() };
    assert_eq!(c.store.checkpoints(&even).await.unwrap().count, 4);
    let later = CheckpointFilter { since: Some(time::OffsetDateTime::now_utc()), ..Default::default() };
    assert_eq!(c.store.checkpoints(&later).await.unwrap().count, 0);
}

async fn rules_decide_about_deletion(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let old = c.drilled(&environment, Proof::Proven).await;
    let newest = c.drilled(&environment, Proof::Proven).await;
    let failed = c.drilled(&environment, Proof::Failed).await;
    let delete = async |id: &CheckpointId| c.store.delete_checkpoint(id, "ada").await;
    let refusal = async |id: &CheckpointId| match c.store.delete_checkpoint(id, "ada").await {
        Err(StoreError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refusal(&newest).await.contains("newest proven"));
    assert!(c.store.may_delete(&newest).await.unwrap().is_err());

    let run = c.queue(RunKind::Drill, &environment, Some(&old)).await;
    assert!(refusal(&old).await.contains(run.as_str()), "it is in use");
    c.store.request_cancel(&run, "ada").await.unwrap();
    c.sql(&format!("update checkpoint set protection = 'locked' where id = '{old}'")).await;
    assert!(refusal(&old).await.contains("locked"));
    c.sql("update checkpoint set protection = 'none'").await;

    delete(&failed).await.unwrap();
    delete(&old).await.unwrap();
    assert!(matches!(delete(&old).await, Err(StoreError::NotFound { .. })));
    assert!(matches!(c.store.find_checkpoint(old.as_str()).await, Err(StoreError::NotFound { .. })));
    assert_eq!(c.store.checkpoints(&CheckpointFilter::default()).await.unwrap().count, 1);
    let waiting = c.store.unforgotten().await.unwrap();
    assert_eq!(waiting.len(), 2, "their snapshots are still to be forgotten");
    for (id, vault, _) in waiting {
        c.store.forgotten(&id, &vault).await.unwrap();
    }
    assert!(c.store.unforgotten().await.unwrap().is_empty());
}

async fn two_deletions_at_once_leave_a_proven_one(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(c.drilled(&environment, Proof::Proven).await);
    }
    let deletions: Vec<_> = ids
        .iter()
        .map(|id| {
            let (store, id) = (c.store.clone(), id.clone());
            tokio::spawn(async move { store.delete_checkpoint(&id, "ada").await.is_ok() })
        })
        .collect();
    let mut deleted = Vec::new();
    for deletion in deletions {
        deleted.push(deletion.await.unwrap());
    }
    assert_eq!(deleted, [true, true, true, false]);
    assert!(c.store.latest_proven(&environment).await.unwrap().is_some());
}

async fn the_manifest_is_kept_byte_for_byte(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    let mut sealed = c.publication(&claim, Some("ü \u{1f980}"), &["b", "a"]).await;
    sealed.text = format!("  {}\n\n", sealed.text);
    c.store.publish_checkpoint(&claim, &sealed).await.unwrap();
    let id = sealed.manifest.checkpoint.clone();
    assert_eq!(c.store.manifest_text(&id).await.unwrap(), sealed.text);
    assert!(c.store.run(claim.id()).await.unwrap().sealed);

    let view = c.store.checkpoint_view(&id).await.unwrap();
    assert_eq!(view.name.as_deref(), Some("ü \u{1f980}"));
    assert_eq!(view.tags, ["a", "b"]);
    assert_eq!((view.size.total, view.size.stored, view.size.breakdown["filesystem"]), (1000, 100, 1000));
    assert_eq!(view.metadata["git_commit"], "abc123");
    assert_eq!((view.proof, view.integrity), (Proof::Unproven, Integrity::Unchecked));
    assert!(view.not_covered.iter().any(|line| line.contains("search")));
}

async fn the_newest_drill_speaks(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let id = c.drilled(&environment, Proof::Failed).await;
    c.queue(RunKind::Drill, &environment, Some(&id)).await;
    let claim = c.claim().await;
    c.store.record_drill(&claim, &id, &crate::catalogue::report(Proof::Proven)).await.unwrap();
    c.store.finish(&claim, RunState::Succeeded, None, None).await.unwrap();
    assert_eq!(c.store.checkpoint(&id).await.unwrap().proof, Proof::Proven);
    assert_eq!(c.store.run(claim.id()).await.unwrap().gate_open, Some(true));
    let verdicts: Vec<Proof> = c.store.drills(&id).await.unwrap().iter().map(|drill| drill.verdict).collect();
    assert_eq!(verdicts, [Proof::Proven, Proof::Failed], "the earlier report is still there");
    assert_eq!(c.store.last_drill_ms(&environment).await.unwrap(), Some(1234));
}

async fn damage_is_kept_with_its_time(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let id = c.sealed(&environment, None, &[]).await;
    let vault = c.vault(&environment).await;
    c.queue(RunKind::Verify, &environment, Some(&id)).await;
    let claim = c.claim().await;
    let packs: Vec<String> = ["c".repeat(64), "d".repeat(64)].into();
    c.store.record_packs(&claim, &vault, &packs).await.unwrap();
    c.store.record_packs(&claim, &vault, &packs[..1]).await.unwrap();
    assert_eq!(c.store.fresh_packs(&vault, 3600).await.unwrap().len(), 2);
    c.sql(&format!("update pack_read set read_at = 1 where pack = '{}'", packs[1])).await;
    assert_eq!(c.store.fresh_packs(&vault, 3600).await.unwrap().into_iter().collect::<Vec<_>>(), packs[..1]);
    c.store.record_integrity(&claim, &id, &vault, Integrity::Damaged, Some("pack c")).await.unwrap();
    c.store.distrust_packs(&vault).await.unwrap();
    let view = c.store.checkpoint_view(&id).await.unwrap();
    assert_eq!(view.integrity, Integrity::Damaged);
    assert!(view.integrity_at.is_some());
    assert!(c.store.fresh_packs(&vault, 3600).await.unwrap().is_empty());
}
