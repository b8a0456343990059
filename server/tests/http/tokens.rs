//! Tokens of other people's making at the door of the REST API: the good one is taken, every other one is refused.

use holdfast::{auth::admin::Door, store::OpenSession};
use jsonwebtoken::Header;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::{
    harness::{Server, cookie},
    issuer::{Issuer, forge, header, now, sign, sign_as, sign_by_public_key, tampered, unsigned, with},
};

/// A provider that people sign in with.
pub fn config(issuer: &Issuer) -> String {
    format!(
        "workers = 0\n[[identity]]\nname = 'sso'\nissuer = '{}'\nclient_id = 'holdfast'\naudience = 'holdfast-api'\nroles = [{{ claim = 'ops', \
         role = 'operator', projects = ['*'] }}]\n",
        issuer.url
    )
}

async fn asks(server: &Server, token: &str) -> (u16, Value) {
    server.json(server.ask("GET", "/v1/projects").bearer_auth(token)).await
}

#[tokio::test]
async fn of_all_tokens_of_an_issuer_only_an_access_token_for_us_is_taken() {
    let issuer = Issuer::start().await;
    let stranger = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let good = sign(&issuer.claims());
    let (status, said) = asks(&server, &good).await;
    assert_eq!(status, 200, "{said}");

    let changed = |changes: Value| sign(&with(issuer.claims(), changes));
    let typed = |typ: &str| sign_as(&Header { typ: Some(typ.into()), ..header("one") }, &issuer.claims());
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let corpus = [
        ("no algorithm", unsigned(&issuer.claims())),
        ("HS256 with the public key", sign_by_public_key(&issuer.claims())),
        ("another's key under this one's id", forge(&issuer.claims())),
        ("claims exchanged", tampered(&good, &with(issuer.claims(), json!({ "groups": ["ops", "admins"] })))),
        ("a key that is made for another algorithm", sign_as(&header("other"), &issuer.claims())),
        ("a key that encrypts", sign_as(&header("box"), &issuer.claims())),
        ("a key that nobody knows", sign_as(&header("unknown"), &issuer.claims())),
        ("a critical header", sign_as(&Header { crit: Some(vec!["exp".into()]), ..header("one") }, &issuer.claims())),
        ("no aud", changed(json!({ "aud": null }))),
        ("another's aud", changed(json!({ "aud": "account" }))),
        ("aud is the browser's client", changed(json!({ "aud": "holdfast" }))),
        ("aud as a number", changed(json!({ "aud": 7 }))),
        ("aud with a number", changed(json!({ "aud": ["holdfast-api", 7] }))),
        ("no exp", changed(json!({ "exp": null }))),
        ("exp as text", changed(json!({ "exp": (now() + 300).to_string() }))),
        ("expired", changed(json!({ "exp": now() - 60 }))),
        ("not yet", changed(json!({ "nbf": now() + 120 }))),
        ("nbf as text", changed(json!({ "nbf": "tomorrow" }))),
        ("no sub", changed(json!({ "sub": null }))),
        ("an empty sub", changed(json!({ "sub": "" }))),
        ("sub as a number", changed(json!({ "sub": 7 }))),
        ("no iss", changed(json!({ "iss": null }))),
        ("iss as a list", changed(json!({ "iss": [issuer.url] }))),
        ("another realm's, of the same keys", changed(json!({ "iss": format!("{}/realms/other", issuer.url) }))),
        ("another issuer's", sign(&with(issuer.claims(), json!({ "iss": stranger.url })))),
        ("an ID token by its typ", changed(json!({ "typ": "ID" }))),
        ("an ID token by its nonce", changed(json!({ "typ": null, "nonce": "n" }))),
        ("an ID token by its at_hash", changed(json!({ "typ": null, "at_hash": "h" }))),
        ("an ID token by its token_use", changed(json!({ "typ": null, "token_use": "id" }))),
        ("a refresh token", changed(json!({ "typ": "Refresh" }))),
        ("an offline token", changed(json!({ "typ": "Offline" }))),
        ("a logout token by its typ", changed(json!({ "typ": "Logout" }))),
        ("a logout token by its events", changed(json!({ "typ": null, "events": event }))),
        ("a logout token by its header", typed("logout+jwt")),
        ("something else by its header", typed("secevent+jwt")),
        ("three empty parts", "..".to_owned()),
        ("no token at all", "a.b.c".to_owned()),
    ];
    for (what, token) in &corpus {
        let (status, said) = asks(&server, token).await;
        assert_eq!(status, 401, "{what}: {said}");
    }
    let (_, said) = asks(&server, &changed(json!({ "aud": "account" }))).await;
    assert!(said["detail"].as_str().unwrap().contains("audience mapper"), "{said}");
    assert_eq!(asks(&server, &good).await.0, 200, "the good one still is");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_issuer_no_more_than_once() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    assert_eq!(asks(&server, &sign(&issuer.claims())).await.0, 200);
    let before = issuer.fetches();
    let tokens: Vec<String> = (0..100).map(|n| sign_as(&header(&format!("unknown-{n}")), &issuer.claims())).collect();
    let asked = tokens.iter().map(|token| server.ask("GET", "/v1/projects").bearer_auth(token).send());
    let answers = futures_of(asked).await;
    assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
    assert!(issuer.fetches() <= before + 1, "{} fetches for 100 tokens", issuer.fetches() - before);
    server.launched.stop().await.unwrap();
}

