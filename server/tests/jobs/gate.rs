//! The gate of a pipeline, with the real engine behind it.

use std::time::Duration;

use holdfast::actions::{Actions, Patience};
use holdfast_model::{
    gate::{GateAnswer, GateRequest},
    state::{Proof, RunState, Trigger},
};
use tokio_util::sync::CancellationToken;

use crate::house::House;

async fn gate(actions: &Actions, tag: &str, key: Option<&str>, wait: Duration) -> GateAnswer {
    let request = GateRequest { database: "production".into(), tag: tag.into() };
    let base = "http://127.0.0.1:3000/".parse().unwrap();
    let stopping = CancellationToken::new();
    let patience = Patience { wait, stopping: &stopping };
    actions.gate(request, key.map(Into::into), patience, &base).await.unwrap()
}

const LONG: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_proven_checkpoint_opens_it() {
    let house = House::new().await;
    let answer = gate(&house.actions(), "v1", None, LONG).await;
    assert!(answer.ok, "{answer:?}");
    assert_eq!((answer.state, answer.restore_drill), (RunState::Succeeded, Some(Proof::Proven)));
    let view = house.store.checkpoint_view(answer.checkpoint.as_ref().unwrap()).await.unwrap();
    assert_eq!((view.trigger, view.tags.as_slice()), (Trigger::Ci, ["v1".to_owned()].as_slice()));
    assert_eq!(answer.size.as_deref(), Some(view.size.display.as_str()));
    assert_eq!(answer.url, format!("http://127.0.0.1:3000/checkpoints/{}", view.id));
    assert!(answer.reason.is_none() && answer.duration_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_may_do_the_work() {
    let house = House::on_postgres().await;
    let elsewhere = house.actions_elsewhere().await;
    let answer = gate(&elsewhere, "v1", None, LONG).await;
    assert!(answer.ok, "{answer:?}");
    assert!(gate(&house.actions(), "v1", None, LONG).await.run == answer.run, "a repeat joins on either server");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_of_a_proven_one_since_shuts_it_again() {
    let house = House::new().await;
    let first = gate(&house.actions(), "v1", Some("17-1"), LONG).await;
    assert!(first.ok, "{first:?}");
    house.sql("update checkpoint_copy set integrity = 'damaged'").await;
    let damaged = gate(&house.actions(), "v1", Some("17-1"), LONG).await;
    assert_eq!((damaged.ok, &damaged.run), (false, &first.run));
    assert!(damaged.reason.unwrap().contains("damaged"));
    house.sql("update checkpoint_copy set integrity = 'intact'").await;
    house.sql("update checkpoint set proof = 'stale'").await;
    let stale = gate(&house.actions(), "v1", Some("17-1"), LONG).await;
    assert!(!stale.ok && stale.restore_drill == Some(Proof::Stale), "{stale:?}");
    house.sql("update checkpoint set proof = 'proven'").await;
    house.sql("update run set gate_open = 0").await;
    assert!(!gate(&house.actions(), "v1", Some("17-1"), LONG).await.ok, "the run's own drill decides too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_leaves_the_run_as_it_is() {
    let mut house = House::still().await;
    let waiting = gate(&house.actions(), "v1", None, Duration::from_millis(100)).await;
    assert_eq!((waiting.ok, waiting.state), (false, RunState::Queued));
    assert!(waiting.reason.is_none() && waiting.checkpoint.is_none());
    house.start();
    let answer = gate(&house.actions(), "v1", None, LONG).await;
    assert!(answer.ok && answer.run == waiting.run, "{answer:?}");
}
