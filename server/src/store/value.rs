//! Between the catalogue's plain columns and our types.

use std::{
    fmt::Display,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

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

/// A new id: the time in front, random bits behind. Of two that this process makes within one millisecond the later
/// one sorts behind, so that a queue is one.
pub(crate) fn fresh<T>(now: i64, make: fn(u64, u64) -> T) -> Result<T, StoreError> {
    static LAST: Mutex<(u64, u64)> = Mutex::new((0, 0));
    let random = getrandom::u64().map_err(crate::keys::KeyError::Random)?;
    let millis = count(now / 1000);
    let bits = following(&mut LAST.lock().unwrap_or_else(PoisonError::into_inner), millis, random);
    Ok(make(millis, bits))
}

/// The random bits of an id, above those of the one before it if that was made in the same millisecond.
const fn following(last: &mut (u64, u64), millis: u64, random: u64) -> u64 {
    let bits = if last.0 == millis { last.1 + 1 + (random & 0xffff) } else { random & FIRST_BITS };
    *last = (millis, bits);
    bits
}

/// Of the 52 random bits of an id: the highest stays free for those that follow in the same millisecond.
const FIRST_BITS: u64 = (1 << 51) - 1;

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

#[cfg(test)]
mod tests {
    use super::{FIRST_BITS, following};

    #[test]
    fn of_two_ids_of_one_millisecond_the_later_sorts_behind() {
        let mut last = (0, 0);
        let first = following(&mut last, 7, u64::MAX);
        assert_eq!(first, FIRST_BITS);
        let second = following(&mut last, 7, 0);
        let third = following(&mut last, 7, u64::MAX);
        assert!(first < second && second < third && third < 1 << 52);
        assert_eq!(following(&mut last, 8, 5), 5);
    }
}
