//! Secrets that were put in, looked for in everything that comes out.

use reqwest::header;
use serde_json::json;

use crate::harness::{LOG, Server};

const PASSWORD: &str = "canary-db-password-5b1d";
const VALUE: &str = "canary-config-value-77aa";

#[tokio::test]
async fn no_secret_comes_out_again() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    let link = server.launched.sign_in_link().await.unwrap().url;
    let link_token = link.split_once("token=").unwrap().1.to_owned();
    let uploads = server.folder.path().join("app/uploads");
    std::fs::create_dir_all(&uploads).unwrap();
    let mut answers = String::new();
    let mut keep = async |request: reqwest::RequestBuilder| {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        for (name, value) in answer.headers() {
            answers.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or_default()));
        }
        answers.push_str(&answer.text().await.unwrap());
        status
    };
    let settings =
        json!({ "name": "settings", "kind": "config", "variables": [{ "name": "API_KEY", "value": VALUE }] });
    let files = json!({ "name": "uploads", "kind": "files", "path": uploads });
    // Nobody listens on port 1, so the probe fails and says so.
    let database = json!({ "name": "db", "kind": "postgres", "url": format!("postgres://shop:{PASSWORD}@127.0.0.1:1/shop?connect_timeout=2") });
    for (components, dry_run) in [
        (json!([files, settings]), true),
        (json!([files, settings]), false),
        (json!([files, settings, database]), false),
        (json!([files, settings, { "name": "db", "kind": "postgres", "url": { "wrong": PASSWORD } }]), false),
    ] {
        let definition = json!({ "project": "shop", "environment": "staging", "components": components });
        let body = json!({ "definition": definition, "dry_run": dry_run });
        keep(server.host("POST", "/v1/environments").json(&body)).await;
    }
    assert_eq!(keep(server.host("GET", "/v1/environments/staging")).await, 200);
    assert_eq!(keep(server.host("POST", "/v1/checkpoints").json(&json!({ "environment": "staging" }))).await, 202);
    for path in ["/v1/environments", "/v1/runs", "/v1/projects", "/v1/environments/staging/logs", "/readyz"] {
        keep(server.host("GET", path)).await;
    }
    for path in ["/", "/activity", "/projects/shop/staging", "/sign-in", "/nowhere"] {
        keep(server.ask("GET", path).header(header::COOKIE, &cookie)).await;
    }
    keep(server.ask("GET", &format!("/sign-in?token={link_token}x"))).await;
    let session = cookie.split_once('=').unwrap().1;
    for secret in [PASSWORD, VALUE, server.token.as_str(), session] {
        assert!(!answers.contains(secret), "an answer holds {secret}");
    }
    let log = LOG.text();
    assert!(log.contains("/v1/environments"), "the log was looked at");
    for secret in [PASSWORD, VALUE, server.token.as_str(), session, link_token.as_str(), "token="] {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
    let data = server.data();
    server.launched.stop().await.unwrap();
    for name in ["catalogue.db", "catalogue.db-wal"] {
        let Ok(bytes) = std::fs::read(data.join(name)) else { continue };
        for secret in [PASSWORD, VALUE, server.token.as_str(), session, link_token.as_str()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{name} holds {secret} in the clear");
        }
    }
}
