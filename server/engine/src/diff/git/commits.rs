//! The commits that only one side reaches.

use holdfast_model::diff::Commit;
use time::OffsetDateTime;

use super::super::DiffLimits;
use crate::{failure::Failure, git::run::Git};

/// Commits of one direction that are listed.
const MOST: usize = 1000;

/// Both directions.
pub(super) struct Found {
    pub added: Vec<Commit>,
    pub removed: Vec<Commit>,
    /// Of both, beyond the most that are listed.
    pub more: u64,
}

/// Walks from the tips of each side to what the other one has too.
pub(super) fn between(git: &Git, first: &[String], second: &[String], limits: &DiffLimits) -> Result<Found, Failure> {
    let (added, more_added) = only(git, second, first, limits)?;
    let (removed, more_removed) = only(git, first, second, limits)?;
    Ok(Found { added, removed, more: more_added + more_removed })
}

/// What `tips` reach and `others` do not, newest first, and how many more there are.
fn only(git: &Git, tips: &[String], others: &[String], limits: &DiffLimits) -> Result<(Vec<Commit>, u64), Failure> {
    let wanted: Vec<&String> = tips.iter().filter(|tip| !others.contains(tip)).collect();
    if wanted.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let mut input = String::new();
    wanted.iter().for_each(|tip| input.push_str(&format!("{tip}\n")));
    others.iter().for_each(|other| input.push_str(&format!("^{other}\n")));
    let most = limits.entries.min(MOST);
    let count = format!("--max-count={most}");
    let text = git.feed(
        &[
            "log",
            "-z",
            "--date-order",
            "--no-show-signature",
            "--no-color",
            "--no-decorate",
            "--encoding=UTF-8",
            "--format=tformat:%H%x00%an%x00%at%x00%s",
            &count,
            "--stdin",
        ],
        input.as_bytes(),
    )?;
    let fields: Vec<String> =
        text.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    let commits: Vec<Commit> = fields.chunks_exact(4).map(commit).collect();
    if commits.len() < most {
        return Ok((commits, 0));
    }
    let all = git.feed(&["rev-list", "--count", "--stdin"], input.as_bytes())?;
    let all: u64 = String::from_utf8_lossy(&all).trim().parse().unwrap_or(0);
    let more = all.saturating_sub(u64::try_from(commits.len()).unwrap_or(u64::MAX));
    Ok((commits, more))
}

fn commit(fields: &[String]) -> Commit {
    let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
    // Histories hold every number that somebody once wrote; what has no place in a calendar is shown as its beginning.
    let time = field(2).parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let time = time.filter(|time| (0..10_000).contains(&time.year())).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Commit { id: field(0), author: field(1), time, title: field(3) }
}
