//! Pending actions: what a person at a terminal has asked for, until they have said yes or no on a page and it was
//! carried out once. Each step is one conditional update, so that of two at the same time one happens.

use holdfast_model::{
    access::Permission,
    id::PendingId,
    name::Name,
    pending::{PendingState, PendingView},
};
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::{
    Store, StoreError,
    value::{Columns as _, fresh, moment},
};

/// How long it can be confirmed and carried out, in microseconds: 10 min.
const VALID: i64 = 600 * 1_000_000;
/// How long it is kept after that, so that its page and its command can say what became of it: 1 day.
const KEPT: i64 = 24 * 3_600 * 1_000_000;
/// Most that may wait for one person.
const WAITING: i64 = 20;

/// A request that is to be kept until its person has decided.
#[derive(Debug, Clone)]
pub struct NewPending<'a> {
    /// Made by [`Store::new_pending_id`], since what is shown of it is wrapped for it.
    pub id: &'a PendingId,
    /// Whose it is.
    pub subject: &'a str,
    /// How people know them.
    pub name: &'a str,
    /// The very request.
    pub request: SameRequest<'a>,
    /// What it takes.
    pub permission: Permission,
    /// The project that it is about, where it is about one.
    pub project: Option<&'a Name>,
    /// What would be done, for people.
    pub description: &'a str,
    /// The body with its secrets masked, wrapped by the server key.
    pub shown: &'a str,
    /// The address that it was asked from.
    pub asked_from: Option<&'a str>,
}

/// By what a request is known as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SameRequest<'a> {
    /// `DELETE`, …
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// SHA-256 of the body, hexadecimal.
    pub body_hash: &'a str,
}

/// A pending action.
#[derive(Debug, Clone)]
pub struct PendingRow {
    /// As its command sees it.
    pub view: PendingView,
    /// What it takes.
    pub permission: Permission,
    /// The project that it is about, where it is about one.
    pub project: Option<Name>,
    /// As it was given.
    pub shown: String,
    /// The address that it was asked from.
    pub asked_from: Option<String>,
    /// When it was asked for.
    pub made_at: OffsetDateTime,
}

/// Why a pending action is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is not there, or it is somebody else's.
    #[error(
        "there is no such pending action of yours; send the request with `Holdfast-Pending: wanted` to have one made"
    )]
    Unknown,
    /// Another request than the one that it was made for.
    #[error("this is not the request that was confirmed: method, address and body must be the very same")]
    Another,
    /// Its state is not the one in which it may be carried out.
    #[error("{}", state(*.0))]
    State(PendingState),
}

const fn state(state: PendingState) -> &'static str {
    match state {
        PendingState::Waiting => "this pending action is not confirmed yet; open its page",
        PendingState::Confirmed => "this pending action was taken up by another request at this moment",
        PendingState::Refused => "this pending action was refused on its page",
        PendingState::Expired => "the ten minutes of this pending action are over; ask anew",
        PendingState::Used => "this pending action was carried out already; each counts once",
    }
}

fn row(row: &AnyRow, now: i64) -> Result<PendingRow, StoreError> {
    let kept: PendingState = row.word("state")?;
    let is_open = matches!(kept, PendingState::Waiting | PendingState::Confirmed);
    let state = if is_open && row.number("expires_at")? <= now { PendingState::Expired } else { kept };
    Ok(PendingRow {
        view: PendingView {
            id: row.word("id")?,
            state,
            description: row.text("description")?,
            method: row.text("method")?,
            target: row.text("target")?,
            expires_at: row.at("expires_at")?,
        },
        permission: row.word("permission")?,
        project: row.maybe_word("project")?,
        shown: row.text("shown")?,
        asked_from: row.maybe_text("asked_from")?,
        made_at: row.at("made_at")?,
    })
}

impl Store {
    /// An id for a pending action that is about to be made.
    ///
    /// # Errors
    /// When the database or the random source fails.
    pub async fn new_pending_id(&self) -> Result<PendingId, StoreError> {
        fresh(self.now().await?, PendingId::from_parts)
    }

