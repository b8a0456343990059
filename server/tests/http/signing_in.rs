//! The one-time link, the session that it opens, and what another site cannot do with it.

use reqwest::header;

use crate::harness::{Server, cookie};

#[tokio::test]
async fn a_link_works_once_and_only_by_its_button() {
    let server = Server::start().await;
    let link = server.launched.sign_in_link().await.unwrap();
    let path = link.url.split_once(&server.launched.address.to_string()).unwrap().1.to_owned();
    // A preview opens it, twice; nothing is burnt.
    for _ in 0..2 {
        let page = server.ask("GET", &path).send().await.unwrap();
        assert_eq!(page.status(), 200);
        assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'none'"));
        assert!(cookie(&page).is_none());
        assert!(page.text().await.unwrap().contains(r#"<form method="post" action="/sign-in">"#));
    }
    let token = path.split_once("token=").unwrap().1;
    let form = [("token", token), ("next", "/activity")];
    let answer = server.ask("POST", "/sign-in").form(&form).send().await.unwrap();
    assert_eq!(answer.status(), 303);
    assert_eq!(answer.headers()[header::LOCATION], "/activity");
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for word in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(word), "{set}");
    }
    let home = server.ask("GET", "/").header(header::COOKIE, cookie(&answer).unwrap()).send().await.unwrap();
    assert_eq!(home.status(), 200);
    assert!(home.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'nonce-"));

    let again = server.ask("POST", "/sign-in").form(&form).send().await.unwrap();
    assert_eq!(again.status(), 403);
    assert!(cookie(&again).is_none());
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn signing_out_ends_the_session_for_good() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    let signed_in = || server.ask("GET", "/").header(header::COOKIE, &cookie).send();
    assert_eq!(signed_in().await.unwrap().status(), 200);
    let out = server.ask("POST", "/sign-out").header(header::COOKIE, &cookie).send().await.unwrap();
    assert_eq!(out.headers()[header::LOCATION], "/sign-in");
    assert_eq!(signed_in().await.unwrap().status(), 303, "the old cookie opens nothing");
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_ends_unused_after_half_a_day_and_in_any_case_after_a_week() {
    let server = Server::start().await;
    let catalogue = rusqlite::Connection::open(server.data().join("catalogue.db")).unwrap();
    let hour = 3_600_000_000_i64;
    for (column, hours) in [("seen_at", 13), ("signed_in_at", 7 * 24 + 1)] {
        let cookie = server.sign_in().await;
        let signed_in = || server.ask("GET", "/").header(header::COOKIE, &cookie).send();
        assert_eq!(signed_in().await.unwrap().status(), 200);
        let person: String = catalogue.query_row("select person from session", [], |row| row.get(0)).unwrap();
        assert!(person.starts_with("hf1."), "wrapped by the server key: {person}");
        catalogue.execute(&format!("update session set {column} = {column} - {}", hours * hour), []).unwrap();
        assert_eq!(signed_in().await.unwrap().status(), 303, "{column}");
        let left: i64 = catalogue.query_row("select count(*) from session", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn signing_in_changes_the_sessions_id() {
    let server = Server::start().await;
    let before = server.sign_in().await;
    let link = server.launched.sign_in_link().await.unwrap();
    let token = link.url.split_once("token=").unwrap().1.to_owned();
    let request = server.ask("POST", "/sign-in").header(header::COOKIE, &before).form(&[("token", token)]);
    let after = cookie(&request.send().await.unwrap()).unwrap();
    assert_ne!(before, after);
    let old = server.ask("GET", "/").header(header::COOKIE, &before).send().await.unwrap();
    assert_eq!(old.status(), 303);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn another_site_cannot_send_forms_with_our_cookie() {
    let server = Server::start().await;
    let cookie = server.sign_in().await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = server.ask("POST", "/sign-out").header(header::COOKIE, &cookie).header(name, value);
        assert_eq!(request.send().await.unwrap().status(), 403, "{name}");
    }
    let still = server.ask("GET", "/").header(header::COOKIE, &cookie).send().await.unwrap();
    assert_eq!(still.status(), 200);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn behind_https_the_cookie_is_bound_to_the_host() {
    let server = Server::with("workers = 0\npublic_url = \"https://holdfast.example.org\"\n").await;
    let link = server.launched.sign_in_link().await.unwrap();
    assert!(link.url.starts_with("https://holdfast.example.org/sign-in?token="), "{}", link.url);
    let token = link.url.split_once("token=").unwrap().1.to_owned();
    let request = server.ask("POST", "/sign-in").header(header::HOST, "holdfast.example.org").form(&[("token", token)]);
    let answer = request.send().await.unwrap();
    let set = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    assert!(set.starts_with("__Host-holdfast=") && set.contains("Secure"), "{set}");
    server.launched.stop().await.unwrap();
}
