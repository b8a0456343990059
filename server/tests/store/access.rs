//! Credentials, links, sessions, the server key, and what the catalogue must not hold.

use holdfast::{
    keys::ServerKey,
    store::{OpenSession, Store, StoreError},
};
use holdfast_model::access::{Access, Role};
use time::{Duration, OffsetDateTime};

use crate::catalogue::{CANARY, Catalogue};

crate::on_both!(
    a_link_works_once_and_not_after_its_time,
    sessions_end,
    sessions_end_as_their_provider_says,
    a_credential_is_known_by_its_hash,
    another_server_key_is_refused,
    definitions_are_wrapped,
);

async fn a_link_works_once_and_not_after_its_time(c: &Catalogue) {
    let soon = OffsetDateTime::now_utc() + Duration::minutes(5);
    c.store.put_link("h1", "ada", soon).await.unwrap();
    let both = tokio::join!(c.store.take_link("h1"), c.store.take_link("h1"));
    assert_eq!(u8::from(both.0.unwrap()) + u8::from(both.1.unwrap()), 1, "exactly one gets in");
    assert!(!c.store.take_link("h1").await.unwrap());
    c.store.put_link("h2", "ada", OffsetDateTime::now_utc() - Duration::seconds(1)).await.unwrap();
    assert!(!c.store.take_link("h2").await.unwrap());
    assert!(!c.store.take_link("unknown").await.unwrap());
}

async fn sessions_end(c: &Catalogue) {
    let soon = OffsetDateTime::now_utc() + Duration::hours(1);
    c.store.put_session("s", r#"{"a":1}"#, soon).await.unwrap();
    c.store.put_session("s", r#"{"a":2}"#, soon).await.unwrap();
    assert_eq!(c.store.session("s").await.unwrap().as_deref(), Some(r#"{"a":2}"#));
    c.store.put_session("old", "{}", OffsetDateTime::now_utc() - Duration::seconds(1)).await.unwrap();
    assert!(c.store.session("old").await.unwrap().is_none());
    assert_eq!(c.store.delete_expired_sessions().await.unwrap(), 1);
    c.store.delete_session("s").await.unwrap();
    assert!(c.store.session("s").await.unwrap().is_none());
}

async fn sessions_end_as_their_provider_says(c: &Catalogue) {
    let soon = OffsetDateTime::now_utc() + Duration::hours(1);
    let issuer = "https://id.example.org";
    let access = Access::everywhere(Role::Operator);
    for (id, subject, sid) in
        [("a", "x#ada", Some("s1")), ("b", "x#ada", Some("s2")), ("c", "x#ada", None), ("d", "x#otto", Some("s3"))]
    {
        c.store.put_session(id, "data", soon).await.unwrap();
        assert!(c.store.signed_in(id).await.unwrap().is_none(), "a session alone signs nobody in");
        let open = OpenSession {
            name: "n",
            issuer: Some(issuer),
            subject,
            sid,
            person: "p",
            access: Some(&access),
            agent: Some("Mozilla/5.0"),
            address: Some("192.0.2.7"),
            expires_at: soon,
            audited: ("sign_in", ""),
        };
        c.store.open_session(id, open).await.unwrap();
    }
    assert_eq!(c.store.sessions_of("x#ada").await.unwrap().len(), 3);
    // What is kept for it later does not shorten its life.
    c.store.put_session("a", "more", OffsetDateTime::now_utc() - Duration::hours(1)).await.unwrap();
    assert_eq!(c.store.signed_in("a").await.unwrap().unwrap().person, "p");

    assert!(c.store.begin_renewal("a").await.unwrap());
    assert!(!c.store.begin_renewal("a").await.unwrap(), "one at a time");
    c.store.end_renewal("a", "n", "p2", &Access::everywhere(Role::Viewer)).await.unwrap();
    assert_eq!(c.store.signed_in("a").await.unwrap().unwrap().person, "p2");
    let ada = c.store.member("x#ada").await.unwrap().unwrap();
    assert_eq!((ada.access, ada.program), (Access::everywhere(Role::Viewer), false), "as they were read again");

    assert_eq!(c.store.end_sessions("https://other.example", Some("x#ada"), None).await.unwrap(), 0);
    assert_eq!(c.store.end_sessions(issuer, Some("x#ada"), Some("s1")).await.unwrap(), 2, "it, and one without a name");
    assert_eq!(c.store.sessions_of("x#ada").await.unwrap().len(), 1);
    c.store.end_renewal("a", "n", "p3", &access).await.unwrap();
    assert!(c.store.signed_in("a").await.unwrap().is_none(), "what has ended stays ended");
    assert_eq!(
        c.store.member("x#ada").await.unwrap().unwrap().access.everywhere,
        Some(Role::Viewer),
        "and tells nothing"
    );
    assert_eq!(c.store.end_sessions(issuer, Some("x#ada"), None).await.unwrap(), 1);
    assert!(c.store.end_session("d", "signed out").await.unwrap());
    assert!(!c.store.end_session("d", "signed out").await.unwrap());

    assert!(c.store.use_token(issuer, "j", soon).await.unwrap());
    assert!(!c.store.use_token(issuer, "j", soon).await.unwrap());
    assert!(c.store.use_token("https://other.example", "j", soon).await.unwrap());
}

async fn a_credential_is_known_by_its_hash(c: &Catalogue) {
    c.store.put_credential("hash", "this machine").await.unwrap();
    c.store.put_credential("hash", "this machine").await.expect("twice is no error");
    assert_eq!(c.store.credential("hash").await.unwrap().unwrap(), "this machine");
    assert!(c.store.credential("other").await.unwrap().is_none());
    c.sql("insert into credential (hash, name, kind, created_at) values ('ci', 'ci', 'program', 1)").await;
    assert!(c.store.credential("ci").await.unwrap().is_none(), "programs have keys");
    c.sql("update credential set revoked_at = 1").await;
    assert!(c.store.credential("hash").await.unwrap().is_none());
}

async fn another_server_key_is_refused(c: &Catalogue) {
    c.store.check_key(&c.key).await.unwrap();
    let other = ServerKey::load_or_create(&c.folder.path().join("other.key")).unwrap();
    let again = Store::open(&c.url).await.unwrap();
    assert!(matches!(again.check_key(&other).await, Err(StoreError::WrongServerKey)));
    again.check_key(&c.key).await.expect("the first one stays");
}

async fn definitions_are_wrapped(c: &Catalogue) {
    let environment = c.environment("p", "e").await;
    let raw = c.store.raw_definition(&c.key, &environment).await.unwrap();
    assert!(String::from_utf8_lossy(&raw).contains(CANARY));
    let view = c.store.environment_view(&environment).await.unwrap();
    assert!(!serde_json::to_string(&view).unwrap().contains(CANARY));
    let other = ServerKey::load_or_create(&c.folder.path().join("other.key")).unwrap();
    assert!(matches!(c.store.raw_definition(&other, &environment).await, Err(StoreError::Key(_))));
    if !c.file().exists() {
        return;
    }
    c.store.close().await;
    for entry in std::fs::read_dir(c.file().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()), "{}", path.display());
    }
}
