//! Times, durations, counts and speeds as people read them. Ages are counted from a `now` that comes with the data,
//! never from a clock, so that server and browser draw the same.

use holdfast_model::{
    size,
    state::{Kind, RunKind, Trigger},
    view::Subject,
};
use time::{Date, Month, OffsetDateTime};

/// `2026-11-21 09:15:34 UTC`.
pub fn absolute(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The same for the `datetime` attribute: `2026-11-21T09:15:34Z`.
pub fn machine(at: OffsetDateTime) -> String {
    absolute(at).replace(" UTC", "Z").replace(' ', "T")
}

/// `09:15:34`, for lines of a log; the zone is UTC.
pub fn clock(at: OffsetDateTime) -> String {
    absolute(at).get(11..19).unwrap_or_default().to_owned()
}

/// `21 Nov`.
pub fn day(date: Date) -> String {
    let month = match date.month() {
        Month::January => "Jan",
        Month::February => "Feb",
        Month::March => "Mar",
        Month::April => "Apr",
        Month::May => "May",
        Month::June => "Jun",
        Month::July => "Jul",
        Month::August => "Aug",
        Month::September => "Sep",
        Month::October => "Oct",
        Month::November => "Nov",
        Month::December => "Dec",
    };
    format!("{} {month}", date.day())
}

/// How long ago, without `ago`: `12 s`, `3 min`, `5 h`, `2 days`, `7 weeks`. A time that is ahead of `now` counts as now.
pub fn age(now: OffsetDateTime, at: OffsetDateTime) -> String {
    let seconds = (now - at).whole_seconds().max(0);
    let many = |n: i64, unit: &str| if n == 1 { format!("1 {unit}") } else { format!("{n} {unit}s") };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        172_800..1_209_600 => many(seconds / 86_400, "day"),
        1_209_600..63_072_000 => many(seconds / 604_800, "week"),
        _ => many(seconds / 31_536_000, "year"),
    }
}

/// `just now` or `3 min ago`.
pub fn ago(now: OffsetDateTime, at: OffsetDateTime) -> String {
    if (now - at).whole_seconds() < 5 { "just now".to_owned() } else { format!("{} ago", age(now, at)) }
}

/// A span in milliseconds: `240 ms`, `8.4 s`, `1 min 34 s`, `2 h 05 min`.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// The span between two times as [`duration`] writes it.
pub fn span(from: OffsetDateTime, to: OffsetDateTime) -> String {
    duration(millis(from, to))
}

/// Milliseconds between two times; 0 where the second is not after the first.
pub fn millis(from: OffsetDateTime, to: OffsetDateTime) -> u64 {
    u64::try_from((to - from).whole_milliseconds()).unwrap_or(0)
}

/// `52,671`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 file`, `2,000 files`: regular plurals, `entries` for `entry`, `keys` for `key`.
pub fn counted(n: u64, noun: &str) -> String {
    // After a vowel the y stays: `keys`.
    match (n, noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']))) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", count(n)),
        (_, None) => format!("{} {noun}s", count(n)),
    }
}

/// `84.2 MB/s`.
pub fn speed(bytes_per_second: u64) -> String {
    format!("{}/s", size::display(bytes_per_second))
}

/// How many times smaller `stored` is than `total`: `4.2×`; none where nothing was stored.
pub fn ratio(total: u64, stored: u64) -> Option<String> {
    let tenths = total.checked_mul(10)?.checked_div(stored)?;
    Some(format!("{}.{}×", tenths / 10, tenths % 10))
}

/// The unit in which the items of a kind are counted.
pub const fn unit(kind: Kind) -> &'static str {
    match kind {
        Kind::Files => "file",
        Kind::Git => "ref",
        Kind::Config => "variable",
        Kind::Postgres | Kind::Mysql | Kind::Sqlite => "table",
        Kind::Redis => "key",
        Kind::Process | Kind::Container | Kind::Network => "object",
    }
}

/// The kind as its makers write it.
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Files => "Files",
        Kind::Git => "Git",
        Kind::Config => "Config",
        Kind::Postgres => "PostgreSQL",
        Kind::Mysql => "MySQL",
        Kind::Sqlite => "SQLite",
        Kind::Redis => "Redis",
        Kind::Process => "Process",
        Kind::Container => "Container",
        Kind::Network => "Network",
    }
}

