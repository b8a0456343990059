//! What may be asked of a restore, what it answers, and what is never told of it.

use std::{fs, time::Duration};

use holdfast::auth::Caller;
use holdfast_model::{
    access::{Access, Permission, Role},
    request::RestoreCheckpoint,
};
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    harness::{LOG, Server},
};

const URL: &str = "postgres://shop:canary-restore-url@127.0.0.1:1/shop";

#[tokio::test]
async fn a_wrong_request_is_named_place_by_place_and_its_secrets_are_not() {
    let server = Server::start().await;
    server.environment().await;
    let mut answers = String::new();
    for path in ["restore", "restore/plan"] {
        let path = format!("/v1/checkpoints/latest/{path}");
        let body = json!({ "to_url": URL, "to_dir": "/srv/x", "map": { "db": URL } });
        let (status, said) = server.json(server.host("POST", &path).json(&body)).await;
        assert_eq!(status, 400, "{said}");
        let at: Vec<&str> = said["errors"].as_array().unwrap().iter().map(|one| one["at"].as_str().unwrap()).collect();
        assert_eq!(at, ["to_url", "map"], "{said}");
        answers.push_str(&said.to_string());
        for body in [json!({ "to_url": 7 }), json!({ "url": URL }), json!({ "to_dir": "relative" })] {
            let (status, said) = server.json(server.host("POST", &path).json(&body)).await;
            assert_eq!(status, 400, "{said}");
            answers.push_str(&said.to_string());
        }
        let (status, said) = server.json(server.host("POST", &path).json(&json!({ "to_url": URL }))).await;
        assert_eq!(status, 404, "there is no checkpoint: {said}");
        answers.push_str(&said.to_string());
        // No key restores anything.
        let program = server.key(&[], &[Permission::View, Permission::Create]).await;
        let program = server.ask("POST", &path).bearer_auth(program).json(&json!({ "to_dir": "/srv/x" }));
        assert_eq!(server.json(program).await.0, 403);
    }
    assert!(!answers.contains("canary"), "{answers}");
    assert!(LOG.text().contains("/v1/checkpoints/latest/restore/plan"), "the log was looked at");
    assert!(!LOG.text().contains("canary-restore-url"));
    server.launched.stop().await.unwrap();
}

