//! The audit log: who did what to what. Each line carries the hash of the one before it, and the database itself
//! refuses to change or delete one, so that a line that was altered, taken out or put in between is found.

use holdfast_model::audit::{AuditLine, AuditList, Broken, Verified};
use sha2::{Digest as _, Sha256};
use sqlx::any::AnyRow;
use time::{Duration, OffsetDateTime};

use super::{
    Store, StoreError,
    value::{Columns as _, column, count, micros},
    write::Write,
};

/// Lines that are read at once.
const PAGE: i64 = 1_000;

/// Which lines are asked for.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only by them.
    pub who: Option<String>,
    /// Only this action, or those that begin with it and a dot: `checkpoint` for all of `checkpoint.…`.
    pub action: Option<String>,
    /// Only about this.
    pub subject: Option<String>,
    /// Only newer.
    pub since: Option<OffsetDateTime>,
    /// Only older than this line.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// A line that need not be written each time that it happens.
#[derive(Debug, Clone, Copy)]
pub struct Seldom<'a> {
    /// Who causes it, the same for the same one.
    pub by: &'a str,
    /// What makes it the same line.
    pub what: &'a str,
    /// It is written once in so long.
    pub every: Duration,
}

/// What the hash of a line is made of, beside the hash of the line before it.
struct Line {
    sequence: i64,
    id: String,
    at: i64,
    /// Who, action, subject, detail.
    texts: [String; 4],
}

impl Line {
    /// As a row holds it, at this place in the chain.
    fn of(row: &AnyRow, sequence: i64) -> Result<Self, StoreError> {
        let texts = [row.text("who")?, row.text("action")?, row.text("subject")?, row.text("detail")?];
        Ok(Self { sequence, id: row.text("id")?, at: row.number("at")?, texts })
    }

    /// SHA-256 over the hash before and the fields as a JSON list, hexadecimal.
    fn hash(&self, before: &str) -> Result<String, StoreError> {
        let Self { sequence, id, at, texts: [who, action, subject, detail] } = self;
        let text = super::value::json("audit line", &(before, sequence, id, at, who, action, subject, detail))?;
        Ok(hex::encode(Sha256::digest(text.as_bytes())))
    }
}

impl Write {
    /// Who did what to what.
    pub(crate) async fn audit(
        &mut self,
        who: &str,
        action: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let random = getrandom::u64().map_err(crate::keys::KeyError::Random)?;
        let now = self.now();
        let id = format!("aud_{now:016x}{random:016x}");
        // Whoever writes a line waits here for the one who writes the line before it.
        let head = sqlx::query("update audit_head set sequence = sequence + 1 returning sequence, hash")
            .fetch_one(self.on())
            .await?;
        let sequence = head.number("sequence")?;
        let line = Line { sequence, id, at: now, texts: [who, action, subject, detail].map(ToOwned::to_owned) };
        let hash = line.hash(&head.text("hash")?)?;
        let Line { id, texts: [who, action, subject, detail], .. } = line;
        sqlx::query(
            "insert into audit (id, at, who, action, subject, detail, sequence, hash) \
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id)
        .bind(now)
        .bind(who)
        .bind(action)
        .bind(subject)
        .bind(detail)
        .bind(sequence)
        .bind(&hash)
        .execute(self.on())
        .await?;
        sqlx::query("update audit_head set hash = $1").bind(hash).execute(self.on()).await?;
        Ok(())
    }
}

impl Store {
    /// A line in the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit(&self, who: &str, action: &str, subject: &str, detail: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        write.audit(who, action, subject, detail).await?;
        write.commit().await
    }

