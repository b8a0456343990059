//! `POST /api/checkpoint`: what each status means, and that nothing but a proven checkpoint is `ok`.

use std::time::{Duration, Instant};

use holdfast_model::access::Permission;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::harness::Server;

fn asks(server: &Server, body: &Value) -> RequestBuilder {
    server.host("POST", "/api/checkpoint").json(body)
}

fn of(tag: &str) -> Value {
    json!({ "database": "staging", "tag": tag })
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A refusal is a problem that says `ok: false` and why.
async fn refused(request: RequestBuilder, status: u16) -> String {
    let answer: Response = request.send().await.unwrap();
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.unwrap();
    assert_eq!((&problem["ok"], &problem["status"]), (&json!(false), &json!(status)), "{problem}");
    problem["reason"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_and_drilled_is_ok() {
    let server = Server::with("workers = 1\n").await;
    server.environment().await;
    let (status, said) = answer(asks(&server, &of("pre-deploy-4f3a9c1"))).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!((&said["ok"], &said["tag"]), (&json!(true), &json!("pre-deploy-4f3a9c1")));
    assert_eq!((&said["restore_drill"], &said["environment"]), (&json!("proven"), &json!("shop/staging")));
    assert!(said["size"].as_str().unwrap().ends_with('B') && said["duration_ms"].is_u64(), "{said}");
    let id = said["checkpoint"].as_str().unwrap();
    assert_eq!(said["url"], format!("http://{}/checkpoints/{id}", server.launched.address));
    let (_, checkpoint) = server.json(server.host("GET", &format!("/v1/checkpoints/{id}"))).await;
    assert_eq!((&checkpoint["tags"], &checkpoint["trigger"]), (&json!(["pre-deploy-4f3a9c1"]), &json!("ci")));
    assert_eq!(checkpoint["run"], said["run"]);
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_gates_of_its_projects_alone_and_joins_its_own_runs_alone() {
    let server = Server::start().await;
    server.environment().await;
    server.environment_of("blog").await;
    let body = |place: &str| json!({ "database": place, "tag": "v1" });
    let asks = |key: &str, place: &str| {
        let request = server.ask("POST", "/api/checkpoint").bearer_auth(key).json(&body(place));
        request.header("prefer", "wait=0")
    };
    let key = server.key(&["shop"], &[Permission::Create]).await;
    let (status, first) = answer(asks(&key, "staging")).await;
    assert_eq!((status, &first["environment"]), (503, &json!("shop/staging")), "{first}");
    assert_eq!(answer(asks(&key, "shop/staging")).await.1["run"], first["run"]);
    let other = server.key(&["shop", "blog"], &[Permission::Create]).await;
    assert_ne!(answer(asks(&other, "shop/staging")).await.1["run"], first["run"]);
    refused(asks(&key, "blog/staging"), 404).await;
    let looks = server.key(&["shop"], &[Permission::View]).await;
    refused(asks(&looks, "shop/staging"), 403).await;
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_that_fails_is_422_and_says_which_component() {
    let server = Server::with("workers = 1\n").await;
    let file = server.folder.path().join("search.db");
    rusqlite::Connection::open(&file).unwrap().execute_batch("create table words (id integer primary key)").unwrap();
    let definition = json!({
        "project": "shop", "environment": "staging",
        "components": [{ "name": "search", "kind": "sqlite", "path": file }],
        "drill": { "smoke": [{ "component": "search", "sql": "select count(*) > 0 from words" }] },
    });
    let applied = server.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
    assert_eq!(server.json(applied).await.0, 200);
    let (status, said) = answer(asks(&server, &of("v1"))).await;
    assert_eq!(status, 422, "{said}");
    assert_eq!((&said["ok"], &said["restore_drill"], &said["tag"]), (&json!(false), &json!("failed"), &json!("v1")));
    assert!(said["reason"].as_str().unwrap().contains("search"), "{said}");
    assert!(said["run"].as_str().unwrap().starts_with("run_") && said["checkpoint"].is_string(), "{said}");
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_goes_on_is_503_until_it_has_ended() {
    let server = Server::start().await;
    server.environment().await;
    let waiting = asks(&server, &of("v1")).header("prefer", "wait=1").send().await.unwrap();
    assert_eq!(waiting.status(), 503);
    let again: u64 = waiting.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..60).contains(&again));
    let waiting: Value = waiting.json().await.unwrap();
    assert_eq!((&waiting["ok"], &waiting["state"]), (&json!(false), &json!("queued")), "{waiting}");
    let (status, joined) = answer(asks(&server, &of("v1")).header("prefer", "wait=0")).await;
    assert_eq!((status, &joined["run"]), (503, &waiting["run"]), "a repeat joins");
    let (_, other) = answer(asks(&server, &of("v2")).header("prefer", "wait=0")).await;
    assert_ne!(other["run"], waiting["run"]);

    // Cancelled while it is waited for: told at once.
    let asked = tokio::spawn(answer(asks(&server, &of("v1"))));
    let path = format!("/v1/runs/{}/cancel", waiting["run"].as_str().unwrap());
    let begun = Instant::now();
    assert_eq!(server.json(server.host("POST", &path)).await.0, 202);
    let (status, said) = asked.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((status, &said["state"], &said["run"]), (422, &json!("cancelled"), &waiting["run"]), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("cancelled by"), "{said}");
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_away_leaves_the_run_behind() {
    let server = Server::start().await;
    server.environment().await;
    let asked = asks(&server, &of("v1")).timeout(Duration::from_millis(700)).send().await;
    assert!(asked.unwrap_err().is_timeout());
    let (_, runs) = server.json(server.host("GET", "/v1/runs")).await;
    assert_eq!((runs["items"].as_array().unwrap().len(), &runs["items"][0]["state"]), (1, &json!("queued")), "{runs}");
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_sends_its_callers_away_to_ask_again() {
    let server = Server::start().await;
    server.environment().await;
    let asked = tokio::spawn(answer(asks(&server, &of("v1"))));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    server.launched.stop().await.unwrap();
    let (status, said) = asked.await.unwrap();
    assert_eq!((status, &said["state"]), (503, &json!("queued")), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_setting_limits_every_wait() {
    let server = Server::with("workers = 0\ngate_wait = \"1s\"\n").await;
    server.environment().await;
    let begun = Instant::now();
    let (status, _) = answer(asks(&server, &of("v1")).header("prefer", "wait=600")).await;
    assert_eq!(status, 503);
    assert!(begun.elapsed() < Duration::from_secs(10));
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_happens_is_a_problem_that_is_not_ok() {
    let server = Server::start().await;
    server.environment().await;
    refused(server.ask("POST", "/api/checkpoint").json(&of("v1")), 401).await;
    refused(server.ask("POST", "/api/checkpoint").bearer_auth("hfk_unknown").json(&of("v1")), 401).await;
    refused(server.host("GET", "/api/checkpoint"), 405).await;
    refused(server.host("GET", "/api/nothing-here"), 404).await;
    refused(asks(&server, &json!({ "database": "nothing", "tag": "v1" })), 404).await;
    let unknown = refused(asks(&server, &json!({ "database": "staging", "tag": "v1", "force": true })), 400).await;
    assert!(unknown.contains("force"), "{unknown}");
    let missing = refused(asks(&server, &json!({ "database": "staging" })), 400).await;
    assert!(missing.contains("tag"), "{missing}");
    let tag = refused(asks(&server, &of("not a tag")), 400).await;
    assert!(tag.starts_with("tag: "), "{tag}");
    let plain = server.host("POST", "/api/checkpoint").body(of("v1").to_string());
    refused(plain, 415).await;
    refused(asks(&server, &of("v1")).header("idempotency-key", ""), 400).await;
    refused(asks(&server, &of("v1")).header("idempotency-key", "x".repeat(256)), 400).await;

    let keyed = |body: &Value| asks(&server, body).header("idempotency-key", "17-1").header("prefer", "wait=0");
    assert_eq!(answer(keyed(&of("v1"))).await.0, 503);
    let reused = refused(keyed(&of("v2")), 409).await;
    assert!(reused.contains("Idempotency-Key"), "{reused}");

    let definition = json!({
        "project": "blog", "environment": "staging",
        "components": [{ "name": "uploads", "kind": "files", "path": server.folder.path().join("app/uploads") }],
    });
    let applied = server.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
    assert_eq!(server.json(applied).await.0, 200);
    let ambiguous = refused(asks(&server, &of("v3")), 409).await;
    assert!(ambiguous.contains("blog/staging") && ambiguous.contains("shop/staging"), "{ambiguous}");

    let catalogue = rusqlite::Connection::open(server.data().join("catalogue.db")).unwrap();
    catalogue.execute_batch("pragma busy_timeout = 10000; update environment set to_confirm = 1").unwrap();
    let unconfirmed = refused(asks(&server, &json!({ "database": "shop/staging", "tag": "v3" })), 409).await;
    assert!(unconfirmed.contains("env confirm"), "{unconfirmed}");
    let (_, runs) = server.json(server.host("GET", "/v1/runs")).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 1, "what is refused leaves no run: {runs}");
    server.launched.stop().await.unwrap();
}
