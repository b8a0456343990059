//! A prune that takes long, because its vault is far away, and people who do not wait for it.

use std::{collections::BTreeSet, io::Write as _, time::Duration};

use holdfast_model::{
    event::{Event, EventBody, StepState},
    id::RunId,
    request::{AddVault, CreateCheckpoint},
    state::{RunKind, RunState},
};
use holdfast_vault::{Cancel, Chunking, Meter, Node, SnapshotDraft, SnapshotId, Vault};
use time::OffsetDateTime;

use crate::{bucket::Bucket, house::House};

/// After which each answer of the bucket comes.
const FAR: Duration = Duration::from_millis(150);
/// Packs of which the half is not needed any more, so that the other half has to move.
const PACKS: usize = 64;
/// How soon a create has to begin.
const SOON: Duration = Duration::from_secs(5);

/// What somebody keeps in the vault, in a pack of its own.
fn put(vault: &Vault, contents: &[Vec<u8>]) -> SnapshotId {
    let (writer, now) = (vault.writer(Cancel::new()).unwrap(), OffsetDateTime::now_utc());
    let nodes = contents.iter().enumerate().map(|(number, bytes)| {
        let mut stream = writer.stream(Chunking::Files, &Meter::new());
        stream.write_all(bytes).unwrap();
        let streamed = stream.finish().unwrap();
        Node::file(&number.to_string(), streamed.content, streamed.bytes, now)
    });
    let tree = writer.put_tree(nodes.collect()).unwrap();
    let draft = SnapshotDraft {
        tree,
        time: now,
        paths: vec!["/somewhere".into()],
        tags: vec!["somebody".into()],
        parent: None,
        hostname: "elsewhere".into(),
        username: "somebody".into(),
        program_version: "a test".into(),
    };
    writer.seal(draft).unwrap().snapshot
}

/// Fills the vault with packs that are half in use, each with index files of its own.
fn fill(vault: &Vault) {
    let lane = || {
        for _ in 0..PACKS / 4 {
            let noise = [(); 2].map(|()| {
                let mut noise = vec![0; 20_000];
                getrandom::fill(&mut noise).unwrap();
                noise
            });
            let whole = put(vault, &noise);
            put(vault, &noise[..1]);
            vault.forget(&whole).unwrap();
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(lane))));
}

/// Waits until the prune says that it is at this, and then a moment longer: it is in the middle.
async fn is_at(house: &House, prune: &RunId, what: &str, after: u64) -> u64 {
    let begun = std::time::Instant::now();
    loop {
        let events = house.events(prune).await;
        let here = events.iter().rev().find(|event| {
            matches!(&event.body, EventBody::Progress { current: Some(current), .. } if current == what)
                && event.sequence > after
        });
        if let Some(event) = here {
            tokio::time::sleep(Duration::from_millis(300)).await;
            return event.sequence;
        }
        let ended = house.store.run(prune).await.unwrap().state.is_final();
        assert!(!ended && begun.elapsed() < Duration::from_secs(90), "{what}: {}", house.story(prune).await);
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// From being asked for to the first step of its capture.
fn waited(events: &[Event]) -> Duration {
    let asked = events.iter().find(|e| matches!(e.body, EventBody::State { state: RunState::Queued, .. })).unwrap();
    let begun = events.iter().find(
        |event| matches!(&event.body, EventBody::Step { step, state: StepState::Started, .. } if step == "prepare"),
    );
    (begun.unwrap().at - asked.at).try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_begins_within_five_seconds_and_the_prune_goes_on_after_it() {
    let bucket = tokio::task::spawn_blocking(Bucket::start).await.unwrap();
    let house = House::new().await;
    let place = AddVault { location: bucket.place(), bucket: Some(bucket.access()) };
    // A vault needs a project, which the house has; its bucket is tried first.
    house.actions().add_vault("shop", place).await.unwrap();
    house.back_up().await;
    let vault = house.vault().await;
    let filled = vault.clone();
    tokio::task::spawn_blocking(move || fill(&filled)).await.unwrap();
    bucket.slow(FAR);

    let prune = house.queue_on_vault(RunKind::Prune, None, serde_json::json!({})).await;
    let (mut seen, mut made) = (0, BTreeSet::new());
    for what in ["reading what the snapshots need", "taking out what nobody needs", "repacking"] {
        seen = is_at(&house, &prune, what, seen).await;
        let create = CreateCheckpoint { drill: false, ..CreateCheckpoint::default() };
        let run = house.queue(RunKind::Create, None, create).await;
        let ended = house.ended(&run).await;
        assert_eq!((ended.state, ended.sealed), (RunState::Succeeded, true), "{what}: {}", house.story(&run).await);
        let waited = waited(&house.events(&run).await);
        println!("asked for while a prune was at \"{what}\", a create began after {} ms", waited.as_millis());
        assert!(waited < SOON, "{what}: {waited:?}\n{}", house.story(&run).await);
        made.extend(ended.checkpoint);
        assert_eq!(house.store.run(&prune).await.unwrap().state, RunState::Running, "{what}");
    }
    let ended = house.ended(&prune).await;
    assert_eq!(ended.state, RunState::Succeeded, "{:?}", ended.message);
    let gave_way = |event: &&Event| matches!(&event.body, EventBody::Log { message, .. } if message.starts_with("It gives way to a checkpoint"));
    let events = house.events(&prune).await;
    assert_eq!(events.iter().filter(gave_way).count(), 3, "{}", house.story(&prune).await);
    let took = events.last().unwrap().at - events[0].at;
    println!("the prune took {:.1} s in all: {}", took.as_seconds_f64(), ended.message.unwrap());

    bucket.slow(Duration::ZERO);
    assert_eq!(made.len(), 3);
    for checkpoint in made {
        let verify = house.queue(RunKind::Verify, Some(&checkpoint), ()).await;
        assert_eq!(house.ended(&verify).await.state, RunState::Succeeded);
    }
    let check = house.queue_on_vault(RunKind::Check, None, serde_json::json!({ "depth": "all" })).await;
    assert_eq!(house.ended(&check).await.state, RunState::Succeeded, "{}", house.story(&check).await);
}
