//! The n-th call to the disk fails, for n = 1, 2, 3 … until a run has fewer calls: a clean error or a run that did not
//! need it, never a seal that is not there, and nothing that was sealed before is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use holdfast_vault::{Disk, Error, LocalBackend, RestoreOptions, SnapshotId, SystemDisk, Vault};
use rustix::io::Errno;

use super::life::*;
use super::platter::{Platter, lay_down};
use super::report::{Row, report};
use super::support::{options, password};
use super::tap::{Harm, Tap, Which};

const FAULTS: [(&str, Which, Harm); 5] = [
    ("EIO", Which::Every, Harm::Error(Errno::IO.raw_os_error())),
    ("ENOSPC", Which::Every, Harm::Error(Errno::NOSPC.raw_os_error())),
    ("EINTR", Which::Every, Harm::Error(Errno::INTR.raw_os_error())),
    ("short write", Which::Writes, Harm::Short),
    ("failed sync", Which::Syncs, Harm::Error(Errno::IO.raw_os_error())),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Create,
    Forget,
    Prune,
    Restore,
    Check,
    Copy,
    Repair,
    Open,
    Init,
}

/// A vault and one to copy to, as one process sees them.
struct Pair {
    vault: Vault,
    other: Vault,
}

impl Pair {
    fn open(disk: &Arc<dyn Disk>, site: &Path) -> Pair {
        let [vault, other] = ["vault", "other"].map(|name| open_on(disk.clone(), &site.join(name)).unwrap());
        Pair { vault, other }
    }
}

/// Two vaults, a way to them that fails, and a place where they lie as a power cut would leave them.
struct Scene {
    room: tempfile::TempDir,
    image: Image,
    contents: Contents,
    kept: Vec<SnapshotId>,
    next: Content,
    tap: Tap,
    /// By the way that fails, as a server keeps a vault open over many runs.
    harmed: Pair,
    /// Straight to the disk.
    clean: Pair,
    /// To those without what was not synced.
    cut: Pair,
}

impl Scene {
    fn new(rng: &mut Rng) -> Scene {
        let room = room();
        let [site, cut] = ["site", "cut"].map(|name| room.path().join(name));
        fs::create_dir(&site).unwrap();
        let (mut contents, kept) = vault_in_use(&site.join("vault"), rng);
        let next = changed(rng, &contents["base-0"]);
        contents.insert("next".into(), next.clone());
        put(&init(&site.join("other")), "next", &next).unwrap();
        let image = Image::of(&site);
        image.put_back(&site);
        image.put_back(&cut);
        let tap = Tap::default();
        let harmed = Pair::open(&(Arc::new(tap.clone()) as Arc<dyn Disk>), &site);
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let (clean, cut) = (Pair::open(&disk, &site), Pair::open(&disk, &cut));
        Scene { room, image, contents, kept, next, tap, harmed, clean, cut }
    }

    fn site(&self) -> PathBuf {
        self.room.path().join("site")
    }

    /// Gives the snapshot that was sealed, if one was.
    fn run(&self, run: Run) -> Result<Option<SnapshotId>, Error> {
        match run {
            Run::Create => put(&self.harmed.vault, "next", &self.next).map(Some),
            Run::Forget => self.harmed.vault.forget(&self.kept[0]).map(|()| None),
            Run::Prune => match prune(&self.harmed.vault)?.stopped {
                None => Ok(None),
                Some(stopped) => panic!("a prune that nobody stopped: {stopped:?}"),
            },
            Run::Restore => {
                let target = tempfile::tempdir_in(self.room.path()).unwrap();
                let snapshot = self.harmed.vault.snapshot(&self.kept[1])?;
                let restored = self.harmed.vault.restore(&snapshot.tree, target.path(), RestoreOptions::faithful())?;
                let wrong = differences(target.path(), &self.contents[&snapshot.tags[0]]);
                match restored.problems.first() {
                    None => assert_eq!(wrong, Vec::<String>::new(), "restored silently"),
                    Some(problem) => return Err(Error::Refused(problem.what.clone())),
                }
                Ok(None)
            }
            Run::Check => {
                let scope = holdfast_vault::CheckScope::AllData;
                let report = self.harmed.vault.check(scope, &Default::default(), &Default::default())?;
                match report.problems.first() {
                    None => Ok(None),
                    Some(problem) => Err(Error::Refused(problem.what.clone())),
                }
            }
            Run::Copy => {
                let mut last = None;
                copy(&self.harmed.vault, &self.harmed.other, &self.kept, &mut |id| last = Some(*id)).map(|()| last)
            }
            Run::Repair => repair(&self.harmed.vault).map(|()| None),
            Run::Open => open_on(Arc::new(self.tap.clone()), &self.site().join("vault")).map(|_| None),
            Run::Init => self.init(Arc::new(self.tap.clone())).map(|()| None),
        }
    }

    /// A second vault beside the first.
    fn init(&self, disk: Arc<dyn Disk>) -> Result<(), Error> {
        let backend = LocalBackend::create_on(disk, self.room.path().join("above/new"))?;
        Vault::init(Arc::new(backend), &password(), options()).map(drop)
    }

