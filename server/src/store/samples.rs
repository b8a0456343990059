//! One sample of sizes per environment and day, kept from the first day.

use std::collections::BTreeMap;

use holdfast_model::{
    name::Name,
    view::{StoragePoint, StorageSeries},
};
use time::{Date, format_description::well_known::Iso8601};

use super::{
    Store, StoreError,
    sight::seen,
    value::{Columns as _, moment},
};

/// How many days a chart shows.
const DAYS: i64 = 90;

fn written(day: Date) -> Result<String, StoreError> {
    day.format(&Iso8601::DATE).map_err(|error| StoreError::corrupt("day", error))
}

impl Store {
    /// Takes today's sample of every environment, over an earlier one of the same day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sample(&self) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let day = written(moment(write.now())?.date())?;
        sqlx::query(
            "insert into sample (day, environment, total, stored) \
             select $1, e.id, cast(coalesce(sum(c.total), 0) as bigint), cast(coalesce(sum(c.stored), 0) as bigint) \
             from environment e left join checkpoint c on c.environment = e.id and c.deleted_at is null \
             where 1 = 1 group by e.id \
             on conflict (day, environment) do update set total = excluded.total, stored = excluded.stored",
        )
        .bind(day)
        .execute(write.on())
        .await?;
        write.commit().await
    }

    /// Stored and logical bytes per project and day, oldest first, for the last 90 days.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn storage(&self) -> Result<Vec<StorageSeries>, StoreError> {
        let since = moment(self.now().await?)? - time::Duration::days(DAYS);
        let rows = sqlx::query(concat!(
            "select p.name as project_name, s.day, cast(sum(s.total) as bigint) as total, \
             cast(sum(s.stored) as bigint) as stored from sample s join environment e on e.id = s.environment \
             join project p on p.id = e.project where s.day >= $2 and ",
            seen!(),
            " group by p.name, s.day order by p.name, s.day",
        ))
        .bind(self.sight.bound())
        .bind(written(since.date())?)
        .fetch_all(&self.pool)
        .await?;
        let mut series: BTreeMap<Name, Vec<StoragePoint>> = BTreeMap::new();
        for row in &rows {
            let day =
                Date::parse(&row.text("day")?, &Iso8601::DATE).map_err(|error| StoreError::corrupt("day", error))?;
            let point = StoragePoint { day, stored: row.count("stored")?, total: row.count("total")? };
            series.entry(row.word("project_name")?).or_default().push(point);
        }
        Ok(series.into_iter().map(|(project, points)| StorageSeries { project, points }).collect())
    }
}
