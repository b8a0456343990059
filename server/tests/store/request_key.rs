//! Which requests with an `Idempotency-Key` are repeats.

use std::collections::HashSet;

use holdfast::store::{RequestKey, StoreError};
use holdfast_model::{id::RunId, state::RunKind};

use crate::catalogue::{Catalogue, new_run};

crate::on_both!(equal_requests_at_once_start_one_run, a_key_stands_for_one_request_of_one_caller_for_a_day);

fn key(caller: &str, key: &str) -> RequestKey {
    RequestKey { caller: caller.into(), key: key.into() }
}

async fn equal_requests_at_once_start_one_run(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let asking: Vec<_> = (0..12)
        .map(|_| {
            let (store, environment) = (c.store.clone(), environment.clone());
            tokio::spawn(async move {
                store.enqueue_once(&key("key:ci", "17-1"), new_run(RunKind::Create, &environment, None)).await.unwrap()
            })
        })
        .collect();
    let mut runs: HashSet<RunId> = HashSet::new();
    for one in asking {
        runs.insert(one.await.unwrap());
    }
    assert_eq!(runs.len(), 1);
    assert_eq!(c.store.open_runs().await.unwrap().len(), 1);
}

async fn a_key_stands_for_one_request_of_one_caller_for_a_day(c: &Catalogue) {
    let (one, two) = (c.environment("p", "e").await, c.environment("p", "f").await);
    let ask = async |who: &str, environment| {
        c.store.enqueue_once(&key(who, "17-1"), new_run(RunKind::Create, environment, None)).await
    };
    let first = ask("key:ci", &one).await.unwrap();
    assert_ne!(ask("key:other", &one).await.unwrap(), first);
    assert!(matches!(ask("key:ci", &two).await, Err(StoreError::Refused(_))));
    assert_eq!(ask("key:ci", &one).await.unwrap(), first, "a refusal changes nothing");
    c.sql("update request_key set at = at - 86401000000").await;
    assert_ne!(ask("key:ci", &one).await.unwrap(), first, "a day later it is another request");
}