    /// Lets the n-th call of a run fail. Gives whether there was such a call, and whether the run failed.
    fn at(&self, run: Run, fault: &(&str, Which, Harm), number: usize, thorough: bool) -> (bool, bool) {
        let about = format!("{run:?}, {} at call {number}", fault.0);
        self.image.put_back(&self.site());
        let _ = fs::remove_dir_all(self.room.path().join("above"));
        self.tap.take_log();
        self.tap.plan(fault.1.clone(), number, fault.2);
        let outcome = self.run(run);
        let harmed = self.tap.heal();
        if !harmed {
            outcome.as_ref().unwrap_or_else(|error| panic!("{run:?} without a fault: {error}"));
        }
        if let (Err(error), "ENOSPC") = (&outcome, fault.0) {
            assert!(error.to_string().contains("pace"), "{about}: a full disk is not said to be full: {error}");
        }
        if fault.2 == Harm::Short {
            outcome.as_ref().unwrap_or_else(|error| panic!("{about}: {error}"));
        }
        self.holds(run, &outcome, &self.clean, &about);
        // What was said to be durable is there when the power goes now.
        if fault.0 == "failed sync" || thorough {
            let mut platter = Platter::with(&self.site(), self.image.files());
            self.tap.take_log().iter().for_each(|step| platter.apply(step));
            let left = platter.cut(&mut Rng::seeded(0), 0);
            let cut = self.room.path().join("cut");
            lay_down(&left, &self.site(), &cut);
            // Their process would be gone, and here it is this one.
            remove_locks(&cut.join("vault"));
            remove_locks(&cut.join("other"));
            self.holds(run, &outcome, &self.cut, &format!("{about}, and no power"));
        }
        // Running again, over the same open vault, is all that is needed.
        let is_done = match run {
            Run::Init => outcome.is_ok(),
            Run::Forget => self.clean.vault.snapshot(&self.kept[0]).is_err(),
            _ => false,
        };
        if !is_done {
            self.run(run).unwrap_or_else(|error| panic!("{about}: the next run: {error}"));
            for vault in [&self.clean.vault, &self.clean.other] {
                all_whole(vault, &self.contents).unwrap_or_else(|error| panic!("{about}: in the end: {error}"));
            }
        }
        (harmed, outcome.is_err())
    }

    /// All is whole; what was there before is there, and what was sealed.
    fn holds(&self, run: Run, outcome: &Result<Option<SnapshotId>, Error>, pair: &Pair, about: &str) {
        let whole = |vault: &Vault| all_whole(vault, &self.contents).unwrap_or_else(|error| panic!("{about}: {error}"));
        let (there, copies) = (whole(&pair.vault), whole(&pair.other));
        assert!(!copies.is_empty(), "{about}: the other vault's snapshot is lost");

        for (number, id) in self.kept.iter().enumerate() {
            let may_be_gone = run == Run::Forget && number == 0;
            assert!(may_be_gone || there.contains(id), "{about}: {id} is lost");
        }
        match outcome {
            Ok(Some(last)) if run == Run::Copy => {
                assert!(copies.contains(last) && copies.len() == 3, "{about}: a copy that is not there");
            }
            Ok(Some(sealed)) => assert!(there.contains(sealed), "{about}: a seal that is not there"),
            Ok(None) if run == Run::Forget => assert!(!there.contains(&self.kept[0]), "{about}: it is not gone"),
            Ok(None) => {}
            Err(_) => assert!(there.len() <= self.kept.len(), "{about}: an error, and a snapshot all the same"),
        }
    }
}

#[test]
fn the_nth_call_fails() {
    let mut rng = Rng::new(2);
    let scene = Scene::new(&mut rng);
    let mut runs = 0;
    let mut said = Vec::new();
    for run in
        [Run::Create, Run::Prune, Run::Forget, Run::Restore, Run::Check, Run::Copy, Run::Repair, Run::Open, Run::Init]
    {
        let (mut calls, mut failed) = (0, 0);
        for fault in &FAULTS {
            // The short form takes every few calls, another few with each fault.
            let short = match run {
                Run::Forget => 1,
                Run::Restore => 2,
                Run::Create | Run::Prune | Run::Check | Run::Copy | Run::Repair => 12,
                // A new key costs a tenth of a second.
                Run::Open => 3,
                Run::Init => 60,
            };
            let stride = many(short, if run == Run::Init { 6 } else { 1 });
            let mut number = 1 + rng.below(stride);
            loop {
                let (harmed, error) = scene.at(run, fault, number, number.is_multiple_of(5));
                runs += 1;
                failed += usize::from(error);
                calls = calls.max(number);
                if !harmed {
                    break;
                }
                number += stride;
            }
        }
        assert!(failed > 1, "{run:?}: only {failed} of its faults were felt");
        said.push(format!("{run:?} {calls}").to_lowercase());
    }
    report(&Row {
        part: "errors",
        what: format!(
            "the n-th call to the vault's disk fails, n = 1, 2, 3 … until a run passes (calls of a run: {}; of init, \
             which mostly makes directories, every sixth) × {}; then with the power cut too",
            said.join(", "),
            FAULTS.map(|fault| fault.0).join(", ")
        ),
        count: runs,
    });
}
