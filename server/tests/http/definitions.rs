//! What a definition may name, and by whose word.

use holdfast::{actions::Apply, auth::Caller};
use holdfast_model::access::{Access, Role};
use serde_json::{Value, json};

use crate::harness::Server;

fn of(server: &Server, components: Value) -> Value {
    let folder = server.folder.path().join("app");
    std::fs::create_dir_all(folder.join("uploads")).unwrap();
    json!({ "definition": { "project": "shop", "environment": "staging", "components": components } })
}

async fn apply(server: &Server, token: &str, body: &Value) -> (u16, Value) {
    server.json(server.ask("POST", "/v1/environments").bearer_auth(token).json(body)).await
}

#[tokio::test]
async fn a_wrong_key_is_named_with_its_place() {
    let server = Server::start().await;
    let body = of(&server, json!([{ "name": "uploads", "kind": "files", "path": "/srv", "exclud": [] }]));
    let (status, said) = apply(&server, &server.token, &body).await;
    assert_eq!(status, 400);
    assert!(said["errors"][0]["at"].as_str().unwrap().starts_with("components[0]"), "{said}");
    assert!(said["errors"][0]["message"].as_str().unwrap().contains("exclud"), "{said}");
    server.launched.stop().await.unwrap();
}

/// The same, as a signed-in admin who does not own the host.
async fn by_admin(server: &Server, body: &Value) -> (u16, Value) {
    let admin = Caller::person("ada".into(), "issuer#ada".into(), Access::everywhere(Role::Admin), true);
    let apply: Apply = serde_json::from_value(body.clone()).unwrap();
    match server.launched.actions().by(admin).apply(apply).await {
        Ok(view) => (200, serde_json::to_value(view).unwrap()),
        Err(error) => {
            let problem = error.into_problem();
            (problem.status, serde_json::to_value(problem).unwrap())
        }
    }
}

#[tokio::test]
async fn paths_and_commands_obey_the_allow_lists_unless_the_host_speaks() {
    let folder = tempfile::tempdir().unwrap();
    let allowed = folder.path().join("allowed");
    std::fs::create_dir_all(allowed.join("in")).unwrap();
    std::os::unix::fs::symlink("/etc", allowed.join("link")).unwrap();
    let config = format!(
        "workers = 0\nallow_paths = [{:?}]\nallow_commands = [[\"systemctl\", \"stop\", \"shop\"]]\n",
        allowed.display().to_string()
    );
    let server = Server::with(&config).await;
    let files = |path: Value| of(&server, json!([{ "name": "uploads", "kind": "files", "path": path }]));
    let (status, said) = by_admin(&server, &files(json!(allowed.join("in")))).await;
    assert_eq!(status, 200, "{said}");
    for outside in [json!("/etc"), json!(allowed.join("link")), json!(allowed.join("../other"))] {
        let (status, said) = by_admin(&server, &files(outside.clone())).await;
        assert_eq!(status, 403, "{outside}: {said}");
        assert!(said["detail"].as_str().unwrap().contains("allow_paths"), "{said}");
    }
    let mut with_command = files(json!(allowed.join("in")));
    for (command, expected) in [(json!(["systemctl", "stop", "shop"]), 200), (json!(["rm", "-rf", "/srv"]), 403)] {
        with_command["definition"]["restore"] = json!({ "stop": command });
        let (status, said) = by_admin(&server, &with_command).await;
        assert_eq!(status, expected, "{said}");
    }
    assert_eq!(apply(&server, &server.token, &with_command).await.0, 200, "the host's own credential may");
    let variable = of(&server, json!([{ "name": "db", "kind": "config", "variables": [{ "name": "PATH" }] }]));
    assert_eq!(by_admin(&server, &variable).await.0, 403, "the server's variables are the host's");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn holdfasts_own_folders_are_never_captured() {
    let server = Server::start().await;
    std::os::unix::fs::symlink(server.data(), server.folder.path().join("link")).unwrap();
    for own in [
        server.data(),
        server.data().join("vaults"),
        server.folder.path().join("link"),
        server.data().join("server.key"),
    ] {
        let body = of(&server, json!([{ "name": "x", "kind": "files", "path": own }]));
        let (status, said) = apply(&server, &server.token, &body).await;
        assert_eq!(status, 400, "{}: {said}", own.display());
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_dry_run_looks_and_changes_nothing() {
    let server = Server::start().await;
    let path = server.folder.path().join("app/uploads");
    let mut body = of(&server, json!([{ "name": "uploads", "kind": "files", "path": path, "exclude": ["*.log"] }]));
    body["definition"]["hooks"] = json!({ "before_deploy": ["x"] });
    body["dry_run"] = json!(true);
    let (status, view) = apply(&server, &server.token, &body).await;
    assert_eq!(status, 200, "{view}");
    assert_eq!(view["not_in_force"], json!(["hooks"]));
    assert_eq!(view["components"][0]["not_covered"], json!(["what matches *.log"]));
    let (_, all) = server.json(server.host("GET", "/v1/environments")).await;
    assert_eq!(all, json!([]));
    server.launched.stop().await.unwrap();
}
