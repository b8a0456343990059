//! The audit log: nothing in it can be changed, and what is changed all the same is found.

use holdfast::store::{AuditFilter, Engine, Store};
use holdfast_model::audit::Verified;

use crate::catalogue::Catalogue;

crate::on_both!(
    lines_stand_in_a_chain_also_when_many_write_at_once,
    the_database_refuses_to_change_a_line,
    a_line_that_was_changed_is_found,
    a_line_that_was_taken_out_is_found,
    lines_at_the_end_that_were_taken_out_are_found,
    a_line_that_was_put_in_is_found,
    lines_of_an_older_version_get_their_place_once,
    filters_narrow_and_pages_go_on,
);

async fn some(c: &Catalogue) -> Verified {
    for n in 1..=5 {
        c.store.audit("ada", "checkpoint.delete", &format!("chk_{n}"), "").await.unwrap();
    }
    let found = c.store.verify_audit().await.unwrap();
    assert_eq!(found.broken, None);
    found
}

/// As somebody who owns the database.
async fn unguarded(c: &Catalogue) {
    if c.store.engine() == Engine::Sqlite {
        c.sql("drop trigger audit_is_not_changed").await;
        c.sql("drop trigger audit_is_not_deleted").await;
    } else {
        c.sql("drop trigger audit_is_append_only on audit").await;
    }
}

async fn broken(c: &Catalogue) -> u64 {
    c.store.verify_audit().await.unwrap().broken.expect("it was altered").sequence
}

async fn lines_stand_in_a_chain_also_when_many_write_at_once(c: &Catalogue) {
    let before = some(c).await;
    let many = (0..40).map(|n| {
        let store = c.store.clone();
        tokio::spawn(async move { store.audit(&format!("w{n}"), "a", "b", "").await.unwrap() })
    });
    for writer in many.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let found = c.store.verify_audit().await.unwrap();
    assert_eq!((found.broken, found.lines), (None, before.lines + 40));
    assert_ne!(found.hash, before.hash);
}

async fn the_database_refuses_to_change_a_line(c: &Catalogue) {
    some(c).await;
    for statement in ["update audit set who = 'eve'", "update audit set hash = null", "delete from audit"] {
        let refused = c.try_sql(statement).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    if c.store.engine() == Engine::Postgres {
        assert!(c.try_sql("truncate audit").await.is_err());
    }
}

async fn a_line_that_was_changed_is_found(c: &Catalogue) {
    let found = some(c).await;
    unguarded(c).await;
    let at = found.last - 2;
    c.sql(&format!("update audit set who = 'eve' where sequence = {at}")).await;
    assert_eq!(broken(c).await, at);
}

async fn a_line_that_was_taken_out_is_found(c: &Catalogue) {
    let found = some(c).await;
    unguarded(c).await;
    c.sql(&format!("delete from audit where sequence = {}", found.last - 2)).await;
    assert_eq!(broken(c).await, found.last - 2);
}

async fn lines_at_the_end_that_were_taken_out_are_found(c: &Catalogue) {
    let found = some(c).await;
    unguarded(c).await;
    c.sql(&format!("delete from audit where sequence > {}", found.last - 2)).await;
    assert_eq!(broken(c).await, found.last - 1);
}

async fn a_line_that_was_put_in_is_found(c: &Catalogue) {
    let found = some(c).await;
    c.sql("insert into audit (id, at, who, action, subject, detail) values ('aud_x', 1, 'eve', 'a', 'b', '')").await;
    assert_eq!(broken(c).await, found.last + 1);
}

async fn lines_of_an_older_version_get_their_place_once(c: &Catalogue) {
    let add = async |id: &str| {
        let line =
            format!("insert into audit (id, at, who, action, subject, detail) values ('{id}', 1, 'ada', 'a', 'b', '')");
        c.sql(&line).await;
        Store::open(&c.url).await.unwrap().verify_audit().await.unwrap()
    };
    assert_eq!((add("aud_1").await.broken, c.store.verify_audit().await.unwrap().lines), (None, 1));
    assert_eq!(add("aud_2").await.broken.expect("nobody of ours wrote it").sequence, 2);
}

async fn filters_narrow_and_pages_go_on(c: &Catalogue) {
    some(c).await;
    c.store.audit("eve", "checkpoint.read", "chk_1", "").await.unwrap();
    c.store.audit("eve", "checkpoints", "chk_1", "").await.unwrap();
    let lines = async |filter: AuditFilter| c.store.audit_lines(&filter).await.unwrap();
    let all = AuditFilter { limit: 100, ..AuditFilter::default() };
    let by_eve = lines(AuditFilter { who: Some("eve".into()), ..all.clone() }).await;
    assert_eq!(by_eve.lines.len(), 2);
    let of_checkpoints = lines(AuditFilter { action: Some("checkpoint".into()), ..all.clone() }).await;
    assert_eq!(of_checkpoints.lines.len(), 6, "and not those of `checkpoints`");
    let about = lines(AuditFilter { subject: Some("chk_1".into()), ..all.clone() }).await;
    assert_eq!(about.lines.len(), 3);
    let first = lines(AuditFilter { limit: 4, ..all.clone() }).await;
    assert_eq!(first.lines.len(), 4);
    let rest = lines(AuditFilter { before: first.next, ..all.clone() }).await;
    assert_eq!(rest.lines[0].sequence + 1, first.lines[3].sequence);
    assert_eq!(rest.next, None);
}
