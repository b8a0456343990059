//! Pending actions: for one person, one request, ten minutes and one time.

use holdfast::store::{NewPending, NotTaken, SameRequest, StoreError};
use holdfast_model::{access::Permission, id::PendingId, pending::PendingState};

use crate::catalogue::Catalogue;

crate::on_both!(
    it_is_taken_once_and_for_the_very_request,
    it_is_its_persons_alone,
    of_two_at_the_same_time_one_takes_it,
    it_ends_after_ten_minutes,
    no_more_than_twenty_wait,
);

const ADA: &str = "https://id.example.org#ada";
const REQUEST: SameRequest<'static> =
    SameRequest { method: "DELETE", target: "/v1/checkpoints/chk_x?a=b", body_hash: "aa" };

async fn made(c: &Catalogue) -> PendingId {
    try_make(c).await.unwrap()
}

async fn try_make(c: &Catalogue) -> Result<PendingId, StoreError> {
    let id = c.store.new_pending_id().await?;
    let new = NewPending {
        id: &id,
        subject: ADA,
        name: "ada",
        request: REQUEST,
        permission: Permission::Delete,
        project: Some(&"shop".parse().unwrap()),
        description: "Delete it",
        shown: "hf1.x",
        asked_from: Some("192.0.2.7"),
    };
    c.store.put_pending(&new).await?;
    Ok(id)
}

async fn decide(c: &Catalogue, id: &PendingId, yes: bool) -> bool {
    c.store.decide_pending(ADA, "ada", id.as_str(), yes).await.unwrap()
}

async fn take(c: &Catalogue, id: &PendingId, request: SameRequest<'_>) -> Result<(), NotTaken> {
    c.store.take_pending(ADA, "ada", id.as_str(), request).await.unwrap()
}

async fn state(c: &Catalogue, id: &PendingId) -> PendingState {
    c.store.pending(ADA, id.as_str()).await.unwrap().view.state
}

async fn audited(c: &Catalogue) -> Vec<String> {
    let filter = holdfast::store::AuditFilter { action: Some("pending".into()), limit: 50, ..Default::default() };
    let lines = c.store.audit_lines(&filter).await.unwrap().lines;
    lines.into_iter().rev().map(|line| line.action).collect()
}

async fn it_is_taken_once_and_for_the_very_request(c: &Catalogue) {
    let id = made(c).await;
    let row = c.store.pending(ADA, id.as_str()).await.unwrap();
    assert_eq!((row.permission, row.asked_from.as_deref()), (Permission::Delete, Some("192.0.2.7")));
    assert_eq!(row.project.unwrap().as_str(), "shop");
    assert_eq!(take(c, &id, REQUEST).await, Err(NotTaken::State(PendingState::Waiting)));
    assert!(decide(c, &id, true).await);
    assert!(!decide(c, &id, false).await, "what was decided stays so");
    for other in [
        SameRequest { method: "POST", ..REQUEST },
        SameRequest { target: "/v1/checkpoints/chk_x", ..REQUEST },
        SameRequest { target: "/v1/checkpoints/chk_y?a=b", ..REQUEST },
        SameRequest { body_hash: "ab", ..REQUEST },
    ] {
        assert_eq!(take(c, &id, other).await, Err(NotTaken::Another), "{other:?}");
    }
    assert_eq!(state(c, &id).await, PendingState::Confirmed, "a wrong try uses nothing up");
    assert_eq!(take(c, &id, REQUEST).await, Ok(()));
    assert_eq!(take(c, &id, REQUEST).await, Err(NotTaken::State(PendingState::Used)));
    assert_eq!(audited(c).await, ["pending.made", "pending.confirmed", "pending.used"]);

    let id = made(c).await;
    assert!(decide(c, &id, false).await);
    assert!(!decide(c, &id, true).await);
    assert_eq!(take(c, &id, REQUEST).await, Err(NotTaken::State(PendingState::Refused)));
}

async fn it_is_its_persons_alone(c: &Catalogue) {
    let id = made(c).await;
    for other in ["https://id.example.org#eve", "https://other.example#ada", "", "key:key_x", "host"] {
        assert!(matches!(c.store.pending(other, id.as_str()).await, Err(StoreError::NotFound { .. })), "{other}");
        assert!(!c.store.decide_pending(other, "eve", id.as_str(), true).await.unwrap());
        let taken = c.store.take_pending(other, "eve", id.as_str(), REQUEST).await.unwrap();
        assert_eq!(taken, Err(NotTaken::Unknown));
    }
    assert!(decide(c, &id, true).await);
    let taken = c.store.take_pending("https://id.example.org#eve", "eve", id.as_str(), REQUEST).await.unwrap();
    assert_eq!(taken, Err(NotTaken::Unknown), "confirmed by one, taken by nobody else");
    assert_eq!(take(c, &id, REQUEST).await, Ok(()));
}

async fn of_two_at_the_same_time_one_takes_it(c: &Catalogue) {
    let id = made(c).await;
    assert!(decide(c, &id, true).await);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, id) = (c.store.clone(), id.clone());
        all.spawn(async move { store.take_pending(ADA, "ada", id.as_str(), REQUEST).await.unwrap().is_ok() });
    }
    let taken = all.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!(taken, 1);
}

async fn it_ends_after_ten_minutes(c: &Catalogue) {
    let (waits, confirmed, used) = (made(c).await, made(c).await, made(c).await);
    let row = c.store.pending(ADA, waits.as_str()).await.unwrap();
    assert_eq!(row.view.expires_at - row.made_at, time::Duration::minutes(10));
    assert!(decide(c, &confirmed, true).await && decide(c, &used, true).await);
    assert_eq!(take(c, &used, REQUEST).await, Ok(()));
    c.sql("update pending_action set expires_at = expires_at - 600000000").await;
    assert!(!decide(c, &waits, true).await, "too late to confirm");
    assert_eq!(take(c, &confirmed, REQUEST).await, Err(NotTaken::State(PendingState::Expired)));
    assert_eq!((state(c, &waits).await, state(c, &used).await), (PendingState::Expired, PendingState::Used));
    assert_eq!(c.store.delete_old_pending().await.unwrap(), 0, "for a day it says what became of it");
    c.sql("update pending_action set expires_at = expires_at - 86400000000").await;
    assert_eq!(c.store.delete_old_pending().await.unwrap(), 3);
}

async fn no_more_than_twenty_wait(c: &Catalogue) {
    let first = made(c).await;
    for _ in 1..20 {
        made(c).await;
    }
    assert!(matches!(try_make(c).await, Err(StoreError::Refused(_))));
    assert!(decide(c, &first, false).await);
    assert!(try_make(c).await.is_ok(), "one fewer waits");
}
