//! Which requests of pipelines are repeats of one another.

use std::collections::HashSet;

use holdfast::store::{GateAsked, StoreError};
use holdfast_model::{
    id::{EnvironmentId, RunId},
    state::{RunKind, RunState},
};

use crate::catalogue::{Catalogue, new_run};

crate::on_both!(
    equal_requests_at_once_make_one_run,
    a_repeat_without_a_key_joins_until_two_minutes_after_the_end,
    a_repeat_with_a_key_joins_for_a_day,
    another_caller_environment_tag_or_key_is_another_request,
    a_key_stands_for_one_request,
);

fn asked(caller: &str, tag: &str, key: Option<&str>) -> GateAsked {
    GateAsked { caller: caller.into(), tag: tag.into(), key: key.map(Into::into) }
}

async fn gate(c: &Catalogue, environment: &EnvironmentId, asked: &GateAsked) -> RunId {
    c.store.enqueue_or_join(asked, new_run(RunKind::Create, environment, None)).await.unwrap()
}

/// As a worker would that seals and proves it.
async fn end(c: &Catalogue, run: &RunId) {
    let claim = c.claim().await;
    assert_eq!(claim.id(), run);
    c.store.finish(&claim, RunState::Succeeded, None, Some(true)).await.unwrap();
}

async fn equal_requests_at_once_make_one_run(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    for key in [None, Some("17-1")] {
        let asking: Vec<_> = (0..12)
            .map(|_| {
                let (store, environment) = (c.store.clone(), environment.clone());
                let asked = asked("key:ci", "v1", key);
                tokio::spawn(async move {
                    store.enqueue_or_join(&asked, new_run(RunKind::Create, &environment, None)).await.unwrap()
                })
            })
            .collect();
        let mut runs = HashSet::new();
        for one in asking {
            runs.insert(one.await.unwrap());
        }
        assert_eq!(runs.len(), 1, "{key:?}");
    }
    assert_eq!(c.store.open_runs().await.unwrap().len(), 2, "one without and one with a key");
}

async fn a_repeat_without_a_key_joins_until_two_minutes_after_the_end(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let same = asked("key:ci", "v1", None);
    let first = gate(c, &environment, &same).await;
    assert_eq!(gate(c, &environment, &same).await, first, "while it is queued");
    // It may take days: what counts is that it goes on.
    c.sql("update gate set at = at - 90000000000").await;
    assert_eq!(gate(c, &environment, &same).await, first, "while it goes on");
    end(c, &first).await;
    assert_eq!(gate(c, &environment, &same).await, first, "just after its end");
    c.sql("update run set ended_at = ended_at - 110000000").await;
    assert_eq!(gate(c, &environment, &same).await, first, "1:50 after its end");
    c.sql("update run set ended_at = ended_at - 11000000").await;
    let second = gate(c, &environment, &same).await;
    assert_ne!(second, first, "2:01 after its end: an old proof opens no new gate");
    assert_eq!(gate(c, &environment, &same).await, second);
}

async fn a_repeat_with_a_key_joins_for_a_day(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let same = asked("key:ci", "v1", Some("17-1"));
    let first = gate(c, &environment, &same).await;
    end(c, &first).await;
    c.sql("update run set ended_at = ended_at - 86000000000").await;
    c.sql("update gate set at = at - 86000000000").await;
    assert_eq!(gate(c, &environment, &same).await, first, "23:53 h later");
    c.sql("update gate set at = at - 500000000").await;
    let second = gate(c, &environment, &same).await;
    assert_ne!(second, first, "24:01 h later");
    assert_eq!(gate(c, &environment, &same).await, second);
}

async fn another_caller_environment_tag_or_key_is_another_request(c: &Catalogue) {
    let (here, there) = (c.environment("p", "e").await, c.environment("q", "e").await);
    let requests = [
        (&here, asked("key:ci", "v1", None)),
        (&there, asked("key:ci", "v1", None)),
        (&here, asked("key:other", "v1", None)),
        (&here, asked("key:ci", "v2", None)),
        (&here, asked("key:ci", "v1", Some("17-1"))),
        (&here, asked("key:ci", "v1", Some("17-2"))),
        (&here, asked("key:other", "v1", Some("17-1"))),
    ];
    let mut runs = HashSet::new();
    for (environment, asked) in &requests {
        runs.insert(gate(c, environment, asked).await);
    }
    assert_eq!(runs.len(), requests.len());
    for (environment, asked) in &requests {
        assert!(!runs.insert(gate(c, environment, asked).await), "{asked:?} again joins");
    }
}

async fn a_key_stands_for_one_request(c: &Catalogue) {
    let (here, there) = (c.environment("p", "e").await, c.environment("q", "e").await);
    gate(c, &here, &asked("key:ci", "v1", Some("17-1"))).await;
    for (environment, tag) in [(&here, "v2"), (&there, "v1")] {
        let other = asked("key:ci", tag, Some("17-1"));
        let refused = c.store.enqueue_or_join(&other, new_run(RunKind::Create, environment, None)).await;
        assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("Idempotency-Key")), "{refused:?}");
    }
    assert_eq!(c.store.open_runs().await.unwrap().len(), 1, "a refused request leaves no run");
    c.sql("update gate set at = at - 86401000000").await;
    gate(c, &there, &asked("key:ci", "v1", Some("17-1"))).await;
}
