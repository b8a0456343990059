//! Between the catalogue's plain columns and our types.

use std::{fmt::Display, str::FromStr};

use sqlx::{Row as _, any::AnyRow};
use time::OffsetDateTime;

use super::StoreError;

/// Microseconds since 1970, UTC.
pub(crate) fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or(i64::MAX)
}

/// The moment of a stored time.
pub(crate) fn moment(micros: i64) -> Result<OffsetDateTime, StoreError> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .map_err(|error| StoreError::corrupt("time", error))
}

/// A count for a column; more than 9 EB or 9·10¹⁸ things do not occur.
pub(crate) fn column(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a column.
pub(crate) fn count(column: i64) -> u64 {
    u64::try_from(column).unwrap_or(0)
}

/// A new id: the time in front, random bits behind.
pub(crate) fn fresh<T>(now: i64, make: fn(u64, u64) -> T) -> Result<T, StoreError> {
    let random = getrandom::u64().map_err(crate::keys::KeyError::Random)?;
    Ok(make(count(now / 1000), random))
}

/// JSON for a text column.
pub(crate) fn json<T: serde::Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt(what, error))
}

/// JSON from a text column.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(what, error))
}

/// Typed access to a row's columns.
pub(crate) trait Columns {
    /// A text.
    fn text(&self, name: &str) -> Result<String, StoreError>;
    /// A text or null.
    fn maybe_text(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// A number.
    fn number(&self, name: &str) -> Result<i64, StoreError>;
    /// A number or null.
    fn maybe_number(&self, name: &str) -> Result<Option<i64>, StoreError>;

    /// A count.
    fn count(&self, name: &str) -> Result<u64, StoreError> {
        self.number(name).map(count)
    }

    /// A time.
    fn at(&self, name: &str) -> Result<OffsetDateTime, StoreError> {
        moment(self.number(name)?)
    }

    /// A time or null.
    fn maybe_at(&self, name: &str) -> Result<Option<OffsetDateTime>, StoreError> {
        self.maybe_number(name)?.map(moment).transpose()
    }

    /// A word, name or id.
    fn word<T>(&self, name: &'static str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name)?.parse().map_err(|error| StoreError::corrupt(name, error))
    }

    /// A word, name, id or null.
    fn maybe_word<T>(&self, name: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.maybe_text(name)?.map(|text| text.parse().map_err(|error| StoreError::corrupt(name, error))).transpose()
    }
}

impl Columns for AnyRow {
    fn text(&self, name: &str) -> Result<String, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn maybe_text(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn number(&self, name: &str) -> Result<i64, StoreError> {
        Ok(self.try_get(name)?)
    }

    fn maybe_number(&self, name: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(name)?)
    }
}
