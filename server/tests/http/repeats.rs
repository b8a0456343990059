//! Requests that are sent again, and lists that are read a page at a time.

use std::collections::BTreeSet;

use holdfast_model::access::Permission;
use serde_json::{Value, json};

use crate::harness::Server;

async fn create(server: &Server, token: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
    let request = server.ask("POST", "/v1/checkpoints").bearer_auth(token).json(body);
    server
        .json(match key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        })
        .await
}

#[tokio::test]
async fn a_request_with_a_key_starts_its_run_once() {
    let server = Server::start().await;
    server.environment().await;
    let body = json!({ "environment": "shop/staging", "tags": ["v1"] });
    let (_, first) = create(&server, &server.token, Some("deploy-17"), &body).await;
    let (status, again) = create(&server, &server.token, Some("deploy-17"), &body).await;
    assert_eq!((status, &again["id"]), (202, &first["id"]));
    let (status, other) = create(&server, &server.token, Some("deploy-18"), &body).await;
    assert!(status == 202 && other["id"] != first["id"], "{other}");
    let (status, without) = create(&server, &server.token, None, &body).await;
    assert!(status == 202 && without["id"] != first["id"], "{without}");
    // Another caller's key is another key.
    let ci = server.key(&["shop"], &[Permission::View, Permission::Create]).await;
    let (status, theirs) = create(&server, &ci, Some("deploy-17"), &body).await;
    assert!(status == 202 && theirs["id"] != first["id"], "{theirs}");
    // The same key for something else is told, and starts nothing.
    let changed = json!({ "environment": "shop/staging", "tags": ["v2"] });
    let (status, problem) = create(&server, &server.token, Some("deploy-17"), &changed).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("Idempotency-Key"), "{problem}");
    for wrong in ["", &"x".repeat(256)] {
        let (status, problem) = create(&server, &server.token, Some(wrong), &body).await;
        assert_eq!(status, 400, "{problem}");
    }
    let (_, runs) = server.json(server.host("GET", "/v1/runs")).await;
    assert_eq!(runs["items"].as_array().unwrap().len(), 4, "{runs:#}");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn runs_are_read_a_page_at_a_time() {
    let server = Server::start().await;
    server.environment().await;
    let mut queued = Vec::new();
    for _ in 0..7 {
        queued.push(server.queue("shop/staging").await);
    }
    queued.reverse();
    let (mut read, mut before, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let (status, page) = server.json(server.host("GET", &format!("/v1/runs?limit=3{before}"))).await;
        assert_eq!(status, 200, "{page}");
        pages += 1;
        read.extend(page["items"].as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap().to_owned()));
        // One that comes in between moves nothing.
        server.queue("shop/staging").await;
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!((read.as_slice(), pages), (queued.as_slice(), 3));
    assert_eq!(read.iter().collect::<BTreeSet<_>>().len(), 7);
    for (query, status) in [("limit=0", 400), ("limit=501", 400), ("before=run_none", 404), ("befor=x", 400)] {
        assert_eq!(server.json(server.host("GET", &format!("/v1/runs?{query}"))).await.0, status, "{query}");
    }
    server.launched.stop().await.unwrap();
}
