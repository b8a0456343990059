//! The API's description: it names every route, and what is answered has the shape that it says.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use holdfast::http::Rule;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::harness::Server;

/// The description, and how answers are held against it.
struct Told {
    document: Value,
    seen: BTreeSet<String>,
}

impl Told {
    async fn of(server: &Server) -> Self {
        let (status, document) = server.json(server.host("GET", "/v1/openapi.json")).await;
        assert_eq!(status, 200);
        Self { document, seen: BTreeSet::new() }
    }

    fn operations(&self) -> impl Iterator<Item = (String, &Value)> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, item)| {
            let told = item.as_object().unwrap().iter().filter(|(_, told)| told.is_object());
            told.map(move |(method, told)| (format!("{} {path}", method.to_uppercase()), told))
        })
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        jsonschema::validator_for(&whole).unwrap()
    }

    /// Asks, and holds the answer against the operation's shape for that status.
    async fn holds(&mut self, server: &Server, operation: &str, path: &str, body: Option<Value>) -> Value {
        let (method, _) = operation.split_once(' ').unwrap();
        let request = server.host(method, path);
        let request = match &body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let said: Value = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        let told = self.operations().find(|(name, _)| name == operation).unwrap_or_else(|| panic!("{operation}")).1;
        let response = &told["responses"][status.to_string()];
        assert!(response.is_object(), "{operation} {path}: {status} is not told of: {said}");
        if let Some(schema) = response["content"]["application/json"].get("schema") {
            let wrong: Vec<String> = self
                .validator(schema)
                .iter_errors(&said)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(wrong.is_empty(), "{operation} {path}: {wrong:#?}\n{said:#}");
        }
        if let (Some(body), Some(schema)) = (&body, told["requestBody"]["content"]["application/json"].get("schema")) {
            let wrong: Vec<String> = self.validator(schema).iter_errors(body).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{operation} does not take {body}: {wrong:?}");
        }
        self.seen.insert(operation.to_owned());
        said
    }
}