async fn futures_of(
    asked: impl Iterator<Item = impl Future<Output = Result<reqwest::Response, reqwest::Error>> + Send + 'static>,
) -> Vec<u16> {
    let mut all = tokio::task::JoinSet::new();
    for one in asked {
        all.spawn(one);
    }
    all.join_all().await.into_iter().map(|answer| answer.unwrap().status().as_u16()).collect()
}

#[tokio::test]
async fn a_service_account_has_what_programs_may_have_and_no_more() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer).replace("'operator'", "'admin'")).await;
    let token = sign(&issuer.claims());
    let (status, said) = server.json(server.ask("POST", "/v1/vaults/shop/prune").bearer_auth(&token)).await;
    assert_eq!(status, 403, "{said}");
    // The same, though nothing marks it as a program's but that no person signed in for it.
    let unmarked = with(issuer.claims(), json!({ "client_id": null, "preferred_username": "ci", "azp": "x" }));
    let (status, said) = server.json(server.ask("POST", "/v1/vaults/shop/prune").bearer_auth(sign(&unmarked))).await;
    assert_eq!(status, 403, "{said}");
    let (status, said) = asks(&server, &sign(&with(issuer.claims(), json!({ "groups": ["other"] })))).await;
    assert_eq!(status, 403, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("`groups`"), "{said}");
    // Its cookie counts for nothing, and neither does a token on a page.
    let page = server.ask("GET", "/").bearer_auth(&token).send().await.unwrap();
    assert_eq!(page.status(), 303);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_workflow_is_known_by_its_repositorys_numbers() {
    let github = Issuer::start().await;
    let table = format!(
        "workers = 0\n[[identity]]\nkind = 'github'\nname = 'shop-ci'\nissuer = '{}'\naudience = 'https://holdfast.example.org'\n\
         repository_id = 101\nrepository_owner_id = 7\nrole = 'operator'\nprojects = ['*']\n",
        github.url
    );
    let server = Server::with(&table).await;
    let claims = json!({
        "iss": github.url, "aud": "https://holdfast.example.org", "sub": "repo:acme/shop:ref:refs/heads/main",
        "exp": now() + 300, "iat": now(), "repository": "acme/shop", "repository_id": "101",
        "repository_owner": "acme", "repository_owner_id": "7",
    });
    assert_eq!(asks(&server, &sign(&claims)).await.0, 200);
    for changes in [
        json!({ "repository_id": "102" }),
        json!({ "repository_owner_id": "8" }),
        json!({ "repository_id": null }),
        json!({ "repository_id": 101 }),
        json!({ "aud": "https://github.com/acme" }),
    ] {
        let (status, said) = asks(&server, &sign(&with(claims.clone(), changes.clone()))).await;
        assert_eq!(status, 401, "{changes}: {said}");
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_sign_in_begins_with_pkce_and_its_state_counts_once() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let page = server.ask("GET", "/sign-in?next=%2Factivity").send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains(&format!("form-action 'self' {};", issuer.url)), "{policy}");
    let html = page.text().await.unwrap();
    assert!(html.contains(r#"action="/sign-in/sso""#) && html.contains("/activity"), "{html}");

    let begun = server.ask("POST", "/sign-in/sso").form(&[("next", "/activity")]).send().await.unwrap();
    assert_eq!(begun.status(), 303);
    let browser = cookie(&begun).unwrap();
    let there: url::Url = begun.headers()["location"].to_str().unwrap().parse().unwrap();
    let said: std::collections::HashMap<_, _> = there.query_pairs().into_owned().collect();
    assert!(there.as_str().starts_with(&format!("{}/authorize?", issuer.url)));
    assert_eq!(said["code_challenge_method"], "S256");
    assert!(said["nonce"].len() > 15 && said["state"].len() > 15);
    assert!(said["redirect_uri"].ends_with("/sign-in/sso/callback"));

    let back = |state: &str| format!("/sign-in/sso/callback?code=c&state={state}");
    let other_browser = server.ask("GET", &back(&said["state"])).send().await.unwrap();
    assert_eq!(other_browser.status(), 400, "the state belongs to the browser that began");
    let wrong = server.ask("GET", &back("guessed")).header("cookie", &browser).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    let mixed = format!("{}&iss=https://evil.example", back(&said["state"]));
    let mixed = server.ask("GET", &mixed).header("cookie", &browser).send().await.unwrap();
    assert_eq!(mixed.status(), 403, "an answer that another issuer sends");
    let again = server.ask("GET", &back(&said["state"])).header("cookie", &browser).send().await.unwrap();
    assert_eq!(again.status(), 400, "its state is used");

    let anew = server.ask("GET", "/sign-in/sso/again?next=/").send().await.unwrap();
    let there = anew.headers()["location"].to_str().unwrap();
    assert!(there.contains("prompt=login") && there.contains("max_age=0"), "{there}");
    let browser = cookie(&anew).unwrap();
    let state = there.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let refused = server.ask("GET", &back(state)).header("cookie", &browser).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("invalid_grant"));
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn with_a_provider_a_link_opens_nothing() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let (status, said) = server.json(server.host("POST", "/v1/sign-in-links")).await;
    assert_eq!(status, 403, "{said}");
    assert!(said["detail"].as_str().unwrap().contains("holdfast admin"), "client.json is not enough here: {said}");
    let door = Door::open(&server.data()).unwrap();
    let as_owner = || server.ask("POST", "/v1/sign-in-links").bearer_auth(door.token().expose());
    let (status, said) = server.json(as_owner()).await;
    assert_eq!(status, 409, "the owner of the data directory is told what to set: {said}");
    assert!(said["detail"].as_str().unwrap().contains("holdfast break-glass set"), "{said}");
    let asked = as_owner().build().unwrap();
    drop(door);
    let after = reqwest::Client::new().execute(asked).await.unwrap();
    assert_eq!(after.status(), 401, "the way in ends with its command");
    let link = server.launched.sign_in_link().await.unwrap();
    let token = link.url.split_once("token=").unwrap().1.to_owned();
    let used = server.ask("POST", "/sign-in").form(&[("token", &token)]).send().await.unwrap();
    assert_eq!(used.status(), 403);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_logout_token_ends_sessions_once_and_no_other_token_does() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let store = server.launched.actions().store();
    let subject = format!("{}#ada", issuer.url);
    let soon = OffsetDateTime::now_utc() + Duration::hours(1);
    for (id, sid) in [("first", "s1"), ("second", "s2")] {
        store.put_session(id, "", soon).await.unwrap();
        let open = OpenSession {
            name: "ada",
            issuer: Some(&issuer.url),
            subject: &subject,
            sid: Some(sid),
            person: "",
            access: None,
            agent: None,
            address: None,
            expires_at: soon,
            audited: ("sign_in", "sso"),
        };
        store.open_session(id, open).await.unwrap();
    }
    let left = async || store.sessions_of(&subject).await.unwrap().len();
    let send = async |token: String| {
        let path = "/sign-in/sso/back-channel-logout";
        server.ask("POST", path).form(&[("logout_token", token)]).send().await.unwrap().status().as_u16()
    };
    let event = json!({ "http://schemas.openid.net/event/backchannel-logout": {} });
    let logout = || {
        json!({
            "iss": issuer.url, "aud": "holdfast", "iat": now(), "exp": now() + 120, "events": event, "sub": "ada",
            "sid": "s1", "jti": format!("jti-{}", getrandom::u64().unwrap()),
        })
    };
    for changes in [
        json!({ "events": null }),
        json!({ "events": { "other": {} } }),
        json!({ "nonce": "n" }),
        json!({ "aud": "holdfast-api" }),
        json!({ "jti": null }),
        json!({ "iat": null }),
        json!({ "iat": now() - 3_600 }),
        json!({ "iat": now() + 3_600 }),
        json!({ "exp": now() - 60 }),
        json!({ "sub": null, "sid": null }),
    ] {
        assert_eq!(send(sign(&with(logout(), changes.clone()))).await, 400, "{changes}");
    }
    assert_eq!(send(forge(&logout())).await, 400);
    assert_eq!(send(unsigned(&logout())).await, 400);
    assert_eq!(left().await, 2);

    let token = sign(&logout());
    assert_eq!(send(token.clone()).await, 200);
    assert_eq!(left().await, 1, "the session that it names");
    assert_eq!(send(token).await, 400, "the same token once more");
    assert_eq!(send(sign(&with(logout(), json!({ "sid": null })))).await, 200);
    assert_eq!(left().await, 0, "without a session all of the person's");
    server.launched.stop().await.unwrap();
}
