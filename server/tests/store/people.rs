//! Whose sessions are whose, who was ever let in, and how often the break-glass password may be tried.

use holdfast::store::{AuditFilter, Came, GlassTry, OpenSession, Seldom};
use holdfast_model::access::{Access, Role};
use time::{Duration, OffsetDateTime};

use crate::catalogue::Catalogue;

crate::on_both!(
    sessions_are_ended_by_their_own_person_only,
    members_are_known_by_what_they_had_last,
    a_programs_token_is_not_written_down_at_each_request,
    a_password_may_be_tried_five_times_in_a_quarter_of_an_hour,
    a_password_that_is_set_or_taken_away_is_noted_once,
    many_tries_at_once_are_no_more_than_many_one_after_the_other,
    what_is_written_seldom_is_written_once_for_each_and_again_later,
);

async fn open(c: &Catalogue, id: &str, subject: &str) {
    let soon = OffsetDateTime::now_utc() + Duration::hours(1);
    c.store.put_session(id, "data", soon).await.unwrap();
    let open = OpenSession {
        name: "n",
        issuer: None,
        subject,
        sid: None,
        person: "p",
        access: Some(&Access::everywhere(Role::Viewer)),
        agent: Some("Mozilla/5.0"),
        address: Some("192.0.2.7"),
        expires_at: soon,
        audited: ("sign_in", ""),
    };
    c.store.open_session(id, open).await.unwrap();
}

async fn sessions_are_ended_by_their_own_person_only(c: &Catalogue) {
    for (id, subject) in [("a", "ada"), ("b", "ada"), ("c", "ada"), ("d", "eve")] {
        open(c, id, subject).await;
    }
    let row = c.store.sessions_of("eve").await.unwrap().remove(0);
    assert_eq!((row.agent.as_deref(), row.address.as_deref()), (Some("Mozilla/5.0"), Some("192.0.2.7")));
    assert_eq!(c.store.end_sessions_of("eve", Some("a"), None, "x").await.unwrap(), 0, "another's");
    assert_eq!(c.store.end_sessions_of("ada", Some(""), None, "x").await.unwrap(), 0, "none is named so");
    assert_eq!(c.store.sessions_of("ada").await.unwrap().len(), 3);
    assert_eq!(c.store.end_sessions_of("ada", Some("a"), None, "ended by themselves").await.unwrap(), 1);
    assert!(c.store.signed_in("a").await.unwrap().is_none());
    open(c, "a", "ada").await;
    assert_eq!(c.store.end_sessions_of("ada", None, Some("b"), "with all others").await.unwrap(), 2);
    let left: Vec<String> = c.store.sessions_of("ada").await.unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!((left, c.store.sessions_of("eve").await.unwrap().len()), (vec!["b".to_owned()], 1));
    let filter = AuditFilter { action: Some("session.end".into()), limit: 10, ..AuditFilter::default() };
    let lines = c.store.audit_lines(&filter).await.unwrap().lines;
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[2].detail, "ended by themselves; it came from 192.0.2.7");
}

async fn members_are_known_by_what_they_had_last(c: &Catalogue) {
    open(c, "a", "x#ada").await;
    let first = c.store.member("x#ada").await.unwrap().unwrap();
    c.sql("update member set first_seen_at = first_seen_at - 5000000, last_seen_at = last_seen_at - 5000000").await;
    let shop = Access { projects: [("shop".parse().unwrap(), Role::Admin)].into(), ..Access::default() };
    c.store.end_renewal("a", "Ada L.", "p2", &shop).await.unwrap();
    let now = c.store.member("x#ada").await.unwrap().unwrap();
    assert_eq!((now.name.as_str(), &now.access), ("Ada L.", &shop));
    assert!(now.first_seen_at < first.first_seen_at && now.last_seen_at >= first.last_seen_at);
    c.store.member_has_no_role("x#ada").await.unwrap();
    c.store.member_has_no_role("x#nora").await.unwrap();
    let all = c.store.members().await.unwrap();
    assert_eq!(all.len(), 1, "who was never let in is no member");
    assert!(all[0].access.is_empty());
}

