//! A restore's own side: every system call by which it writes into its target fails once, or is the last one. `strace`
//! puts the fault into a real process.

use std::fs;
use std::process::Command;

use super::life::*;
use super::report::{Row, report};
use super::tap::{Harm, Which};
use super::victim::{Site, Work};

/// Only a restore makes these; nothing that starts a process does.
const CALLS: [&str; 6] = ["pwrite64", "mkdirat", "fchown", "fchmod", "utimensat", "fchownat"];

/// Restores with one call of that name coming to harm. `false` if there was no such call any more.
fn harmed(site: &Site, call: &str, number: usize, harm: &str) -> bool {
    let about = format!("{call} number {number}: {harm}");
    site.put_back();
    let seen = site.room.path().join("strace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o"]).arg(&seen);
    strace.args(["-e", &format!("trace={call}"), "-e", &format!("inject={call}:{harm}:when={number}")]);
    strace.arg(std::env::current_exe().unwrap());
    let end = site.start_under(strace, Work::Restore, &Which::Every, 0, Harm::Kill).end();
    let lines = fs::read_to_string(&seen).unwrap();
    let felt = lines.contains("(INJECTED)") || lines.contains("killed by SIGKILL");
    let wrong = || {
        let snapshot = site.vault.snapshot(&site.kept[1]).unwrap();
        differences(&site.room.path().join("target"), &site.contents[&snapshot.tags[0]])
    };
    if !felt {
        assert_eq!((end.refused, end.done), (None, true), "{about}");
    } else if end.done && end.refused.is_none() {
        assert_eq!(wrong(), Vec::<String>::new(), "{about}: restored silently");
    } else if harm.contains("ENOSPC") && call == "pwrite64" {
        let said = end.refused.unwrap();
        assert!(said.contains("no space"), "{about}: {said}");
        let left = fs::read_dir(site.room.path().join("target")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{about}: something of it was left");
    }
    // The vault knows nothing of it, and the next restore makes it right.
    site.work(Work::Restore).unwrap_or_else(|error| panic!("{about}: the next run: {error}"));
    assert_eq!(wrong(), Vec::<String>::new(), "{about}: the next run");
    felt
}

#[test]
fn the_target_fails() {
    let part = "target";
    if !Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success()) {
        let what = "SKIPPED: there is no strace here".to_owned();
        return report(&Row { part, what, count: 0 });
    }
    let site = Site::new(&mut Rng::new(9));
    // Straced processes are not allowed everywhere.
    if !harmed(&site, "pwrite64", 1, "error=EIO") {
        let what = "SKIPPED: strace may put no faults here".to_owned();
        return report(&Row { part, what, count: 0 });
    }
    let mut count = 1;
    let mut felt = std::collections::BTreeSet::new();
    for (n, call) in CALLS.into_iter().enumerate() {
        for (m, harm) in ["error=EIO", "error=ENOSPC", "error=EINTR", "signal=SIGKILL"].into_iter().enumerate() {
            if !is_taken(n, m) {
                continue;
            }
            let mut number = 1;
            while harmed(&site, call, number, harm) {
                felt.insert(call);
                number += many(3, 1);
                count += 1;
            }
        }
    }
    assert!(felt.len() > 3, "{felt:?}");
    report(&Row {
        part,
        what: format!(
            "a restore whose n-th {} ends by EIO, ENOSPC, EINTR or kill -9, n = 1, 2, 3 … until one passes",
            felt.into_iter().collect::<Vec<_>>().join(", ")
        ),
        count,
    });
}

/// The short form takes one harm for each call.
fn is_taken(call: usize, harm: usize) -> bool {
    super::report::is_full() || call % 4 == harm
}
