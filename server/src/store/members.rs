//! Who was ever let in, and what they had then: written where they sign in, where their roles are read again, and where
//! a program comes with a token.

use holdfast_model::access::Access;
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::{
    Store, StoreError,
    value::{Columns as _, from_json, json, micros},
    write::Write,
};

/// What a program's token says is written down once in so many microseconds; more often would be a write per request.
const NOTED_EVERY: i64 = 300_000_000;

/// Somebody who was let in just now.
#[derive(Debug, Clone, Copy)]
pub struct Came<'a> {
    /// The same for the same one: `<issuer>#<sub>`, `link:<owner>`.
    pub subject: &'a str,
    /// How people know them.
    pub name: &'a str,
    /// Whether it is a program.
    pub program: bool,
    /// Of their provider; none for a one-time link.
    pub issuer: Option<&'a str>,
    /// What they may do.
    pub access: &'a Access,
}

/// Somebody who was let in once.
#[derive(Debug, Clone)]
pub struct MemberRow {
    /// The same for the same one.
    pub subject: String,
    /// How they were called last.
    pub name: String,
    /// Whether it is a program.
    pub program: bool,
    /// Of their provider; none for a one-time link.
    pub issuer: Option<String>,
    /// What they might do the last time.
    pub access: Access,
    /// The first time.
    pub first_seen_at: OffsetDateTime,
    /// The last time.
    pub last_seen_at: OffsetDateTime,
}

fn member_row(row: &AnyRow) -> Result<MemberRow, StoreError> {
    Ok(MemberRow {
        subject: row.text("subject")?,
        name: row.text("name")?,
        program: row.text("kind")? == "program",
        issuer: row.maybe_text("issuer")?,
        access: from_json("access of a member", &row.text("access")?)?,
        first_seen_at: row.at("first_seen_at")?,
        last_seen_at: row.at("last_seen_at")?,
    })
}

impl Write {
    /// Writes down that somebody was let in, and with what.
    pub(super) async fn note_member(&mut self, came: Came<'_>) -> Result<(), StoreError> {
        let now = self.now();
        sqlx::query(
            "insert into member (subject, name, kind, issuer, access, first_seen_at, last_seen_at) \
             values ($1, $2, $3, $4, $5, $6, $6) on conflict (subject) do update set name = excluded.name, \
             kind = excluded.kind, access = excluded.access, last_seen_at = excluded.last_seen_at",
        )
        .bind(came.subject)
        .bind(came.name)
        .bind(if came.program { "program" } else { "person" })
        .bind(came.issuer)
        .bind(json("access of a member", came.access)?)
        .bind(now)
        .execute(self.on())
        .await?;
        Ok(())
    }
}

impl Store {
    /// Writes down that somebody came with a token, unless that was written a short time ago and nothing has changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_came(&self, came: Came<'_>) -> Result<(), StoreError> {
        let now = self.now().await?;
        if let Some(known) = self.member(came.subject).await?
            && known.name == came.name
            && known.access == *came.access
            && now - micros(known.last_seen_at) < NOTED_EVERY
        {
            return Ok(());
        }
        let mut write = self.write().await?;
        write.note_member(came).await?;
        write.commit().await
    }

    /// Somebody whom we know has no role any more, by their provider's word of now. Who was never let in stays unknown.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member_has_no_role(&self, subject: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("update member set access = $1 where subject = $2")
            .bind(json("access of a member", &Access::default())?)
            .bind(subject)
            .execute(write.on())
            .await?;
        write.commit().await
    }

    /// Everybody who was ever let in, the latest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members(&self) -> Result<Vec<MemberRow>, StoreError> {
        let rows = sqlx::query(
            "select subject, name, kind, issuer, access, first_seen_at, last_seen_at from member \
             order by last_seen_at desc, subject",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(member_row).collect()
    }

    /// One of them; none who was never let in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn member(&self, subject: &str) -> Result<Option<MemberRow>, StoreError> {
        let row = sqlx::query(
            "select subject, name, kind, issuer, access, first_seen_at, last_seen_at from member where subject = $1",
        )
        .bind(subject)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| member_row(&row)).transpose()
    }
}
