//! What a person at a terminal asks for and confirms in a browser: their own, the very request, once, and nobody else's.

use holdfast::{auth::admin::Door, store::AuditFilter};
use holdfast_model::access::Permission;
use reqwest::{RequestBuilder, header};
use serde_json::{Value, json};

use crate::{
    harness::{Server, cookie},
    issuer::{Issuer, sign, with},
};

const HEADER: &str = "holdfast-pending";

struct Scene {
    issuer: Issuer,
    server: Server,
}

impl Scene {
    async fn start() -> Self {
        let issuer = Issuer::start().await;
        let config = format!(
            "workers = 0\n[[identity]]\nname = 'sso'\nissuer = '{}'\nclient_id = 'holdfast'\ndevice_client_id = \
             'holdfast-cli'\naudience = 'holdfast-api'\nroles = [{{ claim = 'admins', role = 'admin', projects = ['*'] \
             }}, {{ claim = 'ops', role = 'operator', projects = ['*'] }}]\n",
            issuer.url
        );
        let server = Server::with(&config).await;
        Self { issuer, server }
    }

    fn token(&self, name: &str) -> String {
        sign(&self.issuer.person(name, "admins"))
    }

    /// Makes a key: what no key, and nobody without a new sign-in, may do.
    fn make_key(&self, token: &str, pending: &str) -> RequestBuilder {
        let body = json!({ "name": "nightly", "everywhere": true });
        self.server.ask("POST", "/v1/keys").bearer_auth(token).header(HEADER, pending).json(&body)
    }

    async fn json(&self, request: RequestBuilder) -> (u16, Value) {
        self.server.json(request).await
    }

    /// The id of a pending action that this person has made.
    async fn made(&self, token: &str) -> String {
        let (status, said) = self.json(self.make_key(token, "wanted")).await;
        assert_eq!(status, 403, "{said}");
        assert_eq!(said["type"], "sign-in-again");
        said["pending"]["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    async fn state(&self, token: &str, id: &str) -> String {
        let path = format!("/v1/pending/{id}");
        let (status, said) = self.json(self.server.ask("GET", &path).bearer_auth(token)).await;
        assert_eq!(status, 200, "{said}");
        said["state"].as_str().unwrap().to_owned()
    }

    async fn page(&self, cookie: &str, id: &str) -> (u16, String) {
        let asked = self.server.ask("GET", &format!("/pending/{id}")).header(header::COOKIE, cookie);
        let answer = asked.send().await.unwrap();
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.contains("script-src 'none'"), "{policy}");
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Presses a button of the page; gives the status and where it leads.
    async fn press(&self, cookie: &str, id: &str, button: &str) -> (u16, String) {
        let path = format!("/ui/pending/{id}/{button}");
        let answer = self.server.ask("POST", &path).header(header::COOKIE, cookie).send().await.unwrap();
        let to = answer.headers().get(header::LOCATION).map_or("", |to| to.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), to)
    }

    async fn audited(&self, action: &str) -> Vec<(String, String, String)> {
        let filter = AuditFilter { action: Some(action.into()), limit: 50, ..AuditFilter::default() };
        let lines = self.server.launched.actions().store().audit_lines(&filter).await.unwrap().lines;
        lines.into_iter().rev().map(|line| (line.who, line.action, line.subject)).collect()
    }
}

