//! Events have numbers from 1 without gaps, however many write at once.

use std::time::Duration;

use holdfast_model::{
    event::{EventBody, Level, StepState},
    state::{RunKind, RunState},
};
use time::OffsetDateTime;

use crate::catalogue::Catalogue;

crate::on_both!(
    numbers_have_no_gaps_under_concurrency,
    a_later_progress_replaces_an_earlier_one,
    what_is_stored_is_streamed_in_order,
    logs_are_found_by_component,
);

fn log(component: Option<&str>, message: &str) -> (OffsetDateTime, EventBody) {
    let body = EventBody::Log { level: Level::Info, component: component.map(Into::into), message: message.to_owned() };
    (OffsetDateTime::now_utc(), body)
}

fn progress(step: &str, bytes: u64) -> (OffsetDateTime, EventBody) {
    let body = EventBody::Progress {
        step: step.into(),
        component: None,
        files: 0,
        bytes,
        total: None,
        stored: 0,
        tables: 0,
        current: None,
    };
    (OffsetDateTime::now_utc(), body)
}

async fn numbers_have_no_gaps_under_concurrency(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (store, claim) = (c.store.clone(), claim.clone());
            tokio::spawn(async move {
                for number in 0..10 {
                    let text = format!("{writer}.{number}");
                    store.append(&claim, vec![log(None, &text), log(Some("uploads"), &text)]).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    c.store.finish(&claim, RunState::Succeeded, None, None).await.unwrap();
    let numbers: Vec<u64> = c.store.events(&run, 0, 1000).await.unwrap().iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=163).collect::<Vec<u64>>(), "queued, running, 160 lines, succeeded");
    assert_eq!(c.store.run(&run).await.unwrap().last_event, 163);
    let rest = c.store.events(&run, 161, 1000).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert!(matches!(rest[1].body, EventBody::State { state: RunState::Succeeded, .. }), "the last is the end");
}

async fn a_later_progress_replaces_an_earlier_one(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let run = c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    for bytes in 1..=5 {
        c.store.append(&claim, vec![progress("capture:a", bytes), progress("capture:b", bytes)]).await.unwrap();
    }
    let kept: Vec<(u64, u64)> = c
        .store
        .events(&run, 0, 100)
        .await
        .unwrap()
        .iter()
        .filter_map(|event| match event.body {
            EventBody::Progress { bytes, .. } => Some((event.sequence, bytes)),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(11, 5), (12, 5)]);
}

async fn what_is_stored_is_streamed_in_order(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let mut stream = c.store.live().subscribe();
    let run = c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    let step = EventBody::Step {
        step: "hold".into(),
        title: "Held".into(),
        state: StepState::Done,
        component: None,
        detail: None,
    };
    c.store.append(&claim, vec![(OffsetDateTime::now_utc(), step)]).await.unwrap();
    c.store.finish(&claim, RunState::Failed, Some("why".into()), None).await.unwrap();
    let mut streamed = Vec::new();
    for _ in 0..4 {
        let (of, event) = tokio::time::timeout(Duration::from_secs(5), stream.recv()).await.unwrap().unwrap();
        assert_eq!(of, run);
        streamed.push(event);
    }
    assert_eq!(streamed, c.store.events(&run, 0, 10).await.unwrap());
}

async fn logs_are_found_by_component(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    c.queue(RunKind::Create, &environment, None).await;
    let claim = c.claim().await;
    let lines: Vec<_> =
        (0..30).map(|n| log(if n % 2 == 0 { Some("uploads") } else { None }, &format!("line {n}"))).collect();
    c.store.append(&claim, lines).await.unwrap();
    let uploads = c.store.logs(&environment, Some("uploads"), 3).await.unwrap();
    assert_eq!(uploads.iter().map(|l| l.message.as_str()).collect::<Vec<_>>(), ["line 24", "line 26", "line 28"]);
    let agent = c.store.logs(&environment, Some("checkpoint-agent"), 1).await.unwrap();
    assert_eq!((agent[0].component.as_str(), agent[0].message.as_str()), ("checkpoint-agent", "line 29"));
    assert_eq!(c.store.logs(&environment, None, 100).await.unwrap().len(), 30);
}
