//! Moments and spans for people. Moments are UTC, because the server and the reader may live in different zones.

use time::{OffsetDateTime, UtcOffset};

/// `2024-01-15 14:32:01`, UTC without saying so: for tables whose head says it.
pub fn bare(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// `2024-01-15 14:32:01 UTC`.
pub fn moment(at: OffsetDateTime) -> String {
    format!("{} UTC", bare(at))
}

/// `2024-01-15 14:32:01 UTC (3 days ago)`.
pub fn moment_and_age(at: OffsetDateTime, now: OffsetDateTime) -> String {
    format!("{} ({})", moment(at), ago(at, now))
}

/// `just now`, `5 minutes ago`, `3 days ago`.
pub fn ago(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let seconds = (now - at).whole_seconds();
    let (number, unit) = match seconds {
        ..5 => return "just now".into(),
        5..120 => (seconds, "seconds"),
        120..7_200 => (seconds / 60, "minutes"),
        7_200..172_800 => (seconds / 3_600, "hours"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{number} {unit} ago")
}

/// A span of milliseconds: `85 ms`, `8.1 s`, `2 min 3 s`, `1 h 5 min`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match ms {
        ..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{seconds}.{} s", ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_utc_and_ages_are_rough() {
        let at = OffsetDateTime::from_unix_timestamp(1_705_329_121).unwrap();
        assert_eq!(moment(at), "2024-01-15 14:32:01 UTC");
        for (seconds, text) in
            [(-3, "just now"), (119, "119 seconds ago"), (3_600, "60 minutes ago"), (172_800, "2 days ago")]
        {
            assert_eq!(ago(at, at + time::Duration::seconds(seconds)), text);
        }
    }

    #[test]
    fn spans_keep_what_matters() {
        for (ms, text) in
            [(85, "85 ms"), (8_149, "8.1 s"), (59_999, "59.9 s"), (123_000, "2 min 3 s"), (3_900_000, "1 h 5 min")]
        {
            assert_eq!(span(ms), text);
        }
    }
}
