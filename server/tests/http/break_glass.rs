//! The password for the day when no provider answers: it opens for an hour, loudly, and not by guessing.

use holdfast::{
    auth::break_glass::{off, set},
    serve::launch_with_listener,
    store::AuditFilter,
};
use holdfast_model::secret::Secret;
use reqwest::{Response, header};
use tokio::net::TcpListener;

use crate::{
    harness::{LOG, Server, cookie, settings},
    issuer::Issuer,
    tokens::config,
};

const PASSWORD: &str = "canary-glass-password-90c2";
const PATH: &str = "/sign-in/break-glass";

async fn give(server: &Server, password: &str) -> Response {
    server.ask("POST", PATH).form(&[("password", password), ("next", "/activity")]).send().await.unwrap()
}

async fn text(server: &Server, path: &str, cookie: &str) -> String {
    server.ask("GET", path).header(header::COOKIE, cookie).send().await.unwrap().text().await.unwrap()
}

async fn audited(server: &Server) -> Vec<(String, String)> {
    let filter = AuditFilter { action: Some("break_glass".into()), limit: 100, ..AuditFilter::default() };
    let lines = server.launched.actions().store().audit_lines(&filter).await.unwrap().lines;
    lines.into_iter().rev().map(|line| (line.action, line.detail)).collect()
}

