//! Whatever goes wrong under /v1 has one shape.

use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::harness::Server;

async fn problem(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), status, "{:?}", answer.url().path());
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json", "{:?}", answer.url().path());
    assert!(answer.headers().contains_key("x-request-id"));
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status);
    assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
    problem
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let server = Server::start().await;
    let unauthorized = problem(server.ask("GET", "/v1/projects"), 401).await;
    assert_eq!(unauthorized["type"], "unauthorized");
    problem(server.host("GET", "/v1/nothing-here"), 404).await;
    problem(server.host("PATCH", "/v1/projects"), 405).await;
    problem(server.host("GET", "/v1/checkpoints/chk_nothing"), 404).await;
    problem(server.host("GET", "/v1/checkpoints?limt=3"), 400).await;
    problem(server.host("GET", "/v1/checkpoints?since=yesterday"), 400).await;
    problem(server.host("GET", "/v1/runs?state=lost"), 400).await;
    problem(server.host("POST", "/v1/checkpoints").body("{}").header("content-type", "text/plain"), 415).await;
    let cut = server.host("POST", "/v1/checkpoints").header("content-type", "application/json").body("{\"name\":");
    problem(cut, 400).await;
    let large = server.host("POST", "/v1/checkpoints").header("content-type", "application/json");
    problem(large.body(format!("{{\"name\":\"{}\"}}", "x".repeat(1_100_000))), 413).await;
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_wrong_request_names_every_place() {
    let server = Server::start().await;
    server.environment().await;
    let request = json!({ "environment": "staging", "tags": ["a b"], "metadata": { "": "x" } });
    let said = problem(server.host("POST", "/v1/checkpoints").json(&request), 400).await;
    let places: Vec<_> = said["errors"].as_array().unwrap().iter().map(|e| e["at"].as_str().unwrap()).collect();
    assert_eq!(places, ["tags[0]", "metadata."]);

    let request = json!({ "environment": "staging", "components": ["uplods"] });
    let said = problem(server.host("POST", "/v1/checkpoints").json(&request), 400).await;
    assert!(said["detail"].as_str().unwrap().contains("uploads (files)"), "{said}");

    let request = json!({ "environment": "staging", "nmae": "x" });
    let said = problem(server.host("POST", "/v1/checkpoints").json(&request), 400).await;
    assert!(said["detail"].as_str().unwrap().contains("nmae"), "{said}");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn an_ambiguous_name_lists_its_candidates() {
    let server = Server::start().await;
    server.environment().await;
    let folder = server.folder.path().join("app/uploads");
    let definition = json!({
        "project": "blog", "environment": "staging",
        "components": [{ "name": "uploads", "kind": "files", "path": folder }],
    });
    let request = server.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
    assert_eq!(server.json(request).await.0, 200);
    let said = problem(server.host("GET", "/v1/environments/staging"), 409).await;
    let mut candidates: Vec<_> = said["errors"].as_array().unwrap().iter().map(|e| e["at"].as_str().unwrap()).collect();
    candidates.sort_unstable();
    assert_eq!(candidates, ["blog/staging", "shop/staging"]);
    let (status, one) = server.json(server.host("GET", "/v1/environments/blog~staging")).await;
    assert_eq!((status, one["project"].as_str().unwrap()), (200, "blog"));
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_form_that_lacks_a_field_is_no_fault_of_the_server() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    for action in ["back-up", "compare-now", "verify", "drill", "cancel", "restore", "delete", "confirm-recovery-kit"] {
        let form = server.ask("POST", &format!("/ui/{action}")).header("cookie", &cookie).form(&[("x", "y")]);
        let answer = form.send().await.unwrap();
        let (status, said) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!(status, 422, "{action}: {said}");
        assert!(said.contains("could not be read"), "{action}: {said}");
    }
    server.launched.stop().await.unwrap();
}