async fn a_programs_token_is_not_written_down_at_each_request(c: &Catalogue) {
    let access = Access::everywhere(Role::Operator).of_program();
    let came = |access| Came { subject: "x#ci", name: "ci", program: true, issuer: Some("x"), access };
    let seen = async || c.store.member("x#ci").await.unwrap().unwrap().last_seen_at;
    c.store.member_came(came(&access)).await.unwrap();
    c.sql("update member set last_seen_at = last_seen_at - 60000000").await;
    let before = seen().await;
    c.store.member_came(came(&access)).await.unwrap();
    assert_eq!(seen().await, before);
    let other = Access::everywhere(Role::Viewer).of_program();
    c.store.member_came(came(&other)).await.unwrap();
    assert!(seen().await > before, "what has changed is written at once");
    assert_eq!(c.store.member("x#ci").await.unwrap().unwrap().access, other);
}

async fn a_password_may_be_tried_five_times_in_a_quarter_of_an_hour(c: &Catalogue) {
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(c.store.count_glass_try().await.unwrap(), GlassTry::Counted { left });
    }
    let again = holdfast::store::Store::open(&c.url).await.unwrap();
    let GlassTry::Shut { wait } = again.count_glass_try().await.unwrap() else { panic!("a restart forgets nothing") };
    assert!(wait > Duration::minutes(14) && wait <= Duration::minutes(15), "{wait}");
    // A quarter of an hour later.
    let tries =
        (0..5).map(|n| (OffsetDateTime::now_utc() - Duration::seconds(901 - n * 60)).unix_timestamp() * 1_000_000);
    let tries: Vec<i64> = tries.collect();
    c.sql(&format!("update break_glass set tries = '{}'", serde_json::to_string(&tries).unwrap())).await;
    assert_eq!(
        c.store.count_glass_try().await.unwrap(),
        GlassTry::Counted { left: 0 },
        "the first of them is forgotten"
    );
    assert!(matches!(c.store.count_glass_try().await.unwrap(), GlassTry::Shut { .. }));
}

async fn a_password_that_is_set_or_taken_away_is_noted_once(c: &Catalogue) {
    let notice = async |mark| c.store.notice_glass("db1", mark).await.unwrap();
    assert!(!notice(None).await, "none was, and none is");
    assert!(notice(Some("a")).await && !notice(Some("a")).await);
    assert!(!c.store.notice_glass("db2", None).await.unwrap(), "each host has its own");
    assert!(notice(Some("b")).await && notice(None).await && !notice(None).await);
    let filter = AuditFilter { action: Some("break_glass".into()), limit: 10, ..AuditFilter::default() };
    let lines = c.store.audit_lines(&filter).await.unwrap().lines;
    let actions: Vec<&str> = lines.iter().rev().map(|line| line.action.as_str()).collect();
    assert_eq!(actions, ["break_glass.set", "break_glass.set", "break_glass.off"]);
}

async fn many_tries_at_once_are_no_more_than_many_one_after_the_other(c: &Catalogue) {
    let many = (0..20).map(|_| {
        let store = c.store.clone();
        tokio::spawn(async move { store.count_glass_try().await.unwrap() })
    });
    let mut counted = 0;
    for one in many.collect::<Vec<_>>() {
        counted += usize::from(matches!(one.await.unwrap(), GlassTry::Counted { .. }));
    }
    assert_eq!(counted, 5);
}

async fn what_is_written_seldom_is_written_once_for_each_and_again_later(c: &Catalogue) {
    let every = Duration::minutes(10);
    let line = async |by: &str, what: &str| {
        c.store.audit_seldom(Seldom { by, what, every }, "vera", "denied", what, "").await.unwrap();
    };
    for _ in 0..3 {
        line("x#vera", "GET /settings/keys").await;
        line("x#vera", "GET /settings/audit").await;
        line("x#otto", "GET /settings/keys").await;
    }
    let count = async || {
        let filter = AuditFilter { action: Some("denied".into()), limit: 100, ..AuditFilter::default() };
        c.store.audit_lines(&filter).await.unwrap().lines.len()
    };
    assert_eq!(count().await, 3);
    c.sql("update audited set at = at - 601000000 where subject = 'x#vera' and what = 'GET /settings/keys'").await;
    line("x#vera", "GET /settings/keys").await;
    line("x#vera", "GET /settings/audit").await;
    assert_eq!(count().await, 4);
    assert_eq!(c.store.verify_audit().await.unwrap().broken, None);
}