    /// Keeps a request for ten minutes; audited. Gives when they are over.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when too many wait for this person, and when the database fails.
    pub async fn put_pending(&self, new: &NewPending<'_>) -> Result<OffsetDateTime, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pending_action where subject = $1 and state = 'waiting' and expires_at > $2",
        )
        .bind(new.subject)
        .bind(now)
        .fetch_one(write.on())
        .await?;
        if waiting >= WAITING {
            return Err(StoreError::Refused(format!(
                "{WAITING} actions wait for you already; confirm or refuse them, or wait until their ten minutes are over"
            )));
        }
        let SameRequest { method, target, body_hash } = new.request;
        sqlx::query(
            "insert into pending_action (id, subject, name, method, target, body_hash, permission, project, \
             description, shown, asked_from, state, made_at, expires_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'waiting', $12, $13)",
        )
        .bind(new.id.as_str())
        .bind(new.subject)
        .bind(new.name)
        .bind(method)
        .bind(target)
        .bind(body_hash)
        .bind(new.permission.as_str())
        .bind(new.project.map(Name::as_str))
        .bind(new.description)
        .bind(new.shown)
        .bind(new.asked_from)
        .bind(now)
        .bind(now + VALID)
        .execute(write.on())
        .await?;
        let detail = format!("{}: {method} {target}", new.description);
        write.audit(new.name, "pending.made", new.id.as_str(), &detail).await?;
        write.commit().await?;
        moment(now + VALID)
    }

    /// A pending action of this person.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also where it is somebody else's.
    pub async fn pending(&self, subject: &str, id: &str) -> Result<PendingRow, StoreError> {
        let now = self.now().await?;
        let found = sqlx::query("select * from pending_action where id = $1 and subject = $2")
            .bind(id)
            .bind(subject)
            .fetch_optional(&self.pool)
            .await?;
        found.map(|found| row(&found, now)).transpose()?.ok_or_else(|| StoreError::not_found("pending action", id))
    }

    /// Its person says yes or no; audited. Gives whether it still waited for that.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn decide_pending(&self, subject: &str, who: &str, id: &str, yes: bool) -> Result<bool, StoreError> {
        let state = if yes { PendingState::Confirmed } else { PendingState::Refused };
        let mut write = self.write().await?;
        let now = write.now();
        let decided = sqlx::query(
            "update pending_action set state = $1, decided_at = $2 \
             where id = $3 and subject = $4 and state = 'waiting' and expires_at > $2",
        )
        .bind(state.as_str())
        .bind(now)
        .bind(id)
        .bind(subject)
        .execute(write.on())
        .await?
        .rows_affected()
            == 1;
        if decided {
            write.audit(who, if yes { "pending.confirmed" } else { "pending.refused" }, id, "").await?;
        }
        write.commit().await?;
        Ok(decided)
    }

    /// Takes what was confirmed, once, for the very request that it was made for; audited.
    ///
    /// # Errors
    /// When the database fails; why it is not taken is the answer.
    pub async fn take_pending(
        &self,
        subject: &str,
        who: &str,
        id: &str,
        request: SameRequest<'_>,
    ) -> Result<Result<(), NotTaken>, StoreError> {
        let SameRequest { method, target, body_hash } = request;
        let mut write = self.write().await?;
        let now = write.now();
        let taken = sqlx::query(
            "update pending_action set state = 'used', used_at = $1 where id = $2 and subject = $3 and method = $4 \
             and target = $5 and body_hash = $6 and state = 'confirmed' and expires_at > $1",
        )
        .bind(now)
        .bind(id)
        .bind(subject)
        .bind(method)
        .bind(target)
        .bind(body_hash)
        .execute(write.on())
        .await?
        .rows_affected()
            == 1;
        if taken {
            write.audit(who, "pending.used", id, &format!("{method} {target}")).await?;
        }
        write.commit().await?;
        if taken {
            return Ok(Ok(()));
        }
        Ok(Err(match self.pending(subject, id).await {
            Ok(row) if row.view.state == PendingState::Confirmed => NotTaken::Another,
            Ok(row) => NotTaken::State(row.view.state),
            Err(StoreError::NotFound { .. }) => NotTaken::Unknown,
            Err(error) => return Err(error),
        }))
    }

    /// Removes pending actions whose time was over a day ago; gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_old_pending(&self) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let gone = sqlx::query("delete from pending_action where expires_at <= $1")
            .bind(now - KEPT)
            .execute(write.on())
            .await?;
        write.commit().await?;
        Ok(gone.rows_affected())
    }
}
