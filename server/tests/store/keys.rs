//! Keys of programs: known by a hash, for their time, until they are revoked.

use holdfast::store::{NewKey, StoreError};
use holdfast_model::{
    access::{Access, Role},
    key::KeyState,
};
use time::{Duration, OffsetDateTime};

use crate::catalogue::Catalogue;

crate::on_both!(
    a_key_works_for_its_time_and_until_it_is_revoked,
    a_key_that_is_turned_over_goes_on_for_a_while_and_no_longer_than_it_had,
    use_is_noted,
);

async fn key(c: &Catalogue, hash: &str, lasts: Duration) -> NewKey {
    let access = Access { projects: [("shop".parse().unwrap(), Role::Operator)].into(), ..Access::default() };
    let id = c.store.new_key_id().await.unwrap();
    NewKey { id, name: "deploys".into(), hash: hash.into(), access, networks: vec!["10.0.0.0/8".into()], lasts }
}

async fn a_key_works_for_its_time_and_until_it_is_revoked(c: &Catalogue) {
    let made = key(c, "h1", Duration::days(1)).await;
    c.store.put_key("ada", &made, None).await.unwrap();
    let found = c.store.key_of("h1").await.unwrap().unwrap();
    assert_eq!((found.access, found.view.networks), (made.access.clone(), made.networks.clone()));
    assert!(c.store.key_of("another").await.unwrap().is_none());

    let over = key(c, "h2", Duration::seconds(-1)).await;
    c.store.put_key("ada", &over, None).await.unwrap();
    assert!(c.store.key_of("h2").await.unwrap().is_none(), "its time is over");
    assert_eq!(c.store.key(over.id.as_str()).await.unwrap().view.state, KeyState::Expired);

    c.store.revoke_key("eve", &made.id).await.unwrap();
    assert!(c.store.key_of("h1").await.unwrap().is_none(), "revoked");
    c.store.revoke_key("eve", &made.id).await.expect("twice is no error");
    assert!(matches!(c.store.key("key_x").await, Err(StoreError::NotFound { .. })));
    let twice = key(c, "h1", Duration::days(1)).await;
    assert!(c.store.put_key("ada", &twice, None).await.is_err(), "a token belongs to one key");
}

async fn a_key_that_is_turned_over_goes_on_for_a_while_and_no_longer_than_it_had(c: &Catalogue) {
    let old = key(c, "old", Duration::days(10)).await;
    c.store.put_key("ada", &old, None).await.unwrap();
    let new = key(c, "new", Duration::days(10)).await;
    c.store.put_key("ada", &new, Some((&old.id, Duration::hours(2)))).await.unwrap();
    let left = c.store.key_of("old").await.unwrap().unwrap().view.expires_at - OffsetDateTime::now_utc();
    assert!(left <= Duration::hours(2) && left > Duration::minutes(100), "{left}");
    assert_eq!(c.store.key_of("new").await.unwrap().unwrap().view.replaces, Some(old.id.clone()));

    let newer = key(c, "newer", Duration::days(10)).await;
    c.store.put_key("ada", &newer, Some((&old.id, Duration::days(30)))).await.unwrap();
    let left = c.store.key_of("old").await.unwrap().unwrap().view.expires_at - OffsetDateTime::now_utc();
    assert!(left <= Duration::hours(2), "an overlap prolongs nothing: {left}");
    let newest = key(c, "newest", Duration::days(10)).await;
    c.store.put_key("ada", &newest, Some((&newer.id, Duration::ZERO))).await.unwrap();
    assert!(c.store.key_of("newer").await.unwrap().is_none(), "no overlap at all");
}

async fn use_is_noted(c: &Catalogue) {
    let made = key(c, "h", Duration::days(1)).await;
    c.store.put_key("ada", &made, None).await.unwrap();
    let view = c.store.key_of("h").await.unwrap().unwrap().view;
    assert_eq!(view.last_used_at, None);
    c.store.key_used(&view, Some("10.1.2.3")).await.unwrap();
    let view = c.store.key_of("h").await.unwrap().unwrap().view;
    assert_eq!(view.last_used_from.as_deref(), Some("10.1.2.3"));
    let first = view.last_used_at;
    c.store.key_used(&view, Some("10.1.2.3")).await.unwrap();
    assert_eq!(c.store.key(view.id.as_str()).await.unwrap().view.last_used_at, first, "not a write a request");
}
