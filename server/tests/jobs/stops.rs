//! A run is told to end: by a person, or because the server stops.

use std::{io::Write as _, time::Duration};

use holdfast_model::{
    event::{EventBody, StepState},
    request::CreateCheckpoint,
    state::{Proof, RunKind, RunState},
};

use crate::house::House;

/// So much that nothing ends before it is told to: 192 MB that cannot be compressed.
fn much(house: &House) {
    let mut file = std::fs::File::create(house.app().join("uploads/big")).unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..192 {
        getrandom::fill(&mut block).unwrap();
        file.write_all(&block).unwrap();
    }
}

/// Begins a create and waits until it holds its components.
async fn begun(house: &House) -> holdfast_model::id::RunId {
    let mut live = house.store.live().subscribe();
    let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: true, ..Default::default() }).await;
    loop {
        let (of, event) = tokio::time::timeout(Duration::from_secs(60), live.recv()).await.unwrap().unwrap();
        assert_eq!(of, run);
        if matches!(&event.body, EventBody::Step { step, state: StepState::Done, .. } if step == "hold") {
            return run;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_create_leaves_nothing() {
    let house = House::new().await;
    much(&house);
    let run = begun(&house).await;
    let asked = std::time::Instant::now();
    house.store.request_cancel(&run, "ada").await.unwrap();
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.sealed), (RunState::Cancelled, false), "{:?}", run.message);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    assert!(house.snapshots().await.is_empty());
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
    assert!(house.store.find_checkpoint("latest").await.is_err());
    std::fs::remove_file(house.app().join("uploads/big")).unwrap();
    assert_eq!(house.back_up().await.proof, Proof::Proven, "the next one succeeds");
    house.restic(&["check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_server_puts_its_run_back() {
    let mut house = House::new().await;
    much(&house);
    let run = begun(&house).await;
    house.stop().await;
    assert_eq!(house.store.run(&run).await.unwrap().state, RunState::Queued);
    assert!(house.snapshots().await.is_empty());
    assert_eq!(house.leftovers(), Vec::<std::path::PathBuf>::new());
    std::fs::remove_file(house.app().join("uploads/big")).unwrap();
    house.restart().await;
    let run = house.ended(&run).await;
    assert_eq!((run.state, run.gate_open), (RunState::Succeeded, Some(true)), "{:?}", run.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_wakes_a_sleeping_worker() {
    let house = House::new().await;
    house.back_up().await;
    let mut prompt = 0;
    for _ in 0..8 {
        // The workers sleep: what wakes them is the request, not their own look at the queue once a second.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut live = house.store.live().subscribe();
        let asked = std::time::Instant::now();
        let run = house.queue(RunKind::Create, None, CreateCheckpoint { drill: false, ..Default::default() }).await;
        loop {
            let (_, event) = live.recv().await.unwrap();
            if matches!(event.body, EventBody::State { state: RunState::Running, .. }) {
                break;
            }
        }
        prompt += u32::from(asked.elapsed() < Duration::from_millis(250));
        house.ended(&run).await;
    }
    assert!(prompt >= 6, "{prompt} of 8");
}
