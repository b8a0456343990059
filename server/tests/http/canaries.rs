//! Secrets that were put in, looked for in everything that comes out: each route of the table is asked, so one that comes
//! later is looked at too.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::access::Permission;
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::harness::{LOG, Server};

/// Secrets by what they are, and the routes whose purpose it is to give them out.
#[derive(Default)]
struct Canaries {
    secrets: BTreeMap<&'static str, (String, &'static [&'static str])>,
    answers: Vec<(String, String)>,
}

impl Canaries {
    fn add(&mut self, name: &'static str, secret: impl Into<String>, given_by: &'static [&'static str]) {
        let secret = secret.into();
        assert!(secret.len() >= 12, "{name} is no canary: {secret}");
        self.secrets.insert(name, (secret, given_by));
    }

    /// Asks, and keeps head and body.
    async fn keep(&mut self, route: &str, request: RequestBuilder) -> (u16, Value) {
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let mut said = String::new();
        for (name, value) in answer.headers() {
            said.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
        }
        // A stream goes on until its run ends: what is there at once is looked at.
        let body = if answer.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream") {
            String::new()
        } else {
            String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned()
        };
        said.push_str(&body);
        self.answers.push((route.to_owned(), said));
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    fn look(&self, data: &Path) {
        for (name, (secret, given_by)) in &self.secrets {
            for (route, said) in &self.answers {
                assert!(!said.contains(secret) || given_by.contains(&route.as_str()), "{route} gives out {name}");
            }
            assert!(!LOG.text().contains(secret), "the log holds {name}");
            let mut looked = 0;
            for entry in std::fs::read_dir(data).unwrap().map(Result::unwrap) {
                if !entry.file_name().to_string_lossy().starts_with("catalogue.db") {
                    continue;
                }
                // A journal may go while it is looked at.
                let Ok(bytes) = std::fs::read(entry.path()) else { continue };
                looked += bytes.len();
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{} holds {name} in the clear", entry.path().display());
            }
            assert!(looked > 10_000, "the catalogue was looked at");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_comes_out_again() {
    let server = Server::with("workers = 1\n").await;
    let mut canaries = Canaries::default();
    let cookie = server.sign_in().await;
    canaries.add("the host's token", server.token.clone(), &[]);
    canaries.add("a session's id", cookie.split_once('=').unwrap().1, &[]);
    let link = server.launched.sign_in_link().await.unwrap().url;
    // Its page holds it in its form.
    canaries.add("a sign-in link", link.split_once("token=").unwrap().1, &["GET /sign-in"]);
    let server_key = std::fs::read_to_string(server.data().join("server.key")).unwrap();
    canaries.add("the server key", server_key.trim(), &["GET /v1/catalogue/kit"]);
    canaries.add("a database's password", "canary-db-password-5b1d", &[]);
    canaries.add("a password in a URL's query", "canary-query-password-90ce", &[]);
    canaries.add("a variable's value", "canary-config-value-77aa", &[]);
    canaries.add("a variable of an env file", "canary-env-file-31f8", &[]);
    canaries.add("a wrong place for a password", "canary-wrong-place-4d17", &[]);
    // Whoever confirms a definition has to see its commands.
    canaries.add(
        "a password of a command",
        "canary-command-password-02be",
        &["GET /v1/environments/{env}/confirmation"],
    );
    canaries.add("a bucket's secret", "canary-bucket-secret-a1b2", &[]);
    canaries.add("a copy's bucket secret", "canary-mirror-secret-c3d4", &[]);
    canaries.add("an adopted bucket's secret", "canary-adopt-secret-e5f6", &[]);
    canaries.add("an adopted vault's password", "canary-adopt-password-0718", &[]);
    canaries.add("an adopted vault's key file", "canary-key-file-2a3b", &[]);
    canaries.add("a target's password", "canary-target-password-4c5d", &[]);
    canaries.add("a mapped target's password", "canary-mapped-password-6e7f", &[]);
    canaries.add("a foreign bearer token", "canary-bearer-token-8091", &[]);
    canaries.add("a key that is not whole", "hfk_canary_9182a3b4c5d6_00000000", &[]);
    canaries.add("a credential that is no bearer token", "canary-basic-credential-b3", &[]);

    let env_file = server.folder.path().join("env");
    std::fs::write(&env_file, "MAIL=canary-env-file-31f8\n").unwrap();
    let uploads = server.folder.path().join("uploads");
    std::fs::create_dir_all(&uploads).unwrap();
    std::fs::write(uploads.join("a.txt"), "hello").unwrap();
    let settings = json!({ "name": "settings", "kind": "config", "file": env_file,
        "variables": [{ "name": "API_KEY", "value": "canary-config-value-77aa" }] });
    let files = json!({ "name": "uploads", "kind": "files", "path": uploads });
    // Nobody listens on port 1, so the probe fails and says so.
    let database = json!({ "name": "db", "kind": "postgres",
        "url": "postgres://shop:canary-db-password-5b1d@127.0.0.1:1/shop?connect_timeout=2" });
    let in_query = json!({ "name": "db", "kind": "postgres",
        "url": "postgres://127.0.0.1:1/shop?user=shop&password=canary-query-password-90ce" });
    let wrong = json!({ "name": "db", "kind": "postgres", "url": { "wrong": "canary-wrong-place-4d17" } });
    for (components, dry_run) in [
        (json!([files, settings]), true),
        (json!([files, settings, database]), false),
        (json!([files, settings, in_query]), false),
        (json!([files, settings, wrong]), false),
        (json!([files, settings]), false),
    ] {
        let definition = json!({ "project": "shop", "environment": "staging", "components": components,
            "restore": { "stop": ["stop", "--password=canary-command-password-02be"] } });
        let body = json!({ "definition": definition, "dry_run": dry_run });
        canaries.keep("POST /v1/environments", server.host("POST", "/v1/environments").json(&body)).await;
    }
    let gate = json!({ "database": "shop/staging", "tag": "v1" });
    let (status, sealed) =
        canaries.keep("POST /api/checkpoint", server.host("POST", "/api/checkpoint").json(&gate)).await;
    assert_eq!(status, 200, "{sealed}");
    let checkpoint = sealed["checkpoint"].as_str().unwrap().to_owned();
    let kit = server.json(server.host("GET", "/v1/vaults/shop/recovery-kit")).await.1;
    canaries.add(
        "the vault's password",
        kit["password"].as_str().unwrap(),
        &["GET /v1/vaults/{project}/recovery-kit", "GET /v1/catalogue/kit"],
    );
    let key = server.key(&["shop"], &[Permission::View]).await;
    canaries.add("a key", key.clone(), &["POST /v1/keys"]);
    let (_, keys) = server.json(server.host("GET", "/v1/keys")).await;
    let rotate = format!("/v1/keys/{}/rotate", keys[0]["id"].as_str().unwrap());
    let (_, rotated) = canaries.keep("POST /v1/keys/{id}/rotate", server.host("POST", &rotate).json(&json!({}))).await;
    canaries.add("a key in another one's place", rotated["token"].as_str().unwrap(), &["POST /v1/keys/{id}/rotate"]);
    canaries.keep("GET /v1/projects", server.ask("GET", "/v1/projects").bearer_auth(&key)).await;

    let bucket = |secret: &str| json!({ "endpoint": "http://127.0.0.1:1", "access_key": "AKID", "secret_key": secret });
    let restore = format!("/v1/checkpoints/{checkpoint}/restore/plan");
    for (route, path, body) in [
        (
            "POST /v1/vaults/{project}",
            "/v1/vaults/blog",
            json!({ "location": "s3:http://user:canary-bucket-secret-a1b2@127.0.0.1/b" }),
        ),
        (
            "POST /v1/vaults/{project}/copy",
            "/v1/vaults/shop/copy",
            json!({ "location": "s3://b!/x", "bucket": bucket("canary-mirror-secret-c3d4") }),
        ),
        (
            "POST /v1/vaults",
            "/v1/vaults",
            json!({ "location": "/nowhere", "password": "canary-adopt-password-0718",
            "key": { "name": "x", "content": "canary-key-file-2a3b" } }),
        ),
        (
            "POST /v1/vaults",
            "/v1/vaults",
            json!({ "location": "s3:x", "password": "canary-adopt-password-0718",
            "bucket": bucket("canary-adopt-secret-e5f6") }),
        ),
        (
            "POST /v1/checkpoints/{id}/restore/plan",
            restore.as_str(),
            json!({ "to_url": "postgres://u:canary-target-password-4c5d@127.0.0.1:1/d", "components": ["db"] }),
        ),
        (
            "POST /v1/checkpoints/{id}/restore/plan",
            restore.as_str(),
            json!({ "to": "other", "map": { "settings": "postgres://u:canary-mapped-password-6e7f@127.0.0.1:1/d" } }),
        ),
    ] {
        let (status, said) = canaries.keep(route, server.host("POST", path).json(&body)).await;
        assert!((400..500).contains(&status), "{route}: {status} {said}");
    }
    for token in ["canary-bearer-token-8091", "hfk_canary_9182a3b4c5d6_00000000"] {
        assert_eq!(
            canaries.keep("GET /v1/projects", server.ask("GET", "/v1/projects").bearer_auth(token)).await.0,
            401
        );
    }
    let basic = server.ask("GET", "/v1/projects").header("authorization", "Basic canary-basic-credential-b3");
    assert_eq!(canaries.keep("GET /v1/projects", basic).await.0, 401);
    canaries
        .keep("GET /sign-in", server.ask("GET", &format!("/sign-in?token={}x", link.split_once("token=").unwrap().1)))
        .await;

    // Every address that answers to reading, with what is there in place of its parts.
    let (_, runs) = server.json(server.host("GET", "/v1/runs")).await;
    let run = runs["items"][0]["id"].as_str().unwrap().to_owned();
    let mut asked = 0;
    for route in server.launched.routes().iter().filter(|route| route.method == "GET") {
        let id = if route.path.contains("/runs/") { &run } else { &checkpoint };
        let path = route.path.replace("{id}", id).replace("{env}", "shop~staging").replace("{project}", "shop");
        let path =
            path.replace("{other}", "latest").replace("{*path}", "manifest.json").replace("{environment}", "staging");
        let path = path
            .replace(":checkpoint", id)
            .replace(":run", &run)
            .replace(":project", "shop")
            .replace(":environment", "staging");
        let path =
            path.replace("{checkpoint}", id).replace("{run}", &run).replace("{*rest}", "x").replace("{*name}", "x");
        let query = "?component=settings&variable=API_KEY&name=staging";
        let path = if path.contains("/diff/") && path.ends_with("/value") { path + query } else { path };
        let shown = format!("{} {}", route.method, route.path);
        let programs = ["/v1/", "/api/"].iter().any(|world| route.path.starts_with(world));
        let request =
            if programs { server.host("GET", &path) } else { server.ask("GET", &path).header(header::COOKIE, &cookie) };
        // Its purpose is to give out both values.
        if !shown.ends_with("/diff/{other}/value") {
            let (status, _) = canaries.keep(&shown, request).await;
            asked += usize::from(status < 400);
        }
    }
    assert!(asked > 25, "most of them show something: {asked}");
    canaries.keep("GET /nowhere", server.ask("GET", "/nowhere").header(header::COOKIE, &cookie)).await;
    assert!(LOG.text().contains("/v1/environments"), "the log was looked at");
    assert!(!LOG.text().contains("token="), "no query with a token is logged");
    let data = server.data();
    server.launched.stop().await.unwrap();
    assert!(canaries.secrets.len() >= 23, "{}", canaries.secrets.len());
    canaries.look(&data);
}