/// Asks for a run and waits for its end.
async fn run(server: &Server, path: &str, body: &Value) -> Value {
    let (status, run) = server.json(server.host("POST", path).json(body)).await;
    assert_eq!(status, 202, "{run}");
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    for _ in 0..600 {
        let (_, run) = server.json(server.host("GET", &path)).await;
        if !["queued", "running"].contains(&run["state"].as_str().unwrap()) {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_planned_then_done_in_part_and_elsewhere() {
    let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
    let live = cluster.database();
    let copy = format!("{live}_copy");
    cluster.sql(&live, "create table orders (id int primary key); insert into orders select generate_series(1, 100)");
    let server = Server::with("workers = 2\n").await;
    let base = server.folder.path().join("shop");
    fs::create_dir_all(base.join("up/deep")).unwrap();
    for name in ["a.txt", "b.txt", "deep/c.svg"] {
        fs::write(base.join("up").join(name), "as sealed").unwrap();
    }
    let components = json!([
        {"name": "up", "kind": "files", "path": base.join("up")},
        {"name": "main", "kind": "postgres", "url": cluster.url(&live)},
    ]);
    let definition = json!({"project": "shop", "environment": "live", "components": components});
    let applied = server.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
    assert_eq!(server.json(applied).await.0, 200);
    let taken = run(&server, "/v1/checkpoints", &json!({"environment": "shop/live", "drill": false})).await;
    let restore = format!("/v1/checkpoints/{}/restore", taken["checkpoint"].as_str().unwrap());
    let plan = async |body: Value| {
        let (status, plan) = server.json(server.host("POST", &format!("{restore}/plan")).json(&body)).await;
        assert_eq!(status, 200, "{plan}");
        plan
    };
    let done = async |body: Value| {
        let run = run(&server, &restore, &body).await;
        assert!(["succeeded", "warning"].contains(&run["state"].as_str().unwrap()), "{run}");
        run
    };
    let read = |path: &str| fs::read_to_string(base.join(path)).unwrap_or_default();

    // Some paths.
    for name in ["up/a.txt", "up/deep/c.svg"] {
        fs::write(base.join(name), "spoiled").unwrap();
    }
    let planned = plan(json!({"paths": ["*.svg"]})).await;
    assert_eq!(planned["items"][0]["changed"], json!({"count": 1, "first": ["deep/c.svg"]}), "{planned}");
    assert_eq!((read("up/deep/c.svg"), planned["safety"].clone()), ("spoiled".into(), json!(true)));
    done(json!({"paths": ["*.svg"]})).await;
    assert_eq!((read("up/deep/c.svg"), read("up/a.txt")), ("as sealed".into(), "spoiled".into()));
    let nothing = plan(json!({"paths": ["*.png"]})).await;
    assert!(nothing["refused"][0].as_str().unwrap().contains("`*.png` matches nothing"), "{nothing}");

    // A folder.
    let into = json!({"components": ["up"], "to_dir": base.join("out")});
    assert_eq!(plan(into.clone()).await["target"], json!({"to": "folder", "path": base.join("out")}));
    done(into).await;
    assert_eq!((read("out/a.txt"), read("up/a.txt")), ("as sealed".into(), "spoiled".into()));

    // Another database, and another environment with places of its own.
    done(json!({"components": ["main"], "to_url": cluster.url(&copy)})).await;
    assert_eq!(cluster.sql(&copy, "select count(*) from orders"), "100");
    let clone = |up: &str, overlap: bool| {
        let map = json!({"up": base.join(up), "main": format!("{live}_clone")});
        json!({"to": "clone", "map": map, "overlap": overlap})
    };
    let over = server.host("POST", &restore).json(&clone("up/inside", false));
    let (status, refused) = server.json(over).await;
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("overlaps"), "{status} {refused}");
    let planned = plan(clone("up/inside", true)).await;
    assert_eq!((planned["target"]["new"].clone(), planned["refused"].clone()), (json!(true), json!([])), "{planned}");
    let run = done(clone("up/inside", true)).await;
    assert_eq!(run["environment"]["name"], "clone", "{run}");
    assert_eq!(read("up/inside/a.txt"), "as sealed");
    assert_eq!(cluster.sql(&format!("{live}_clone"), "select count(*) from orders"), "100");
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_project_uses_is_not_told_to_whoever_does_not_see_it() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().canonicalize().unwrap();
    let server = Server::with(&format!("workers = 2\nallow_paths = [{:?}]\n", base.display().to_string())).await;
    for project in ["shop", "blog"] {
        let place = base.join(format!("of-{project}"));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("a.txt"), "hello").unwrap();
        let components = json!([{"name": format!("{project}-files"), "kind": "files", "path": place}]);
        let definition = json!({"project": project, "environment": "live", "components": components});
        let applied = server.host("POST", "/v1/environments").json(&json!({ "definition": definition }));
        assert_eq!(server.json(applied).await.0, 200);
    }
    let taken = run(&server, "/v1/checkpoints", &json!({"environment": "shop/live", "drill": false})).await;
    let id = taken["checkpoint"].as_str().unwrap();
    let plan = async |access: Access| {
        let caller = Caller::person("p".into(), "issuer#p".into(), access, true);
        let request = RestoreCheckpoint { to_dir: Some(base.join("of-blog/new")), ..RestoreCheckpoint::default() };
        let plan = server.launched.actions().by(caller).restore_plan(id, request).await.unwrap();
        (serde_json::to_string(&plan.refused).unwrap(), serde_json::to_string(&plan).unwrap())
    };
    let (refused, _) = plan(Access::everywhere(Role::Admin)).await;
    assert!(refused.contains("component `blog-files` of blog/live"), "{refused}");
    let shop = Access { projects: [("shop".parse().unwrap(), Role::Admin)].into(), ..Access::default() };
    let (refused, whole) = plan(shop).await;
    assert!(refused.contains("an environment of another project"), "{refused}");
    assert!(!whole.contains("blog-files") && !whole.contains("blog/live"), "{whole}");
    server.launched.stop().await.unwrap();
}
