//! How often the break-glass password may be tried: counted here, over all processes and restarts.

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

impl Store {
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
