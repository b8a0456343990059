//! kill -9: at every call that a vault makes to its disk, by name the first, the middle and the last one, and at any
//! moment from outside. What was sealed is there, and the next run needs nobody's help.

use std::time::{Duration, Instant};

use super::life::*;
use super::report::{Row, report};
use super::tap::{Harm, Which};
use super::victim::{Site, Victim, WORKS, Work};

/// What the victim left must be in order, and the next run must go on by itself.
fn look(site: &Site, work: Work, victim: Victim, about: &str, with_restic: Option<usize>) {
    let end = victim.end();
    assert_eq!(end.refused, None, "{about}");
    let failed = |error: String| -> ! { panic!("{about}: {error}") };
    // It left its lock; that process is gone.
    for vault in [&site.vault, &site.other] {
        vault.remove_dead_locks().unwrap_or_else(|error| failed(error.to_string()));
    }
    let there = all_whole(&site.vault, &site.contents).unwrap_or_else(|error| failed(error));
    for (number, id) in site.kept.iter().chain(&end.sealed).enumerate() {
        let may_be_gone = work == Work::Forget && number == 0;
        assert!(may_be_gone || there.contains(id), "{about}: {id} is lost");
    }
    let copies = all_whole(&site.other, &site.contents).unwrap_or_else(|error| failed(format!("the copy: {error}")));
    assert!(!copies.is_empty() && end.copied.iter().all(|id| copies.contains(id)), "{about}: {copies:?} {end:?}");
    let touched = if work == Work::Copy { site.other_path() } else { site.path() };
    let image = Image::of(&touched);
    let files = image.files().filter(|(path, bytes)| bytes.is_some() && !path.ends_with("config"));
    let strays: Vec<_> = files.map(|(path, _)| path).filter(|path| path.file_name().unwrap().len() != 64).collect();
    assert_eq!(strays, Vec::<&std::path::PathBuf>::new(), "{about}: remains");
    if let Some(restic) = with_restic {
        let restics = restics();
        restic_accepts(&restics[restic % restics.len()], &touched).unwrap_or_else(|error| failed(error));
    }
    if work != Work::Forget || there.contains(&site.kept[0]) {
        site.work(work).unwrap_or_else(|error| failed(format!("the next run: {error}")));
    }
    if work == Work::Restore {
        let snapshot = site.vault.snapshot(&site.kept[1]).unwrap();
        let wrong = differences(&site.room.path().join("target"), &site.contents[&snapshot.tags[0]]);
        assert_eq!(wrong, Vec::<String>::new(), "{about}: the next restore");
    }
    if work == Work::Copy {
        let copies = all_whole(&site.other, &site.contents).unwrap_or_else(|error| failed(format!("copied: {error}")));
        assert_eq!(copies.len(), 1 + site.kept.len(), "{about}: the next copy");
    }
    all_whole(&site.vault, &site.contents).unwrap_or_else(|error| failed(format!("in the end: {error}")));
}

#[test]
fn killed_at_every_point() {
    let site = Site::new(&mut Rng::new(3));
    let mut points = Vec::new();
    for work in WORKS {
        for (name, hits) in site.calls(work) {
            let mut at = vec![1, hits.div_ceil(2), hits];
            at.dedup();
            for number in at {
                points.push((work, name.clone(), number, Harm::Kill));
                if name.starts_with("write") {
                    points.push((work, name.clone(), number, Harm::KillHalf));
                }
            }
        }
    }
    let named: std::collections::BTreeSet<_> =
        points.iter().map(|(work, name, ..)| format!("{work:?} {name}")).collect();
    // The short form takes some of them; what a seal passes through, always.
    let step = many(6, 1);
    let chosen: Vec<_> = points
        .iter()
        .enumerate()
        .filter(|(n, (work, name, ..))| n % step == 0 || *work == Work::Create && name.ends_with("snapshots"))
        .collect();
    for (n, (work, name, number, harm)) in &chosen {
        site.put_back();
        let victim = site.start(*work, &Which::Named(name.clone()), *number, *harm);
        let about = format!("{work:?}, {harm:?} at {name}, number {number}");
        look(&site, *work, victim, &about, (n % many(40, 6) == 0).then_some(*n));
    }
    report(&Row {
        part: "kill-points",
        what: format!(
            "at {} named calls of create, prune, forget, restore, copy and repair: first, middle, last; some in mid-write",
            named.len()
        ),
        count: chosen.len(),
    });
}

#[test]
fn killed_at_any_moment() {
    let mut rng = Rng::new(4);
    let site = Site::new(&mut rng);
    let kills = many(12, 500);
    let mut lasts = Vec::new();
    for work in WORKS {
        site.put_back();
        let victim = site.start(work, &Which::Every, 0, Harm::Kill);
        let started = Instant::now();
        look(&site, work, victim, "not killed at all", Some(0));
        lasts.push(started.elapsed());
    }
    for n in 0..kills {
        // Creates and prunes have more to lose.
        let which = [0, 1, 4, 0, 1, 3, 4, 0, 5, 2][n % 10];
        let work = WORKS[which];
        site.put_back();
        let mut victim = site.start(work, &Which::Every, 0, Harm::Kill);
        std::thread::sleep(Duration::from_micros(rng.below(lasts[which].as_micros() as usize) as u64));
        victim.child.kill().unwrap();
        look(&site, work, victim, &format!("{work:?}, killed from outside, {n}"), (n % 12 == 0).then_some(n / 12));
    }
    report(&Row {
        part: "kill-moments",
        what: "from outside, at random moments of create, prune, forget, restore, copy and repair".into(),
        count: kills,
    });
}
