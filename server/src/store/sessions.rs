//! Sessions of browsers by the hash of their id, who is signed in by them, and tokens that count once.

use holdfast_model::access::Access;
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};

use super::{
    Store, StoreError,
    members::Came,
    value::{Columns as _, column, micros},
};

/// How long one request may take to ask the provider anew before another one tries.
const RENEWING: Duration = Duration::seconds(30);
/// In microseconds.
const DAY: i64 = 86_400_000_000;

/// Somebody who has signed in.
#[derive(Debug, Clone, Copy)]
pub struct OpenSession<'a> {
    /// How people know them.
    pub name: &'a str,
    /// Of their provider; none for a one-time link.
    pub issuer: Option<&'a str>,
    /// The same for the same one: `<issuer>#<sub>`, `link:<owner>`.
    pub subject: &'a str,
    /// The provider's own session.
    pub sid: Option<&'a str>,
    /// Wrapped by the server key.
    pub person: &'a str,
    /// What they may do, to be shown among the members; none where nobody is known by it.
    pub access: Option<&'a Access>,
    /// What the browser says of itself.
    pub agent: Option<&'a str>,
    /// The address that it comes from.
    pub address: Option<&'a str>,
    /// When it ends in any case.
    pub expires_at: OffsetDateTime,
    /// How the sign-in stands in the audit log: action and detail.
    pub audited: (&'a str, &'a str),
}

/// Who is signed in by a session.
#[derive(Debug, Clone)]
pub struct SignedInRow {
    /// As it was given.
    pub person: String,
    /// Since when.
    pub signed_in_at: OffsetDateTime,
    /// The last use that was written down.
    pub seen_at: OffsetDateTime,
}

/// A session, to be shown to whom it belongs.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// The hash of its id: opens nothing, ends it by [`Store::end_session`].
    pub id: String,
    /// How its person was called.
    pub name: String,
    /// Whose it is.
    pub subject: String,
    /// Of their provider; none for a one-time link.
    pub issuer: Option<String>,
    /// What the browser said of itself.
    pub agent: Option<String>,
    /// The address that it came from.
    pub address: Option<String>,
    /// Since when.
    pub signed_in_at: OffsetDateTime,
    /// The last use that was written down.
    pub seen_at: OffsetDateTime,
    /// When it ends in any case.
    pub expires_at: OffsetDateTime,
}

fn session_row(row: &AnyRow) -> Result<SessionRow, StoreError> {
    Ok(SessionRow {
        id: row.text("id")?,
        name: row.text("name")?,
        subject: row.text("subject")?,
        issuer: row.maybe_text("issuer")?,
        agent: row.maybe_text("agent")?,
        address: row.maybe_text("address")?,
        signed_in_at: row.at("signed_in_at")?,
        seen_at: row.at("seen_at")?,
        expires_at: row.at("expires_at")?,
    })
}

