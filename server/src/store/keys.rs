//! Keys of programs: kept by the hash of their token.

use holdfast_model::{
    access::Access,
    id::KeyId,
    key::{KeyState, KeyView},
};
use sqlx::any::AnyRow;
use time::OffsetDateTime;

use super::{
    Store, StoreError,
    value::{Columns as _, fresh, from_json, json, micros, moment},
};

/// Use of a key is written down once in so many microseconds; more often would be a write per request.
const NOTED_EVERY: i64 = 60_000_000;

/// A key that is to be kept.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Made by [`Store::new_key_id`], since the token holds it.
    pub id: KeyId,
    /// For people.
    pub name: String,
    /// SHA-256 of the token, hexadecimal.
    pub hash: String,
    /// What it may do, and where.
    pub access: Access,
    /// Networks that it may come from; anywhere when there is none.
    pub networks: Vec<String>,
    /// How long it works.
    pub lasts: time::Duration,
}

/// A key.
#[derive(Debug, Clone)]
pub struct KeyRow {
    /// As it is shown.
    pub view: KeyView,
    /// What it may do, and where.
    pub access: Access,
}

macro_rules! select_key {
    ($rest:literal) => {
        concat!(
            "select id, name, access, networks, created_at, created_by, expires_at, last_used_at, last_used_from, \
             replaces, revoked_at from api_key ",
            $rest
        )
    };
}

fn key_row(row: &AnyRow, now: OffsetDateTime) -> Result<KeyRow, StoreError> {
    let access: Access = from_json("access of a key", &row.text("access")?)?;
    let expires_at = row.at("expires_at")?;
    let state = if row.maybe_at("revoked_at")?.is_some() {
        KeyState::Revoked
    } else if expires_at <= now {
        KeyState::Expired
    } else {
        KeyState::Active
    };
    Ok(KeyRow {
        view: KeyView {
            id: row.word("id")?,
            name: row.text("name")?,
            projects: access.projects.keys().cloned().collect(),
            everywhere: access.everywhere.is_some(),
            scopes: access.only.iter().flatten().copied().collect(),
            networks: from_json("networks of a key", &row.text("networks")?)?,
            state,
            created_at: row.at("created_at")?,
            created_by: row.text("created_by")?,
            expires_at,
            last_used_at: row.maybe_at("last_used_at")?,
            last_used_from: row.maybe_text("last_used_from")?,
            replaces: row.maybe_word("replaces")?,
        },
        access,
    })
}

impl Store {
    /// An id for a key that is about to be made.
    ///
    /// # Errors
    /// When the database or the random source fails.
    pub async fn new_key_id(&self) -> Result<KeyId, StoreError> {
        fresh(self.now().await?, KeyId::from_parts)
    }

    /// Keeps a key; audited. One that `replaces` another gives that one `overlap` more, and no longer than it had.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_key(
        &self,
        by: &str,
        key: &NewKey,
        replaces: Option<(&KeyId, time::Duration)>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let expires_at = moment(now)?.saturating_add(key.lasts);
        sqlx::query(
            "insert into api_key (id, name, hash, access, networks, created_at, created_by, expires_at, replaces) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(key.id.as_str())
        .bind(&key.name)
        .bind(&key.hash)
        .bind(json("access of a key", &key.access)?)
        .bind(json("networks of a key", &key.networks)?)
        .bind(now)
        .bind(by)
        .bind(micros(expires_at))
        .bind(replaces.map(|(old, _)| old.to_string()))
        .execute(write.on())
        .await?;
        write.audit(by, "key.create", key.id.as_str(), &key.name).await?;
        if let Some((old, overlap)) = replaces {
            let ends = micros(moment(now)?.saturating_add(overlap));
            sqlx::query("update api_key set expires_at = $1 where id = $2 and expires_at > $1")
                .bind(ends)
                .bind(old.as_str())
                .execute(write.on())
                .await?;
            write.audit(by, "key.rotate", old.as_str(), &format!("{} takes its place", key.id)).await?;
        }
        write.commit().await
    }

    /// All keys, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let now = moment(self.now().await?)?;
        let rows = sqlx::query(select_key!("order by created_at desc, id desc")).fetch_all(&self.pool).await?;
        rows.iter().map(|row| key_row(row, now)).collect()
    }

    /// A key by its id.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn key(&self, id: &str) -> Result<KeyRow, StoreError> {
        let found = self.keys().await?.into_iter().find(|row| row.view.id.as_str() == id);
        found.ok_or_else(|| StoreError::not_found("key", id))
    }

    /// The key of a token; none when it is unknown, its time is over, or it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_of(&self, hash: &str) -> Result<Option<KeyRow>, StoreError> {
        let now = moment(self.now().await?)?;
        let row = sqlx::query(select_key!("where hash = $1")).bind(hash).fetch_optional(&self.pool).await?;
        let key = row.map(|row| key_row(&row, now)).transpose()?;
        Ok(key.filter(|key| key.view.state == KeyState::Active))
    }

    /// Notes that a key was used, from this address.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_used(&self, key: &KeyView, from: Option<&str>) -> Result<(), StoreError> {
        let now = self.now().await?;
        if key.last_used_at.is_some_and(|at| now - micros(at) < NOTED_EVERY) && key.last_used_from.as_deref() == from {
            return Ok(());
        }
        let mut write = self.write().await?;
        sqlx::query("update api_key set last_used_at = $1, last_used_from = $2 where id = $3")
            .bind(now)
            .bind(from.map(ToOwned::to_owned))
            .bind(key.id.as_str())
            .execute(write.on())
            .await?;
        write.commit().await
    }

    /// Revokes a key: it works no more from now on; audited. One that is revoked stays so.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_key(&self, by: &str, id: &KeyId) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let changed =
            sqlx::query("update api_key set revoked_at = $1, revoked_by = $2 where id = $3 and revoked_at is null")
                .bind(now)
                .bind(by)
                .bind(id.as_str())
                .execute(write.on())
                .await?
                .rows_affected();
        if changed == 1 {
            write.audit(by, "key.revoke", id.as_str(), "").await?;
        }
        write.commit().await
    }
}