#[tokio::test]
async fn what_its_person_confirms_is_done_once_and_only_as_it_was_asked_for() {
    let scene = Scene::start().await;
    let (ada, eve) = (scene.token("ada"), scene.token("eve"));
    let (status, said) = scene
        .json(scene.server.ask("POST", "/v1/keys").bearer_auth(&ada).json(&json!({ "name": "x", "everywhere": true })))
        .await;
    assert_eq!((status, &said["pending"]), (403, &Value::Null), "nobody asked for it: {said}");

    let id = scene.made(&ada).await;
    let mine = scene.issuer.sign_in(&scene.server, "ada", "admins", 0).await;
    let theirs = scene.issuer.sign_in(&scene.server, "eve", "admins", 0).await;
    let (status, page) = scene.page(&mine, &id).await;
    assert_eq!(status, 200);
    for word in ["Make a key for a program", "POST /v1/keys", "nightly", "127.0.0.1", "Confirm", "Refuse"] {
        assert!(page.contains(word), "{word}: {page}");
    }

    // Somebody else's is not there, whatever they are.
    assert_eq!(scene.page(&theirs, &id).await.0, 404);
    assert_eq!(scene.press(&theirs, &id, "confirm").await.0, 404);
    assert_eq!(scene.press(&theirs, &id, "refuse").await.0, 404);
    let path = format!("/v1/pending/{id}");
    assert_eq!(scene.json(scene.server.ask("GET", &path).bearer_auth(&eve)).await.0, 404);

    let early = scene.json(scene.make_key(&ada, &id)).await;
    assert_eq!((early.0, early.1["type"].as_str()), (403, Some("not-confirmed")), "{}", early.1);
    assert_eq!(scene.press(&mine, &id, "confirm").await, (303, format!("/pending/{id}")));
    assert_eq!(scene.state(&ada, &id).await, "confirmed");
    assert!(scene.page(&mine, &id).await.1.contains("Confirmed"));

    let by_eve = scene.json(scene.make_key(&eve, &id)).await;
    assert_eq!(by_eve.0, 403, "{}", by_eve.1);
    let changed = json!({ "name": "nightly", "everywhere": true, "expires_in": "400d" });
    let changed = scene.make_key(&ada, &id).json(&changed);
    let (status, said) = scene.json(changed).await;
    assert_eq!(status, 403, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("very same"), "{said}");
    let elsewhere = scene.server.ask("POST", "/v1/keys?x=1").bearer_auth(&ada).header(HEADER, &id);
    let (status, said) = scene.json(elsewhere.json(&json!({ "name": "nightly", "everywhere": true }))).await;
    assert_eq!(status, 403, "{said}");

    let (status, said) = scene.json(scene.make_key(&ada, &id)).await;
    assert_eq!(status, 201, "{said}");
    assert_eq!(said["key"]["created_by"], "ada");
    let (status, said) = scene.json(scene.make_key(&ada, &id)).await;
    assert_eq!(status, 403, "once: {said}");
    assert!(said["detail"].as_str().unwrap().contains("already"), "{said}");
    assert!(scene.page(&mine, &id).await.1.contains("Carried out"));

    let line = |action: &str| ("ada".to_owned(), action.to_owned(), id.clone());
    assert_eq!(scene.audited("pending").await, [line("pending.made"), line("pending.confirmed"), line("pending.used")]);
    scene.server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn confirming_takes_a_new_sign_in_and_the_roles_of_now() {
    let scene = Scene::start().await;
    let ada = scene.token("ada");
    let id = scene.made(&ada).await;
    let again = format!("/sign-in/again?next=%2Fpending%2F{id}");
    let stale = scene.issuer.sign_in(&scene.server, "ada", "admins", 3_600).await;
    let (_, page) = scene.page(&stale, &id).await;
    assert!(page.contains(&again) && !page.contains(&format!("{id}/confirm")), "{page}");
    assert_eq!(scene.press(&stale, &id, "confirm").await, (303, again));
    assert_eq!(scene.state(&ada, &id).await, "waiting");

    let less = scene.issuer.sign_in(&scene.server, "ada", "ops", 0).await;
    assert_eq!(scene.press(&less, &id, "confirm").await.0, 403, "an operator by now");
    assert_eq!(scene.state(&ada, &id).await, "waiting");

    // No is taken from an old session too.
    assert_eq!(scene.press(&stale, &id, "refuse").await, (303, format!("/pending/{id}")));
    assert_eq!(scene.state(&ada, &id).await, "refused");
    let fresh = scene.issuer.sign_in(&scene.server, "ada", "admins", 0).await;
    assert_eq!(scene.press(&fresh, &id, "confirm").await.0, 303);
    assert_eq!(scene.state(&ada, &id).await, "refused", "what was decided stays so");
    let (status, said) = scene.json(scene.make_key(&ada, &id)).await;
    assert_eq!(status, 403, "{said}");

    // Another site cannot press it.
    let id = scene.made(&ada).await;
    let path = format!("/ui/pending/{id}/confirm");
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let asked = scene.server.ask("POST", &path).header(header::COOKIE, &fresh).header(name, value);
        assert_eq!(asked.send().await.unwrap().status(), 403, "{name}");
    }
    assert_eq!(scene.state(&ada, &id).await, "waiting");
    let signed_out = scene.server.ask("GET", &format!("/pending/{id}")).send().await.unwrap();
    assert_eq!(signed_out.headers()[header::LOCATION], format!("/sign-in?next=%2Fpending%2F{id}"));

    let catalogue = rusqlite::Connection::open(scene.server.data().join("catalogue.db")).unwrap();
    catalogue.execute("update pending_action set expires_at = expires_at - 600000000", []).unwrap();
    assert_eq!(scene.press(&fresh, &id, "confirm").await.0, 303);
    assert_eq!(scene.state(&ada, &id).await, "expired");
    assert!(scene.page(&fresh, &id).await.1.contains("Too late"));
    scene.server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn no_program_and_no_cookie_gets_further_by_it() {
    let scene = Scene::start().await;
    let ada = scene.token("ada");
    let id = scene.made(&ada).await;
    let mine = scene.issuer.sign_in(&scene.server, "ada", "admins", 0).await;
    assert_eq!(scene.press(&mine, &id, "confirm").await.0, 303);

    let door = Door::open(&scene.server.data()).unwrap();
    let owner = door.token().expose();
    let request = json!({ "name": "ci", "everywhere": true, "scopes": [Permission::Create] });
    let (status, key) = scene.json(scene.server.ask("POST", "/v1/keys").bearer_auth(owner).json(&request)).await;
    assert_eq!(status, 201, "{key}");
    let key = key["token"].as_str().unwrap().to_owned();
    let service = sign(&with(scene.issuer.claims(), json!({ "groups": ["admins"] })));
    // Even one that has the person's own subject.
    let posing = sign(&with(scene.issuer.person("ada", "admins"), json!({ "client_id": "holdfast-cli" })));
    for (who, token) in
        [("a key", &key), ("a service account", &service), ("posing", &posing), ("client.json", &scene.server.token)]
    {
        let (status, said) = scene.json(scene.make_key(token, "wanted")).await;
        assert_eq!((status, &said["pending"]), (403, &Value::Null), "{who}: {said}");
        let (status, said) = scene.json(scene.make_key(token, &id)).await;
        assert_eq!(status, 403, "{who}: {said}");
    }
    // What the owner of the data directory may do needs no confirmation, and nothing of ada's is used for it.
    let (status, said) = scene.json(scene.make_key(owner, &id)).await;
    assert_eq!(status, 403, "{said}");
    let with_cookie = scene.server.ask("POST", "/v1/keys").header(header::COOKIE, &mine).header(HEADER, &id);
    assert_eq!(with_cookie.send().await.unwrap().status(), 401);
    let (status, said) = scene.json(scene.make_key(&ada, "pnd_nonsense")).await;
    assert_eq!(status, 400, "{said}");
    assert_eq!(scene.state(&ada, &id).await, "confirmed", "nobody has used it up");

    // What needs no new sign-in, and what may not be done at all, makes none.
    let (status, _) =
        scene.json(scene.server.ask("GET", "/v1/projects").bearer_auth(&ada).header(HEADER, "wanted")).await;
    assert_eq!(status, 200);
    let operator = sign(&scene.issuer.person("otto", "ops"));
    let (status, said) = scene.json(scene.make_key(&operator, "wanted")).await;
    assert_eq!((status, &said["pending"]), (403, &Value::Null), "{said}");
    let large = scene.server.ask("POST", "/v1/keys").bearer_auth(&ada).header(HEADER, "wanted");
    let large = large.header("content-type", "application/json").body(vec![b' '; 1_000_001]);
    assert_eq!(large.send().await.unwrap().status(), 413);
    assert_eq!(scene.audited("pending.made").await.len(), 1);
    scene.server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn what_waits_shows_and_keeps_no_secret() {
    let scene = Scene::start().await;
    let (password, value) = ("canary-pending-db-81c2", "canary-pending-value-4e");
    let definition = json!({ "project": "shop", "environment": "staging", "components": [
        { "name": "settings", "kind": "config", "variables": [{ "name": "API_KEY", "value": value }] },
        { "name": "db", "kind": "postgres", "url": format!("postgres://shop:{password}@127.0.0.1:1/shop") },
    ] });
    let asked = scene.server.ask("POST", "/v1/environments").bearer_auth(scene.token("ada")).header(HEADER, "wanted");
    let (status, said) = scene.json(asked.json(&json!({ "definition": definition }))).await;
    assert_eq!(status, 403, "{said}");
    let id = said["pending"]["id"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    let base = said["pending"]["page"].as_str().unwrap();
    assert!(base.starts_with("http://127.0.0.1") && base.ends_with(&format!("/pending/{id}")), "{base}");
    let mine = scene.issuer.sign_in(&scene.server, "ada", "admins", 0).await;
    let (_, page) = scene.page(&mine, &id).await;
    for word in ["Set what is captured of shop/staging", "API_KEY", "postgres://shop:•••@127.0.0.1:1/shop"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(!page.contains(password) && !page.contains(value), "{page}");
    let data = scene.server.data();
    scene.server.launched.stop().await.unwrap();
    for name in ["catalogue.db", "catalogue.db-wal"] {
        let Ok(bytes) = std::fs::read(data.join(name)) else { continue };
        for word in [password, value, "API_KEY"] {
            assert!(!bytes.windows(word.len()).any(|part| part == word.as_bytes()), "{name} holds {word}");
        }
    }
}

#[tokio::test]
async fn who_asks_is_told_who_they_are_and_where_people_sign_in_at_a_terminal() {
    let scene = Scene::start().await;
    let me = async |token: &str| scene.json(scene.server.ask("GET", "/v1/me").bearer_auth(token)).await.1;
    let ada = me(&scene.token("ada")).await;
    assert_eq!(ada, json!({ "name": "ada", "kind": "person", "everywhere": "admin", "projects": {} }));
    let service = me(&sign(&with(scene.issuer.claims(), json!({ "groups": ["ops"] })))).await;
    assert_eq!((service["kind"].as_str(), service["only"][0].as_str()), (Some("program"), Some("view")));

    let (status, said) = scene.json(scene.server.ask("GET", "/sign-in/devices")).await;
    let expected =
        json!([{ "name": "sso", "issuer": scene.issuer.url, "client_id": "holdfast-cli", "scopes": ["profile"] }]);
    assert_eq!((status, said), (200, expected));
    assert!(cookie(&scene.server.ask("GET", "/sign-in/devices").send().await.unwrap()).is_none());
    scene.server.launched.stop().await.unwrap();
    let alone = Server::start().await;
    assert_eq!(alone.json(alone.ask("GET", "/sign-in/devices")).await, (200, json!([])));
    alone.launched.stop().await.unwrap();
}