    /// A line that whoever reloads a page, or anybody at all, could otherwise write without end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_seldom(
        &self,
        seldom: Seldom<'_>,
        who: &str,
        action: &str,
        subject: &str,
        detail: &str,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let every = i64::try_from(seldom.every.whole_microseconds()).unwrap_or(i64::MAX);
        let due = sqlx::query(
            "insert into audited (subject, what, at) values ($1, $2, $3) \
             on conflict (subject, what) do update set at = excluded.at where audited.at <= $4",
        )
        .bind(seldom.by)
        .bind(seldom.what)
        .bind(now)
        .bind(now.saturating_sub(every))
        .execute(write.on())
        .await?
        .rows_affected();
        if due == 0 {
            return Ok(());
        }
        write.audit(who, action, subject, detail).await?;
        write.commit().await
    }

    /// Gives the lines of an older version their places in the chain, before it has its first own line and never again:
    /// a line that comes later without a place was put there by somebody else.
    pub(super) async fn chain_audit(&self) -> Result<(), StoreError> {
        let older: i64 = sqlx::query_scalar(
            "select count(*) from audit where hash is null and (select max(sequence) from audit_head) = 0",
        )
        .fetch_one(&self.pool)
        .await?;
        if older == 0 {
            return Ok(());
        }
        let mut write = self.write().await?;
        let head = sqlx::query("update audit_head set sequence = sequence returning sequence, hash")
            .fetch_one(write.on())
            .await?;
        let (mut sequence, mut hash) = (head.number("sequence")?, head.text("hash")?);
        if sequence > 0 {
            // Another process was faster.
            return Ok(());
        }
        let rows =
            sqlx::query("select id, at, who, action, subject, detail from audit where hash is null order by at, id")
                .fetch_all(write.on())
                .await?;
        for row in &rows {
            sequence += 1;
            let line = Line::of(row, sequence)?;
            hash = line.hash(&hash)?;
            sqlx::query("update audit set sequence = $1, hash = $2 where id = $3")
                .bind(sequence)
                .bind(&hash)
                .bind(line.id)
                .execute(write.on())
                .await?;
        }
        sqlx::query("update audit_head set sequence = $1, hash = $2")
            .bind(sequence)
            .bind(hash)
            .execute(write.on())
            .await?;
        write.commit().await
    }

    /// Lines that match, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_lines(&self, filter: &AuditFilter) -> Result<AuditList, StoreError> {
        let rows = sqlx::query(
            "select sequence, at, who, action, subject, detail, hash from audit where hash is not null \
             and ($1 is null or who = $1) and ($2 is null or action = $2 or substr(action, 1, length($2) + 1) = $2 || '.') \
             and ($3 is null or subject = $3) and ($4 is null or at >= $4) and ($5 is null or sequence < $5) \
             order by sequence desc limit $6",
        )
        .bind(filter.who.clone())
        .bind(filter.action.clone())
        .bind(filter.subject.clone())
        .bind(filter.since.map(micros))
        .bind(filter.before.map(column))
        .bind(i64::from(filter.limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let mut lines = rows.iter().map(shown).collect::<Result<Vec<_>, _>>()?;
        let next = (lines.len() > limit).then(|| lines.truncate(limit)).and_then(|()| lines.last().map(|l| l.sequence));
        Ok(AuditList { lines, next })
    }

    /// Follows the chain from its first line to its last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify_audit(&self) -> Result<Verified, StoreError> {
        // The head first: lines that come while this reads are not asked about.
        let head = sqlx::query("select sequence, hash from audit_head").fetch_one(&self.pool).await?;
        let (last, end) = (head.number("sequence")?, head.text("hash")?);
        let (mut sequence, mut hash) = (0_i64, String::new());
        let mut broken = None;
        'all: while sequence < last {
            let rows = sqlx::query(
                "select id, sequence, at, who, action, subject, detail, hash from audit \
                 where sequence > $1 and sequence <= $2 order by sequence limit $3",
            )
            .bind(sequence)
            .bind(last)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
            for row in &rows {
                let here = row.number("sequence")?;
                if here != sequence + 1 {
                    broken = Some(missing(sequence + 1, here - 1));
                    break 'all;
                }
                let kept = row.text("hash")?;
                if Line::of(row, here)?.hash(&hash)? != kept {
                    let why = "this line, or the hash of the line before it, is not what was written".to_owned();
                    broken = Some(Broken { sequence: count(here), why });
                    break 'all;
                }
                (sequence, hash) = (here, kept);
            }
            if rows.is_empty() {
                broken = Some(missing(sequence + 1, last));
                break;
            }
        }
        if broken.is_none() && hash != end {
            let why = "the newest line is not the one that the log ended with".to_owned();
            broken = Some(Broken { sequence: count(last), why });
        }
        let unchained: i64 = sqlx::query_scalar("select count(*) from audit where hash is null or sequence > $1")
            .bind(last)
            .fetch_one(&self.pool)
            .await?;
        let newer: i64 = sqlx::query_scalar("select sequence from audit_head").fetch_one(&self.pool).await?;
        if broken.is_none() && unchained > newer - last {
            let why = "there are lines that stand in no chain".to_owned();
            broken = Some(Broken { sequence: count(last) + 1, why });
        }
        Ok(Verified { lines: count(sequence), last: count(last), hash: end, broken })
    }
}

fn missing(first: i64, last: i64) -> Broken {
    let why =
        if first == last { "it is not there".to_owned() } else { format!("it and all up to {last} are not there") };
    Broken { sequence: count(first), why }
}

fn shown(row: &AnyRow) -> Result<AuditLine, StoreError> {
    Ok(AuditLine {
        sequence: row.count("sequence")?,
        at: row.at("at")?,
        who: row.text("who")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        detail: row.text("detail")?,
        hash: row.text("hash")?,
    })
}
