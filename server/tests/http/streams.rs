//! Following a run: no gap, no repetition, an end.

use std::time::Duration;

use holdfast::store::{Claim, Lane, Store};
use holdfast_model::{
    access::Permission,
    event::{EventBody, Level},
    state::RunState,
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::harness::Server;

/// Asks for a checkpoint and takes it up as a worker would.
async fn run(server: &Server) -> (String, Claim) {
    server.environment().await;
    let request = server.host("POST", "/v1/checkpoints").json(&json!({ "environment": "staging" }));
    let (status, run) = server.json(request).await;
    assert_eq!((status, run["state"].as_str().unwrap()), (202, "queued"), "{run}");
    let claim = server
        .launched
        .actions()
        .store()
        .claim(Lane::Environments, "the test")
        .await
        .unwrap()
        .expect("the run is waiting");
    (run["id"].as_str().unwrap().to_owned(), claim)
}

async fn say(store: &Store, claim: &Claim, lines: std::ops::Range<u32>) {
    for line in lines {
        let body = EventBody::Log { level: Level::Info, component: None, message: format!("line {line}") };
        store.append(claim, vec![(OffsetDateTime::now_utc(), body)]).await.unwrap();
    }
}

/// The whole stream until it ends.
async fn read(request: RequestBuilder) -> Vec<Value> {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let text = tokio::time::timeout(Duration::from_secs(20), answer.text()).await.expect("the stream ends").unwrap();
    let mut events = Vec::new();
    for frame in text.split("\n\n").filter(|frame| frame.contains("data:")) {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
        let event: Value = serde_json::from_str(field("data:")).unwrap();
        assert_eq!(event["sequence"].to_string(), field("id:"));
        events.push(event);
    }
    events
}

fn sequences(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn stored_then_live_without_gap_or_repetition_and_then_the_end() {
    let server = Server::start().await;
    let (id, claim) = run(&server).await;
    let store = server.launched.actions().store().clone();
    say(&store, &claim, 0..20).await;
    let path = format!("/v1/runs/{id}/events");
    let reader = tokio::spawn(read(server.host("GET", &path)));
    say(&store, &claim, 20..120).await;
    store.finish(&claim, RunState::Failed, Some("it was only a test".into()), None).await.unwrap();
    let events = reader.await.unwrap();
    let all = sequences(&events);
    assert_eq!(all, (1..=*all.last().unwrap()).collect::<Vec<_>>());
    assert!(all.len() > 120);
    assert_eq!(events.last().unwrap()["state"], "failed");

    // A reader that comes back gets the rest and nothing else, by header or by query, on either side.
    let last = *all.last().unwrap();
    let cookie = server.sign_in().await;
    let rest = ((last - 5)..=last).collect::<Vec<_>>();
    let after = (last - 6).to_string();
    let by_header = read(server.host("GET", &path).header("last-event-id", &after)).await;
    assert_eq!(sequences(&by_header), rest);
    let by_query = read(server.host("GET", &format!("{path}?after={after}"))).await;
    assert_eq!(sequences(&by_query), rest);
    let browser = server.ask("GET", &format!("/ui/runs/{id}/events")).header("cookie", &cookie);
    assert_eq!(sequences(&read(browser.header("last-event-id", &after)).await), rest);

    // Only who has the last event is told to stop asking.
    for (after, status) in [(last, 204), (last - 1, 200)] {
        let request = server.host("GET", &path).header("last-event-id", after.to_string());
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn who_has_every_event_of_a_run_that_goes_on_waits_for_the_next() {
    let server = Server::start().await;
    let (id, claim) = run(&server).await;
    let store = server.launched.actions().store().clone();
    let now = store.run(claim.id()).await.unwrap().last_event;
    let request = server.host("GET", &format!("/v1/runs/{id}/events")).header("last-event-id", now.to_string());
    let reader = tokio::spawn(read(request));
    tokio::time::sleep(Duration::from_millis(200)).await;
    store.finish(&claim, RunState::Failed, Some("it was only a test".into()), None).await.unwrap();
    assert_eq!(sequences(&reader.await.unwrap()).first(), Some(&(now + 1)));
    server.launched.stop().await.unwrap();
}

/// Revoking does not wait for the end of a run.
#[tokio::test]
async fn who_may_no_longer_listen_hears_nothing_more() {
    let server = Server::start().await;
    let (id, _claim) = run(&server).await;
    let key = server.key(&["shop"], &[Permission::View]).await;
    let cookie = server.sign_in().await;
    let by_key = || server.ask("GET", &format!("/v1/runs/{id}/events")).bearer_auth(&key);
    let by_session = || server.ask("GET", &format!("/ui/runs/{id}/events")).header("cookie", &cookie);
    let long = Duration::from_secs(60);
    let mut open = Vec::new();
    for request in [by_key(), by_session()] {
        open.push(request.timeout(long).send().await.unwrap());
    }
    let (_, keys) = server.json(server.host("GET", "/v1/keys")).await;
    let revoke = format!("/v1/keys/{}", keys[0]["id"].as_str().unwrap());
    assert!(server.host("DELETE", &revoke).send().await.unwrap().status().is_success());
    let sign_out = server.ask("POST", "/sign-out").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(sign_out.status(), 303);
    for stream in open {
        let heard = tokio::time::timeout(Duration::from_secs(40), stream.text()).await.expect("it ends").unwrap();
        assert!(heard.contains("retry: 1000"), "{heard}");
    }
    assert_eq!(by_key().send().await.unwrap().status(), 401);
    assert_ne!(by_session().send().await.unwrap().status(), 200);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end_of_the_server() {
    let server = Server::start().await;
    let (id, _claim) = run(&server).await;
    let answer = server.host("GET", &format!("/v1/runs/{id}/events")).send().await.unwrap();
    let begun = std::time::Instant::now();
    server.launched.stop().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let _ = answer.text().await;
}
