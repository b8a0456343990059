//! Who may come in: the host's credential and one-time links (hashes only), the server key's check value.

use time::OffsetDateTime;

use super::{
    Store, StoreError,
    value::{Columns as _, micros},
};
use crate::keys::ServerKey;

impl Store {
    /// Refuses a key file that did not make this catalogue; remembers the first.
    ///
    /// # Errors
    /// [`StoreError::WrongServerKey`].
    pub async fn check_key(&self, key: &ServerKey) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("insert into setting (name, value) values ('server_key_check', $1) on conflict (name) do nothing")
            .bind(key.check_value())
            .execute(write.on())
            .await?;
        let kept: String = sqlx::query_scalar("select value from setting where name = 'server_key_check'")
            .fetch_one(write.on())
            .await?;
        write.commit().await?;
        if kept == key.check_value() { Ok(()) } else { Err(StoreError::WrongServerKey) }
    }

    /// Keeps the host's own credential by the SHA-256 of its token (hexadecimal); the same one twice is no error.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_credential(&self, hash: &str, name: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let new = sqlx::query(
            "insert into credential (hash, name, kind, created_at) values ($1, $2, 'host', $3) \
             on conflict (hash) do nothing",
        )
        .bind(hash)
        .bind(name)
        .bind(now)
        .execute(write.on())
        .await?
        .rows_affected();
        if new == 1 {
            write.audit("server", "credential.create", name, "host").await?;
        }
        write.commit().await
    }

    /// Whom a token's hash belongs to; none when it is unknown or revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn credential(&self, hash: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("select name from credential where hash = $1 and kind = 'host' and revoked_at is null")
            .bind(hash)
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| row.text("name")).transpose()
    }

    /// Keeps a one-time sign-in link by its hash; audited.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_link(&self, hash: &str, created_by: &str, expires_at: OffsetDateTime) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        sqlx::query("delete from sign_in_link where expires_at < $1").bind(now).execute(write.on()).await?;
        sqlx::query("insert into sign_in_link (hash, created_by, created_at, expires_at) values ($1, $2, $3, $4)")
            .bind(hash)
            .bind(created_by)
            .bind(now)
            .bind(micros(expires_at))
            .execute(write.on())
            .await?;
        write.audit(created_by, "sign_in_link.create", "", "").await?;
        write.commit().await
    }

    /// Whether the link was there, not expired and not used; it is used from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn take_link(&self, hash: &str) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let now = write.now();
        let taken =
            sqlx::query("update sign_in_link set used_at = $1 where hash = $2 and used_at is null and expires_at > $1")
                .bind(now)
                .bind(hash)
                .execute(write.on())
                .await?
                .rows_affected()
                == 1;
        write.audit("browser", "sign_in", "", if taken { "one-time link" } else { "refused: link" }).await?;
        write.commit().await?;
        Ok(taken)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.now().await.map(|_| ())
    }
}
