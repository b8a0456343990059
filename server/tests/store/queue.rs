//! Leases, fences, slots and cancellation.

use std::collections::HashSet;

use holdfast::store::{ATTEMPTS, Lane, StoreError};
use holdfast_model::{
    event::{EventBody, Level},
    state::{Proof, RunKind, RunState},
};
use time::OffsetDateTime;

use crate::catalogue::{Catalogue, new_run, report};

crate::on_both!(
    eight_workers_take_each_run_once,
    a_worker_whose_lease_ran_out_can_write_nothing,
    a_living_lease_is_left_alone,
    an_environment_has_one_create_or_restore_at_a_time,
    a_part_does_not_wait_for_the_slot,
    the_slot_is_free_again_after_the_end,
    a_queued_run_is_cancelled_at_once,
    a_running_one_learns_it_by_its_heartbeat,
    a_run_that_was_begun_is_looked_after_before_it_is_cancelled,
    waits_grow_with_the_attempts,
    a_released_run_is_taken_up_at_once,
);

async fn eight_workers_take_each_run_once(c: &Catalogue) {
    let mut queued = HashSet::new();
    for number in 0..20 {
        let environment = c.environment("p", &format!("e{number}")).await;
        queued.insert(c.queue(RunKind::Create, &environment, None).await);
    }
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let store = c.store.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some(claim) = store.claim(Lane::Environments, &format!("w/{worker}")).await.unwrap() {
                    taken.push(claim.id().clone());
                }
                taken
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    assert_eq!(all.len(), 20, "each once");
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), queued);
}

async fn a_worker_whose_lease_ran_out_can_write_nothing(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    let stale = c.claim().await;
    c.sql("update run set lease_until = 1").await;
    assert_eq!(c.store.reap(false).await.unwrap(), std::slice::from_ref(&run));
    assert!(c.store.claim(Lane::Environments, "w").await.unwrap().is_none(), "it waits before the next attempt");
    c.sql("update run set not_before = 0").await;
    let fresh = c.claim().await;
    assert_eq!((fresh.id(), fresh.attempt), (&run, 2));
    assert!(fresh.fence > stale.fence);

    let sealed = c.publication(&stale, None, &[]).await;
    let line = EventBody::Log { level: Level::Info, component: None, message: "late".into() };
    let now = OffsetDateTime::now_utc();
    let late = [
        c.store.publish_checkpoint(&stale, &sealed).await,
        c.store.append(&stale, vec![(now, line)]).await,
        c.store.finish(&stale, RunState::Succeeded, None, None).await,
        c.store.heartbeat(&stale).await.map(|_| ()),
        c.store.check_fence(&stale).await,
        c.store.release(&stale, "late").await,
    ];
    for refused in late {
        assert!(matches!(refused, Err(StoreError::Fenced)), "{refused:?}");
    }
    assert!(c.store.checkpoint(&sealed.manifest.checkpoint).await.is_err(), "nothing became visible");
    assert_eq!(c.store.run(&run).await.unwrap().state, RunState::Running);

    let sealed = c.publication(&fresh, None, &[]).await;
    c.store.publish_checkpoint(&fresh, &sealed).await.unwrap();
    c.store.publish_checkpoint(&fresh, &sealed).await.expect("twice is no error");
    let stale_drill = c.store.record_drill(&stale, &sealed.manifest.checkpoint, &report(Proof::Proven)).await;
    assert!(matches!(stale_drill, Err(StoreError::Fenced)));
    c.store.finish(&fresh, RunState::Succeeded, None, None).await.unwrap();
}

async fn a_living_lease_is_left_alone(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    assert!(c.store.reap(false).await.unwrap().is_empty());
    c.store.heartbeat(&claim).await.expect("still held");
    // The only server on this catalogue has just started: nobody can hold anything.
    assert_eq!(c.store.reap(true).await.unwrap(), [claim.id().clone()]);
}

async fn an_environment_has_one_create_or_restore_at_a_time(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let other = c.environment("p", "other").await;
    let id = c.sealed(&environment, None, &[]).await;
    let first = c.queue(RunKind::Create, &environment, None).await;
    c.queue(RunKind::Restore, &environment, Some(&id)).await;
    let drill = c.queue(RunKind::Drill, &environment, Some(&id)).await;
    let elsewhere = c.queue(RunKind::Create, &other, None).await;
    let mut taken = Vec::new();
    while let Some(claim) = c.store.claim(Lane::Environments, "w").await.unwrap() {
        taken.push(claim.id().clone());
    }
    assert_eq!(taken, [first, drill, elsewhere]);
    // The rule is the database's own.
    let mut racing = Vec::new();
    for _ in 0..6 {
        let store = c.store.clone();
        racing.push(tokio::spawn(async move { store.claim(Lane::Environments, "w").await.unwrap().is_some() }));
    }
    for one in racing {
        assert!(!one.await.unwrap());
    }
}