#[tokio::test]
async fn every_route_is_described_with_the_rule_that_guards_it() {
    let server = Server::start().await;
    let told = Told::of(&server).await;
    let described: BTreeMap<String, Vec<&str>> = told
        .operations()
        .map(|(name, told)| {
            let scopes = told["security"][0]["bearer"].as_array().unwrap();
            (name, scopes.iter().map(|scope| scope.as_str().unwrap()).collect())
        })
        .collect();
    let routes: BTreeMap<String, Vec<&str>> = server
        .launched
        .routes()
        .iter()
        .filter(|route| ["/v1/", "/api/"].iter().any(|world| route.path.starts_with(world)))
        .filter(|route| !route.path.ends_with("/{*rest}"))
        .map(|route| {
            let takes = match route.rule {
                Rule::Open => vec![],
                Rule::May(permission) => vec![permission.as_str()],
                Rule::Host => vec!["host"],
            };
            (format!("{} {}", route.method, route.path.replace("{*", "{")), takes)
        })
        .collect();
    assert_eq!(described, routes);
    // Whatever is referred to is there.
    let text = told.document.to_string();
    let mut referred = 0;
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();

        assert!(told.document.pointer(pointer).is_some(), "{pointer}");
        referred += 1;
    }
    assert!(referred > 100, "{referred}");
    let ids: BTreeSet<&str> = told.operations().map(|(_, told)| told["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), described.len(), "an operation's id is its own");
    server.launched.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_has_the_shape_that_the_description_says() {
    let server = Server::with("workers = 2\n").await;
    let mut told = Told::of(&server).await;
    let folder = server.folder.path().join("app/uploads");
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    std::fs::write(folder.join("sub/b.txt"), "one\n").unwrap();
    std::fs::write(server.folder.path().join("app/env"), "KEY=one\n").unwrap();
    let definition = json!({
        "project": "shop", "environment": "staging",
        "components": [
            { "name": "uploads", "kind": "files", "path": folder },
            { "name": "vars", "kind": "config", "file": server.folder.path().join("app/env") },
        ],
    });
    told.holds(&server, "POST /v1/environments", "/v1/environments", Some(json!({ "definition": definition }))).await;
    let body =
        json!({ "environment": "shop/staging", "name": "first", "tags": ["a"], "metadata": { "git_commit": "abc" } });
    let run = told.holds(&server, "POST /v1/checkpoints", "/v1/checkpoints", Some(body)).await;
    let first = ended(&server, &run).await["checkpoint"].as_str().unwrap().to_owned();
    std::fs::write(folder.join("sub/b.txt"), "two\n").unwrap();
    std::fs::write(server.folder.path().join("app/env"), "KEY=two\n").unwrap();
    let gate = json!({ "database": "shop/staging", "tag": "v2" });
    let verdict = told.holds(&server, "POST /api/checkpoint", "/api/checkpoint", Some(gate)).await;
    let second = verdict["checkpoint"].as_str().unwrap().to_owned();

    for (operation, path) in [
        ("GET /v1/openapi.json", "/v1/openapi.json".to_owned()),
        ("GET /v1/me", "/v1/me".into()),
        ("GET /v1/projects", "/v1/projects".into()),
        ("GET /v1/environments", "/v1/environments?name=staging".into()),
        ("GET /v1/environments/{env}", "/v1/environments/shop~staging".into()),
        ("GET /v1/environments/{env}/logs", "/v1/environments/staging/logs?limit=20".into()),
        ("GET /v1/environments/{env}/confirmation", "/v1/environments/staging/confirmation".into()),
        ("GET /v1/checkpoints", "/v1/checkpoints?environment=staging&limit=1".into()),
        ("GET /v1/checkpoints/{id}", format!("/v1/checkpoints/{first}")),
        ("GET /v1/checkpoints/{id}/manifest", format!("/v1/checkpoints/{first}/manifest")),
        ("GET /v1/checkpoints/{id}/tree", format!("/v1/checkpoints/{first}/tree?component=uploads")),
        ("GET /v1/checkpoints/{id}/diff/{other}", format!("/v1/checkpoints/{first}/diff/{second}")),
        (
            "GET /v1/checkpoints/{id}/diff/{other}/file",
            format!("/v1/checkpoints/{first}/diff/{second}/file?component=uploads&path=sub/b.txt"),
        ),
        (
            "GET /v1/checkpoints/{id}/diff/{other}/value",
            format!("/v1/checkpoints/{first}/diff/{second}/value?component=vars&variable=KEY"),
        ),
        ("GET /v1/runs", "/v1/runs?environment=staging&limit=1".into()),
        ("GET /v1/runs/{id}", format!("/v1/runs/{}", run["id"].as_str().unwrap())),
        ("GET /v1/vaults", "/v1/vaults".into()),
        ("GET /v1/vaults/{project}/recovery-kit", "/v1/vaults/shop/recovery-kit".into()),
        ("GET /v1/catalogue/kit", "/v1/catalogue/kit".into()),
        ("GET /v1/members", "/v1/members".into()),
        ("GET /v1/audit", "/v1/audit?limit=5".into()),
        ("GET /v1/audit/verify", "/v1/audit/verify".into()),
    ] {
        let said = told.holds(&server, operation, &path, None).await;
        let empty = said.as_array().is_some_and(Vec::is_empty) || said["items"].as_array().is_some_and(Vec::is_empty);
        assert!(!empty, "{operation} shows nothing");
    }
    let key =
        told.holds(&server, "POST /v1/keys", "/v1/keys", Some(json!({ "name": "ci", "projects": ["shop"] }))).await;
    let key = format!("/v1/keys/{}", key["key"]["id"].as_str().unwrap());
    told.holds(&server, "POST /v1/keys/{id}/rotate", &format!("{key}/rotate"), Some(json!({ "overlap": "1h" }))).await;
    told.holds(&server, "GET /v1/keys", "/v1/keys", None).await;
    told.holds(&server, "DELETE /v1/keys/{id}", &key, None).await;
    let of_first = |what: &str| format!("/v1/checkpoints/{first}/{what}");
    for what in ["verify", "drill"] {
        let run = told.holds(&server, &format!("POST /v1/checkpoints/{{id}}/{what}"), &of_first(what), None).await;
        ended(&server, &run).await;
    }
    let request = json!({ "paths": ["sub/b.txt"], "backup": false });
    let plan = "POST /v1/checkpoints/{id}/restore/plan";
    told.holds(&server, plan, &of_first("restore/plan"), Some(request.clone())).await;
    let run = told.holds(&server, "POST /v1/checkpoints/{id}/restore", &of_first("restore"), Some(request)).await;
    ended(&server, &run).await;
    for (what, body) in [("prune", json!({})), ("check", json!({ "depth": "structure" })), ("repair", json!({}))] {
        let operation = format!("POST /v1/vaults/{{project}}/{what}");
        let run = told.holds(&server, &operation, &format!("/v1/vaults/shop/{what}"), Some(body)).await;
        ended(&server, &run).await;
    }
    told.holds(&server, "POST /v1/catalogue/copies", "/v1/catalogue/copies", Some(json!({}))).await;
    let confirm = "POST /v1/vaults/{project}/recovery-kit/confirm";
    told.holds(&server, confirm, "/v1/vaults/shop/recovery-kit/confirm", None).await;
    told.holds(&server, "POST /v1/sign-in-links", "/v1/sign-in-links", None).await;
    told.holds(&server, "DELETE /v1/checkpoints/{id}", &format!("/v1/checkpoints/{first}"), None).await;

    // What needs a database, a bucket or a stream is tried where those are.
    let untried: Vec<String> =
        told.operations().map(|(name, _)| name).filter(|name| !told.seen.contains(name)).collect();
    assert_eq!(
        untried,
        [
            "GET /v1/checkpoints/{id}/content/{path}",
            "GET /v1/checkpoints/{id}/diff/{other}/table",
            "GET /v1/checkpoints/{id}/export",
            "GET /v1/checkpoints/{id}/folder",
            "GET /v1/checkpoints/{id}/table",
            "GET /v1/checkpoints/{id}/tables",
            "POST /v1/environments/{env}/confirmation",
            "POST /v1/imports",
            "GET /v1/pending/{id}",
            "POST /v1/runs/{id}/cancel",
            "GET /v1/runs/{id}/events",
            "POST /v1/vaults",
            "POST /v1/vaults/{project}",
            "POST /v1/vaults/{project}/copy",
        ]
    );
    let problem = server.host("GET", "/v1/runs/none").send().await.unwrap().json::<Value>().await.unwrap();
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    assert!(told.validator(&schema).is_valid(&problem), "{problem}");
    assert!(!told.validator(&schema).is_valid(&json!({ "title": 7 })), "a validator that takes everything");
    server.launched.stop().await.unwrap();
}

async fn ended(server: &Server, run: &Value) -> Value {
    let path = format!("/v1/runs/{}", run["id"].as_str().unwrap());
    for _ in 0..600 {
        let (_, run) = server.json(server.host("GET", &path)).await;
        if !["queued", "running"].contains(&run["state"].as_str().unwrap()) {
            assert!(["succeeded", "warning"].contains(&run["state"].as_str().unwrap()), "{run:#}");
            return run;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{path} does not end");
}
