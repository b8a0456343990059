//! A writer that stands still (SIGSTOP) for longer than its lock lives and longer than the grace, while a prune takes out
//! what it relied upon: it seals what is whole, or refuses. And the other way round: a prune that stands still.

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::life::*;
use super::report::{Row, report};
use super::tap::{Harm, Which};
use super::victim::{End, Site, Victim, Work};

/// Waits until it has stopped; `false` if it has come to its end instead.
fn stands_still(victim: &Victim) -> bool {
    let pid = Pid::from_child(&victim.child);
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    status.stopped()
}

fn go_on(victim: &Victim) {
    kill_process(Pid::from_child(&victim.child), Signal::CONT).unwrap();
}

fn pruned(site: &Site, about: &str) {
    for _ in 0..3 {
        let report = prune(&site.vault).unwrap_or_else(|error| panic!("{about}: prune: {error}"));
        assert!(report.is_done(), "{about}: {report:?}");
    }
}

fn in_order(site: &Site, about: &str) -> Vec<holdfast_vault::SnapshotId> {
    all_whole(&site.vault, &site.contents).unwrap_or_else(|error| panic!("{about}: {error}"))
}

#[test]
fn a_prune_against_a_stopped_writer() {
    let mut rng = Rng::new(5);
    let site = Site::new(&mut rng);
    let calls: usize = site.calls(Work::Create).values().sum();
    let rounds = many(6, 100);
    let (mut seals, mut refusals) = (0, 0);
    for round in 0..rounds {
        site.put_back();
        // Every call once, before any is tried again; not all runs have the last few of them.
        let at = 1 + (round * 7) % (calls - 4);
        let about = format!("stopped at call {at} of {calls}");
        let victim = site.start(Work::Create, &Which::Every, at, Harm::Stop);
        assert!(stands_still(&victim), "{about}: it did not stop");
        // What it builds upon goes, and everybody takes its lock for a dead one's.
        remove_locks(&site.path());
        for id in &site.kept {
            site.vault.forget(id).unwrap();
        }
        pruned(&site, &about);
        go_on(&victim);
        let End { sealed, refused, .. } = victim.end();
        assert!(sealed.is_some() != refused.is_some(), "{about}: {sealed:?} {refused:?}");
        let there = in_order(&site, &about);
        assert_eq!(there, sealed.into_iter().collect::<Vec<_>>(), "{about}: {refused:?}");
        seals += usize::from(sealed.is_some());
        refusals += usize::from(refused.is_some());
        // Again, and all is well.
        site.work(Work::Create).unwrap_or_else(|error| panic!("{about}: the next run: {error}"));
        pruned(&site, &about);
        assert_eq!(in_order(&site, &about).len(), there.len() + 1, "{about}");
        if round % many(6, 20) == 0 {
            restic_accepts(&restics()[0], &site.path()).unwrap_or_else(|error| panic!("{about}: {error}"));
        }
    }
    report(&Row {
        part: "stopped-writer",
        what: format!(
            "a writer stopped by SIGSTOP for longer than lock and grace, while all it builds upon is forgotten and pruned: \
             {seals} sealed whole, {refusals} refused"
        ),
        count: rounds,
    });
}

#[test]
fn a_writer_against_a_stopped_prune() {
    let mut rng = Rng::new(6);
    let site = Site::new(&mut rng);
    let calls: usize = site.calls(Work::Prune).values().sum();
    let rounds = many(4, 50);
    for round in 0..rounds {
        site.put_back();
        let at = 1 + (round * 11) % (calls - 16);
        let about = format!("prune stopped at call {at} of {calls}");
        let victim = site.start(Work::Prune, &Which::Every, at, Harm::Stop);
        assert!(stands_still(&victim), "{about}: it did not stop");
        remove_locks(&site.path());
        site.vault.forget(&site.kept[0]).unwrap();
        let sealed = site.work(Work::Create).unwrap().unwrap();
        // Another prune does the work meanwhile, every other time.
        if round % 2 == 0 {
            pruned(&site, &about);
        }
        go_on(&victim);
        victim.end();
        site.vault.remove_dead_locks().unwrap();
        let there = in_order(&site, &about);
        assert!(there.len() == 2 && there.contains(&sealed) && there.contains(&site.kept[1]), "{about}: {there:?}");
        pruned(&site, &about);
        in_order(&site, &about);
        if round % many(4, 10) == 0 {
            restic_accepts(&restics()[0], &site.path()).unwrap_or_else(|error| panic!("{about}: {error}"));
        }
    }
    report(&Row {
        part: "stopped-prune",
        what: "a prune stopped by SIGSTOP for longer than its lock lives, while snapshots are sealed, forgotten and \
               pruned"
            .into(),
        count: rounds,
    });
}