/// What a run does, as a heading.
pub const fn run_kind(kind: RunKind) -> &'static str {
    match kind {
        RunKind::Create => "Checkpoint",
        RunKind::Drill => "Drill",
        RunKind::Restore => "Restore",
        RunKind::Verify => "Verification",
        RunKind::Prune => "Prune",
        RunKind::Check => "Check",
        RunKind::Repair => "Repair",
        RunKind::Copy => "Copy",
        RunKind::Import => "Import",
    }
}

/// What caused a checkpoint, for people.
pub const fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Manual => "command line",
        Trigger::Button => "Back up now",
        Trigger::Api => "API",
        Trigger::Ci => "CI",
        Trigger::Schedule => "schedule",
        Trigger::BeforeDeploy => "before deploy",
        Trigger::AfterDeploy => "after deploy",
        Trigger::BeforeDelete => "before delete",
        Trigger::PreRestore => "before restore",
        Trigger::Import => "import",
    }
}

/// The address of an environment's page.
pub fn environment_href(project: &impl ToString, name: &impl ToString) -> String {
    format!("/projects/{}/{}", project.to_string(), name.to_string())
}

/// The address of a project's page.
pub fn project_href(project: &impl ToString) -> String {
    format!("/projects/{}", project.to_string())
}

/// The page of what a run works on.
pub fn subject_href(subject: &Subject) -> String {
    match subject {
        Subject::Environment(environment) => environment_href(&environment.project, &environment.name),
        Subject::Vault(vault) => project_href(&vault.project),
    }
}

/// What a run works on where there is little room: `production`, `the vault of shop`.
pub fn subject_name(subject: &Subject) -> String {
    match subject {
        Subject::Environment(environment) => environment.name.to_string(),
        Subject::Vault(vault) => format!("the vault of {}", vault.project),
    }
}

/// The first characters of an id, enough to tell neighbours apart: `chk_01jd3k9x2m`.
pub fn short_id(id: &str) -> String {
    id.chars().take(14).collect()
}

/// The first ten characters of a commit.
pub fn short_commit(commit: &str) -> String {
    commit.chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use time::Duration;

    use super::*;

    fn moment() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_795_252_534).unwrap()
    }

    #[test]
    fn times_name_their_zone() {
        assert_eq!(absolute(moment()), "2026-11-21 09:15:34 UTC");
        assert_eq!(machine(moment()), "2026-11-21T09:15:34Z");
        assert_eq!(clock(moment()), "09:15:34");
        assert_eq!(day(moment().date()), "21 Nov");
        let east = moment().to_offset(time::UtcOffset::from_hms(2, 0, 0).unwrap());
        assert_eq!(absolute(east), "2026-11-21 09:15:34 UTC");
    }

    #[test]
    fn ages_grow_through_the_units() {
        let now = moment();
        for (seconds, text) in [
            (-3, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (47 * 3_600, "47 h"),
            (48 * 3_600, "2 days"),
            (13 * 86_400, "13 days"),
            (14 * 86_400, "2 weeks"),
            (800 * 86_400, "2 years"),
        ] {
            assert_eq!(age(now, now - Duration::seconds(seconds)), text);
        }
        assert_eq!(ago(now, now + Duration::seconds(2)), "just now");
        assert_eq!(ago(now, now - Duration::minutes(3)), "3 min ago");
    }

    #[test]
    fn durations_keep_two_units() {
        for (ms, text) in
            [(240, "240 ms"), (8_449, "8.4 s"), (59_999, "59.9 s"), (94_000, "1 min 34 s"), (7_500_000, "2 h 05 min")]
        {
            assert_eq!(duration(ms), text);
        }
        assert_eq!(span(moment(), moment() - Duration::seconds(1)), "0 ms");
    }

    #[test]
    fn counts_and_ratios() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(52_671), "52,671");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(2, "entry"), "2 entries");
        assert_eq!(counted(2_000, "file"), "2,000 files");
        assert_eq!(ratio(42, 10).as_deref(), Some("4.2×"));
        assert_eq!(ratio(42, 0), None);
        assert_eq!(speed(84_200_000), "84.20 MB/s");
    }
}
