//! How often the break-glass password may be tried, counted over all processes and restarts; and that it was set or
//! taken away, which happens on a host without asking anybody.

use time::Duration;

use super::{
    Store, StoreError,
    value::{Columns as _, from_json, json},
};

/// So many tries …
const TRIES: usize = 5;
/// … within so long, in microseconds.
const WITHIN: i64 = 15 * 60 * 1_000_000;

/// Whether a password may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GlassTry {
    /// It may, and is counted; so many more may come.
    Counted {
        /// Tries that are left.
        left: usize,
    },
    /// There were too many.
    Shut {
        /// Until the next one may come.
        wait: Duration,
    },
}

/// What is kept while none is set.
const OFF: &str = "off";

impl Store {
    /// Notes which password is set on a host, by its mark; audited when it is another one than was noted last. Whether
    /// it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn notice_glass(&self, host: &str, mark: Option<&str>) -> Result<bool, StoreError> {
        let (name, mark) = (format!("break_glass {host}"), mark.unwrap_or(OFF));
        let known: Option<String> = sqlx::query_scalar("select value from setting where name = $1")
            .bind(&name)
            .fetch_optional(&self.pool)
            .await?;
        if known.as_deref().unwrap_or(OFF) == mark {
            return Ok(false);
        }
        let mut write = self.write().await?;
        let changed = sqlx::query(
            "insert into setting (name, value) values ($1, $2) \
             on conflict (name) do update set value = excluded.value where setting.value <> excluded.value",
        )
        .bind(name)
        .bind(mark)
        .execute(write.on())
        .await?
        .rows_affected()
            == 1;
        if changed {
            let action = if mark == OFF { "break_glass.off" } else { "break_glass.set" };
            write.audit("server", action, "", &format!("the password on {host}")).await?;
        }
        write.commit().await?;
        Ok(changed)
    }

    /// Counts a try of the break-glass password, if it may be tried now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_glass_try(&self) -> Result<GlassTry, StoreError> {
        let mut write = self.write().await?;
        // Whoever else tries waits here.
        let row =
            sqlx::query("update break_glass set only_one = only_one returning tries").fetch_one(write.on()).await?;
        let mut tries: Vec<i64> = from_json("tries of a password", &row.text("tries")?)?;
        let now = write.now();
        tries.retain(|at| now - at < WITHIN);
        if tries.len() >= TRIES {
            let first = tries.iter().min().copied().unwrap_or(now);
            return Ok(GlassTry::Shut { wait: Duration::microseconds(first + WITHIN - now) });
        }
        tries.push(now);
        sqlx::query("update break_glass set tries = $1")
            .bind(json("tries of a password", &tries)?)
            .execute(write.on())
            .await?;
        write.commit().await?;
        Ok(GlassTry::Counted { left: TRIES - tries.len() })
    }
}
