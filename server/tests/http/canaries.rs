//! Secrets that were put in, looked for in everything that comes out: each route of the table is asked, so one that comes
//! later is looked at too.

use std::{collections::BTreeMap, path::Path};

use holdfast_model::{access::Permission, secret::Secret};
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::{
    harness::{LOG, Server, cookie},
    issuer::{Issuer, sign},
};

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

    /// Asks every address that answers to reading, with what is there in place of its parts; how many showed something.
    async fn read_everything(
        &mut self,
        server: &Server,
        checkpoint: &str,
        run: &str,
        ask: impl Fn(bool, &str) -> RequestBuilder,
    ) -> usize {
        let mut asked = 0;
        for route in server.launched.routes().iter().filter(|route| route.method == "GET") {
            let id = if route.path.contains("/runs/") { run } else { checkpoint };
            let mut path = route.path.clone();
            for (part, value) in [
                ("{id}", id),
                ("{env}", "shop~staging"),
                ("{project}", "shop"),
                ("{other}", "latest"),
                ("{*path}", "manifest.json"),
                ("{environment}", "staging"),
                (":checkpoint", id),
                (":run", run),
                (":project", "shop"),
                (":environment", "staging"),
                ("{checkpoint}", id),
                ("{run}", run),
                ("{*rest}", "x"),
                ("{*name}", "x"),
            ] {
                path = path.replace(part, value);
            }
            // Its purpose is to give out both values.
            if path.ends_with("/value") && path.contains("/diff/") {
                continue;
            }
            let program = ["/v1/", "/api/"].iter().any(|world| route.path.starts_with(world));
            let (status, _) = self.keep(&format!("GET {}", route.path), ask(program, &path)).await;
            asked += usize::from(status < 400);
        }
        asked
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

    let (_, runs) = server.json(server.host("GET", "/v1/runs")).await;
    let run = runs["items"][0]["id"].as_str().unwrap().to_owned();
    let asked = canaries
        .read_everything(&server, &checkpoint, &run, |program, path| match program {
            true => server.host("GET", path),
            false => server.ask("GET", path).header(header::COOKIE, &cookie),
        })
        .await;
    assert!(asked > 25, "most of them show something: {asked}");
    canaries.keep("GET /nowhere", server.ask("GET", "/nowhere").header(header::COOKIE, &cookie)).await;
    assert!(LOG.text().contains("/v1/environments"), "the log was looked at");
    assert!(!LOG.text().contains("token="), "no query with a token is logged");
    let data = server.data();
    server.launched.stop().await.unwrap();
    assert!(canaries.secrets.len() >= 23, "{}", canaries.secrets.len());
    canaries.look(&data);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_a_sign_in_comes_out_again() {
    let issuer = Issuer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let secret_file = folder.path().join("client-secret");
    std::fs::write(&secret_file, "canary-client-secret-4d5e\n").unwrap();
    std::fs::set_permissions(&secret_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let server = Server::with(&format!(
        "workers = 0\n[[identity]]\nname = 'sso'\nissuer = '{}'\nclient_id = 'holdfast'\nclient_secret_file = \
         '{}'\ndevice_client_id = 'holdfast-cli'\naudience = 'holdfast-api'\nroles = [{{ claim = 'admins', role = \
         'admin', projects = ['*'] }}]\n",
        issuer.url,
        secret_file.display()
    ))
    .await;
    let mut canaries = Canaries::default();
    canaries.add("the provider's client secret", "canary-client-secret-4d5e", &[]);
    canaries.add("a break-glass password", "canary-glass-password-e1f2", &[]);
    canaries.add("a wrong break-glass password", "canary-wrong-glass-password-a9", &[]);
    canaries.add("a password for an action that waits", "canary-pending-password-3c4b", &[]);
    canaries.add("a key file for an action that waits", "canary-pending-key-file-77d0", &[]);
    canaries.add("an authorization code", "canary-code-55aa66bb", &[]);

    let session = issuer.sign_in(&server, "ada", "admins", 0).await;
    // On its way to the provider the cookie is set once more, for its own browser.
    canaries.add("a person's session", session.split_once('=').unwrap().1, &["GET /sign-in/again"]);
    for (name, token) in ["an ID token", "an access token", "a refresh token"].into_iter().zip(issuer.given()) {
        canaries.add(name, token, &[]);
    }
    let bearer = sign(&issuer.person("ada", "admins"));
    canaries.add("a person's access token at a terminal", bearer.clone(), &[]);

    // What comes back from a provider that nobody was sent to.
    let back = "/sign-in/sso/callback?code=canary-code-55aa66bb&state=nobody";
    canaries.keep("GET /sign-in/sso/callback", server.ask("GET", back)).await;
    holdfast::auth::break_glass::set(&server.data(), &Secret::new("canary-glass-password-e1f2".into())).unwrap();
    for (password, right) in [("canary-wrong-glass-password-a9", false), ("canary-glass-password-e1f2", true)] {
        let form = [("password", password), ("next", "/")];
        let answer = server.ask("POST", "/sign-in/break-glass").form(&form).send().await.unwrap();
        assert_eq!(cookie(&answer).is_some(), right, "{}", answer.text().await.unwrap());
    }
    let adopt = json!({ "location": "/nowhere", "password": "canary-pending-password-3c4b",
        "key": { "name": "x", "content": "canary-pending-key-file-77d0" } });
    let wanted =
        server.ask("POST", "/v1/vaults").bearer_auth(&bearer).header("holdfast-pending", "wanted").json(&adopt);
    let (status, said) = canaries.keep("POST /v1/vaults", wanted).await;
    assert_eq!(status, 403, "{said}");
    let pending = said["pending"]["id"].as_str().unwrap_or_else(|| panic!("{said}"));

    for program in [false, true] {
        let asked = canaries
            .read_everything(&server, pending, "run_none", |of_programs, path| match program && of_programs {
                true => server.ask("GET", path).bearer_auth(&bearer),
                false => server.ask("GET", path).header(header::COOKIE, &session),
            })
            .await;
        assert!(asked > 10, "some of them show something: {asked}");
    }
    assert!(canaries.answers.iter().any(|(route, said)| route == "GET /pending/{id}" && said.contains("/nowhere")));
    let data = server.data();
    server.launched.stop().await.unwrap();
    canaries.look(&data);
}