impl Store {
    /// Keeps what belongs to a session; `data` is wrapped by the server key. Where somebody is signed in by it, its end
    /// stays as it was said then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_session(&self, id: &str, data: &str, expires_at: OffsetDateTime) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        sqlx::query(
            "insert into session (id, data, created_at, expires_at) values ($1, $2, $3, $4) \
             on conflict (id) do update set data = excluded.data, expires_at = \
             case when session.person is null then excluded.expires_at else session.expires_at end",
        )
        .bind(id)
        .bind(data)
        .bind(now)
        .bind(micros(expires_at))
        .execute(write.on())
        .await?;
        write.commit().await
    }

    /// What belongs to a session; none when it is unknown or expired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(&self, id: &str) -> Result<Option<String>, StoreError> {
        let now = self.now().await?;
        Ok(sqlx::query_scalar("select data from session where id = $1 and expires_at > $2")
            .bind(id)
            .bind(now)
            .fetch_optional(&self.pool)
            .await?)
    }

    /// Somebody is signed in by this session from now on; audited.
    ///
    /// # Errors
    /// When the session is not there, or the database fails.
    pub async fn open_session(&self, id: &str, open: OpenSession<'_>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let opened = sqlx::query(
            "update session set name = $1, issuer = $2, subject = $3, sid = $4, person = $5, signed_in_at = $6, \
             seen_at = $6, expires_at = $7, agent = $8, address = $9, renewing_until = 0 where id = $10",
        )
        .bind(open.name)
        .bind(open.issuer)
        .bind(open.subject)
        .bind(open.sid)
        .bind(open.person)
        .bind(now)
        .bind(micros(open.expires_at))
        .bind(open.agent)
        .bind(open.address)
        .bind(id)
        .execute(write.on())
        .await?
        .rows_affected();
        if opened != 1 {
            return Err(StoreError::not_found("session", "of this browser"));
        }
        if let Some(access) = open.access {
            let came = Came { subject: open.subject, name: open.name, program: false, issuer: open.issuer, access };
            write.note_member(came).await?;
        }
        write.audit(open.name, open.audited.0, open.subject, open.audited.1).await?;
        write.commit().await
    }

    /// Who is signed in by a session; none when nobody is, or it has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn signed_in(&self, id: &str) -> Result<Option<SignedInRow>, StoreError> {
        let now = self.now().await?;
        let row = sqlx::query(
            "select person, signed_in_at, seen_at from session \
             where id = $1 and expires_at > $2 and person is not null",
        )
        .bind(id)
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(SignedInRow {
                person: row.text("person")?,
                signed_in_at: row.at("signed_in_at")?,
                seen_at: row.at("seen_at")?,
            })
        })
        .transpose()
    }

    /// Writes down that a session is in use.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn see_session(&self, id: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        sqlx::query("update session set seen_at = $1 where id = $2").bind(now).bind(id).execute(write.on()).await?;
        write.commit().await
    }

    /// Whether the caller is the one that asks the provider anew: a refresh token may count once, and a page asks many
    /// questions at the same time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_renewal(&self, id: &str) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let until = now.saturating_add(column(RENEWING.whole_microseconds().try_into().unwrap_or(0)));
        let begun = sqlx::query(
            "update session set renewing_until = $1 where id = $2 and renewing_until < $3 and person is not null",
        )
        .bind(until)
        .bind(id)
        .bind(now)
        .execute(write.on())
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(begun == 1)
    }

    /// What the provider said anew, wrapped by the server key, and what they may do now. A session that has ended in the
    /// meantime stays ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_renewal(&self, id: &str, name: &str, person: &str, access: &Access) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let row = sqlx::query(
            "update session set name = $1, person = $2, renewing_until = 0 where id = $3 and person is not null \
             returning subject, issuer",
        )
        .bind(name)
        .bind(person)
        .bind(id)
        .fetch_optional(write.on())
        .await?;
        if let Some(row) = row {
            let (subject, issuer) = (row.text("subject")?, row.maybe_text("issuer")?);
            let came = Came { subject: &subject, name, program: false, issuer: issuer.as_deref(), access };
            write.note_member(came).await?;
        }
        write.commit().await
    }

    /// Forgets a session.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_session(&self, id: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("delete from session where id = $1").bind(id).execute(write.on()).await?;
        write.commit().await
    }

    /// The sessions of one subject that have not ended, the latest used first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sessions_of(&self, subject: &str) -> Result<Vec<SessionRow>, StoreError> {
        let now = self.now().await?;
        let rows = sqlx::query(
            "select id, name, subject, issuer, agent, address, signed_in_at, seen_at, expires_at from session \
             where subject = $1 and expires_at > $2 and person is not null order by seen_at desc, id",
        )
        .bind(subject)
        .bind(now)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(session_row).collect()
    }

    /// Ends one session of a subject, or, where none is named, all but the one that is kept; audited. Gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_sessions_of(
        &self,
        subject: &str,
        one: Option<&str>,
        kept: Option<&str>,
        why: &str,
    ) -> Result<usize, StoreError> {
        let mut write = self.write().await?;
        let ended = sqlx::query(
            "delete from session where subject = $1 and person is not null and ($2 = 1 or id = $3) and id <> $4 \
             returning name, address",
        )
        .bind(subject)
        .bind(i64::from(one.is_none()))
        .bind(one.unwrap_or(""))
        .bind(kept.unwrap_or(""))
        .fetch_all(write.on())
        .await?;
        for row in &ended {
            let from = row.maybe_text("address")?.unwrap_or_else(|| "an unknown address".to_owned());
            write.audit(&row.text("name")?, "session.end", subject, &format!("{why}; it came from {from}")).await?;
        }
        write.commit().await?;
        Ok(ended.len())
    }

    /// Ends a session and says why in the audit log; whether somebody was signed in by it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_session(&self, id: &str, why: &str) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let row = sqlx::query("delete from session where id = $1 returning name, subject")
            .bind(id)
            .fetch_optional(write.on())
            .await?;
        let mut was_open = false;
        if let Some(row) = row
            && let (Some(name), Some(subject)) = (row.maybe_text("name")?, row.maybe_text("subject")?)
        {
            write.audit(&name, "session.end", &subject, why).await?;
            was_open = true;
        }
        write.commit().await?;
        Ok(was_open)
    }

    /// Ends what a provider says has ended: the session `sid` of it, or, where none is named or ours do not know theirs,
    /// all sessions of the subject. Audited; gives how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_sessions(
        &self,
        issuer: &str,
        subject: Option<&str>,
        sid: Option<&str>,
    ) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let ended = sqlx::query(
            "delete from session where issuer = $1 and (sid = $2 or (subject = $3 and ($4 = 1 or sid is null))) \
             returning name, subject",
        )
        .bind(issuer)
        .bind(sid.unwrap_or(""))
        .bind(subject.unwrap_or(""))
        .bind(i64::from(sid.is_none()))
        .fetch_all(write.on())
        .await?;
        for row in &ended {
            let (name, subject) = (row.text("name")?, row.text("subject")?);
            write.audit(&name, "session.end", &subject, "the identity provider ended it").await?;
        }
        write.commit().await?;
        Ok(u64::try_from(ended.len()).unwrap_or(u64::MAX))
    }

    /// Whether a token that counts once has not been used before; it is from now on, until it has expired anyway.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn use_token(&self, issuer: &str, jti: &str, expires_at: OffsetDateTime) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let new = sqlx::query(
            "insert into used_token (issuer, jti, expires_at) values ($1, $2, $3) on conflict (issuer, jti) do nothing",
        )
        .bind(issuer)
        .bind(jti)
        .bind(micros(expires_at))
        .execute(write.on())
        .await?
        .rows_affected();
        write.commit().await?;
        Ok(new == 1)
    }

    /// Removes sessions and used tokens that have expired, and what need not be remembered of the audit log; gives how many
    /// sessions.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_expired_sessions(&self) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let gone = sqlx::query("delete from session where expires_at <= $1").bind(now).execute(write.on()).await?;
        sqlx::query("delete from used_token where expires_at <= $1").bind(now).execute(write.on()).await?;
        sqlx::query("delete from audited where at <= $1").bind(now - DAY).execute(write.on()).await?;
        write.commit().await?;
        Ok(gone.rows_affected())
    }
}