async fn a_part_does_not_wait_for_the_slot(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let id = c.sealed(&environment, None, &[]).await;
    c.queue(RunKind::Restore, &environment, Some(&id)).await;
    let whole = c.claim().await;
    let part = c.store.begin_part(&whole, new_run(RunKind::Create, &environment, None), "w").await.unwrap();
    assert_eq!(part.run.view.parent.as_ref(), Some(whole.id()));
    assert_eq!(part.run.view.state, RunState::Running);
    c.store.finish(&whole, RunState::Failed, None, None).await.unwrap();
    let refused = c.store.begin_part(&whole, new_run(RunKind::Create, &environment, None), "w").await;
    assert!(matches!(refused, Err(StoreError::Fenced)));
}

async fn the_slot_is_free_again_after_the_end(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.queue(RunKind::Create, &environment, None).await;
    let second = c.queue(RunKind::Create, &environment, None).await;
    let first = c.claim().await;
    assert!(c.store.claim(Lane::Environments, "w").await.unwrap().is_none());
    c.store.finish(&first, RunState::Failed, Some("no".into()), None).await.unwrap();
    assert_eq!(c.claim().await.id(), &second);
    let not_final = c.store.finish(&first, RunState::Queued, None, None).await;
    assert!(matches!(not_final, Err(StoreError::Invalid(_))));
}

async fn a_queued_run_is_cancelled_at_once(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    c.store.request_cancel(&run, "ada").await.unwrap();
    let view = c.store.run(&run).await.unwrap();
    assert_eq!(view.state, RunState::Cancelled);
    assert!(view.ended_at.is_some() && view.message.unwrap().contains("ada"));
    assert!(c.store.claim(Lane::Environments, "w").await.unwrap().is_none());
    let again = c.store.request_cancel(&run, "ada").await;
    assert!(matches!(again, Err(StoreError::Refused(_))), "{again:?}");
}

async fn a_running_one_learns_it_by_its_heartbeat(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    assert!(!c.store.heartbeat(&claim).await.unwrap().cancel_requested);
    let mut told = c.store.cancels();
    c.store.request_cancel(&run, "ada").await.unwrap();
    assert_eq!(told.recv().await.unwrap(), run);
    assert!(c.store.heartbeat(&claim).await.unwrap().cancel_requested);
    c.store.finish(&claim, RunState::Cancelled, None, None).await.unwrap();
}

async fn a_run_that_was_begun_is_looked_after_before_it_is_cancelled(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    c.claim().await;
    c.store.reap(true).await.unwrap();
    c.store.request_cancel(&run, "ada").await.unwrap();
    let claim = c.claim().await;
    assert!(claim.run.cancel_requested, "a worker sees at once that it only has to look for a seal");
    assert_eq!(claim.attempt, 2);
}

async fn waits_grow_with_the_attempts(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.queue(RunKind::Create, &environment, None).await;
    for attempt in 1..=ATTEMPTS {
        assert_eq!(c.claim().await.attempt, attempt);
        c.store.reap(true).await.unwrap();
        assert!(c.store.claim(Lane::Environments, "w").await.unwrap().is_none(), "nobody may have it before its time");
        // 2 s after the first, 10 s after the second, 50 s after the third attempt, less a moment.
        let wait = 2 * 5_i64.pow(attempt - 1) - 1;
        c.sql(&format!("update run set not_before = not_before - {wait} * 1000000")).await;
        assert!(
            c.store.claim(Lane::Environments, "w").await.unwrap().is_none(),
            "attempt {attempt} waits longer than {wait} s"
        );
        c.sql("update run set not_before = not_before - 1000000").await;
    }
}

async fn a_released_run_is_taken_up_at_once(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    c.store.release(&claim, "the server stops").await.unwrap();
    assert_eq!(c.store.run(&run).await.unwrap().state, RunState::Queued);
    assert_eq!(c.claim().await.id(), &run);
}