#[tokio::test]
async fn it_is_not_there_until_the_owner_of_the_host_sets_it() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    assert!(!text(&server, "/sign-in", "").await.contains(PATH));
    assert_eq!(server.ask("GET", PATH).send().await.unwrap().status(), 404);
    assert_eq!(give(&server, PASSWORD).await.status(), 404);
    let data = server.data();
    set(&data, &Secret::new(PASSWORD.into())).unwrap();
    assert!(text(&server, "/sign-in?next=%2Factivity", "").await.contains("/sign-in/break-glass?next=%2Factivity"));
    let page = server.ask("GET", PATH).send().await.unwrap();
    assert!(page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("script-src 'none'"));
    // Whoever could read or write it as another user must not profit.
    let file = data.join("break-glass");
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let refused = give(&server, PASSWORD).await;
    assert_eq!((refused.status().as_u16(), cookie(&refused)), (403, None));
    assert!(refused.text().await.unwrap().contains("0600"));
    assert!(off(&data).unwrap());
    assert_eq!(give(&server, PASSWORD).await.status(), 404);
    let lines = audited(&server).await;
    assert_eq!(lines.len(), 1, "the file as it should not be: {lines:?}");
    set(&data, &Secret::new(PASSWORD.into())).unwrap();
    assert_eq!(give(&server, "another password").await.status(), 403);
    assert!(off(&data).unwrap());
    assert_eq!(give(&server, PASSWORD).await.status(), 404);
    let actions: Vec<String> = audited(&server).await.into_iter().skip(1).map(|(action, _)| action).collect();
    assert_eq!(actions, ["break_glass.set", "break_glass.refused", "break_glass.off"]);
    server.launched.stop().await.unwrap();

    // Where a link signs in, there is nothing to go around.
    let server = Server::start().await;
    set(&server.data(), &Secret::new(PASSWORD.into())).unwrap();
    assert_eq!(give(&server, PASSWORD).await.status(), 404);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_knows_it_is_an_admin_for_an_hour_and_everybody_is_told() {
    let issuer = Issuer::start().await;
    let server = Server::with(&config(&issuer)).await;
    let data = server.data();
    set(&data, &Secret::new(PASSWORD.into())).unwrap();
    let before = server.ask("POST", "/sign-in/sso").form(&[("next", "/")]).send().await.unwrap();
    let before = cookie(&before).unwrap();
    let form = [("password", PASSWORD), ("next", "//evil.example")];
    let opened = server.ask("POST", PATH).header(header::COOKIE, &before).form(&form).send().await.unwrap();
    assert_eq!((opened.status().as_u16(), opened.headers()[header::LOCATION].to_str().unwrap()), (303, "/"));
    let here = cookie(&opened).unwrap();
    assert_ne!(here, before, "a new id");
    for path in ["/", "/settings/keys", "/settings/sessions", "/nowhere"] {
        let html = text(&server, path, &here).await;
        assert!(html.contains("break-glass@") && html.contains("past the identity provider"), "{path}: {html}");
    }
    assert!(text(&server, "/settings/sessions", &here).await.contains("break-glass password"));
    assert!(!text(&server, "/settings/members", &here).await.contains("break-glass@host"), "nobody in particular");
    let lines = audited(&server).await;
    let actions: Vec<&str> = lines.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["break_glass.set", "break_glass.sign_in"], "{lines:?}");
    assert!(lines[1].1.contains("from 127.0.0.1"), "{lines:?}");

    // A new sign-in is new for ten minutes; then the password is asked for once more.
    let revoke = async || {
        let request = server.ask("POST", "/ui/keys").header(header::COOKIE, &here);
        let form = [("name", "x"), ("project", "*"), ("create", "yes")];
        let answer = request.form(&form).send().await.unwrap();
        answer.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned())
    };
    assert_eq!(revoke().await, None, "the key is made and shown");
    let catalogue = rusqlite::Connection::open(data.join("catalogue.db")).unwrap();
    catalogue
        .execute("update session set signed_in_at = signed_in_at - 601000000 where subject = 'break-glass'", [])
        .unwrap();
    let again = revoke().await.unwrap();
    assert!(again.starts_with("/sign-in/again?next="), "{again}");
    let there = server.ask("GET", &again).header(header::COOKIE, &here).send().await.unwrap();
    assert_eq!(there.headers()[header::LOCATION], "/sign-in/break-glass?next=%2Fsettings%2Fkeys");
    // An hour is an hour.
    catalogue
        .execute("update session set signed_in_at = signed_in_at - 3000000000 where subject = 'break-glass'", [])
        .unwrap();
    assert_eq!(server.ask("GET", "/").header(header::COOKIE, &here).send().await.unwrap().status(), 303);

    // Its end is the end of all that it opened, also when another one is set.
    let here = cookie(&give(&server, PASSWORD).await).unwrap();
    let is_in = async || server.ask("GET", "/").header(header::COOKIE, &here).send().await.unwrap().status() == 200;
    assert!(is_in().await);
    set(&data, &Secret::new(format!("{PASSWORD} and more"))).unwrap();
    assert!(!is_in().await);
    assert_eq!(give(&server, PASSWORD).await.status(), 403);
    assert!(LOG.text().contains("BREAK GLASS"));
    assert!(!LOG.text().contains(PASSWORD));
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn five_tries_in_a_quarter_of_an_hour_are_the_most_and_a_restart_forgets_none() {
    let issuer = Issuer::start().await;
    let config = config(&issuer);
    let server = Server::with(&config).await;
    set(&server.data(), &Secret::new(PASSWORD.into())).unwrap();
    for left in (0..5).rev() {
        let refused = give(&server, "another password").await;
        assert_eq!((refused.status().as_u16(), cookie(&refused)), (403, None), "{left}");
    }
    for _ in 0..3 {
        let shut = give(&server, PASSWORD).await;
        assert_eq!((shut.status().as_u16(), cookie(&shut)), (429, None), "the right one too");
        let wait: u64 = shut.headers()[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((800..=901).contains(&wait), "{wait}");
        assert!(shut.text().await.unwrap().contains("The next one counts in 15 minutes"));
    }
    let lines = audited(&server).await;
    assert_eq!(lines.len(), 7, "its setting, each try that counted, and one for all that did not: {lines:?}");
    assert!(lines[1..].iter().all(|(action, _)| action == "break_glass.refused"), "{lines:?}");
    let Server { launched, folder, token, .. } = server;
    launched.stop().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let launched = launch_with_listener(settings(folder.path(), &config), listener).await.unwrap();
    let server = Server::of(launched, folder, token);
    assert_eq!(give(&server, PASSWORD).await.status(), 429, "a restart forgets nothing");
    let catalogue = rusqlite::Connection::open(server.data().join("catalogue.db")).unwrap();
    catalogue.execute("update break_glass set tries = '[1,2,3,4,5]'", []).unwrap();
    assert_eq!(give(&server, PASSWORD).await.status(), 303, "later it opens");
    server.launched.stop().await.unwrap();
}
