//! One's own sessions: seen, and ended, by plain forms.

use reqwest::header;

use crate::harness::Server;

async fn page(server: &Server, cookie: &str) -> (u16, String) {
    let request = server.ask("GET", "/settings/sessions").header(header::COOKIE, cookie);
    let answer =
        request.header(header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0").send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn press(server: &Server, cookie: &str, path: &str) -> u16 {
    server.ask("POST", path).header(header::COOKIE, cookie).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn somebody_sees_and_ends_their_own_sessions() {
    let server = Server::start().await;
    let store = server.launched.actions().store();
    let (here, there) = (server.sign_in().await, server.sign_in().await);
    let (status, html) = page(&server, &here).await;
    assert_eq!(status, 200);
    assert_eq!(html.matches("this browser").count(), 1, "{html}");
    assert_eq!(html.matches("127.0.0.1</code>").count(), 2, "{html}");
    assert!(html.contains("one-time link"));

    let subject = format!("link:{}", holdfast::auth::owner());
    let mine = store.sessions_of(&subject).await.unwrap();
    let shown: Vec<_> = mine.iter().filter(|row| html.contains(&format!("/ui/sessions/{}/end", row.id))).collect();
    let [other] = shown.as_slice() else { panic!("the others can be ended: {html}") };
    assert_eq!(press(&server, &here, &format!("/ui/sessions/{}/end", other.id)).await, 303);
    assert_eq!(page(&server, &there).await.0, 303, "that browser is out at its next request");
    assert_eq!(page(&server, &here).await.0, 200);
    assert_eq!(press(&server, &here, &format!("/ui/sessions/{}/end", other.id)).await, 404, "it has ended");

    let others = [server.sign_in().await, server.sign_in().await];
    assert_eq!(press(&server, &here, "/ui/sessions/end-others").await, 303);
    for other in &others {
        assert_eq!(page(&server, other).await.0, 303);
    }
    assert_eq!(page(&server, &here).await.0, 200);
    server.launched.stop().await.unwrap();
}

#[tokio::test]
async fn somebody_elses_session_is_not_there() {
    let server = Server::start().await;
    let here = server.sign_in().await;
    let catalogue = rusqlite::Connection::open(server.data().join("catalogue.db")).unwrap();
    catalogue
        .execute(
            "insert into session (id, data, created_at, expires_at, name, subject, person, signed_in_at, seen_at) \
             select 'theirs', data, created_at, expires_at, 'eve', 'x#eve', person, signed_in_at, seen_at from session",
            [],
        )
        .unwrap();
    let (_, html) = page(&server, &here).await;
    assert!(!html.contains("theirs") && !html.contains("eve"), "{html}");
    assert_eq!(press(&server, &here, "/ui/sessions/theirs/end").await, 404);
    assert_eq!(press(&server, &here, "/ui/sessions/end-others").await, 303);
    let left: i64 =
        catalogue.query_row("select count(*) from session where id = 'theirs'", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
    server.launched.stop().await.unwrap();
}
