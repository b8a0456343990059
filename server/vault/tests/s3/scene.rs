//! A vault in a bucket, harm on the way to it, and what must hold whatever was done.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_vault::{
    Backend, Cancel, CheckScope, Error, FileKind, Meter, RestoreOptions, S3Options, Sealed, Source, Vault, VaultOptions,
};

use super::backend;
use super::proxy::{Harm, Proxy, Verb};
use super::support::*;
use super::weed::*;

/// What is worth another try.
pub const PATIENT: Duration = Duration::from_secs(20);
/// No more than a try and a half.
pub const BRIEF: Duration = Duration::from_millis(1600);

/// A vault, a way to it that does harm, and a source that changes.
pub struct Scene {
    pub proxy: Proxy,
    pub place: Place,
    pub prefix: String,
    /// Straight to the store.
    pub clean: Vault,
    rounds: u32,
    /// Bytes above which packs go up in parts.
    pub part: usize,
}

impl Scene {
    pub fn new(prefix: &str) -> Scene {
        let place = Place::new();
        fs::create_dir_all(place.path("source/more")).unwrap();
        fs::write(place.path("source/large"), random(900_000)).unwrap();
        let prefix = format!("faults/{prefix}");
        let clean = Vault::init(backend(options_at(&prefix)), &password(), options()).unwrap();
        let mut scene = Scene { proxy: Proxy::new(weed().port), place, prefix, clean, rounds: 0, part: 32 << 20 };
        scene.change();
        backup(&scene.clean, &scene.source());
        scene
    }

    pub fn source(&self) -> PathBuf {
        self.place.path("source")
    }

    /// Something new for the next backup, of several blobs, and what was there before goes.
    pub fn change(&mut self) {
        self.rounds += 1;
        fs::write(self.place.path("source/more/changing"), random(100_000)).unwrap();
        fs::write(self.place.path(&format!("source/more/new-{}", self.rounds)), random(3000)).unwrap();
    }

    /// Options for the way that does harm.
    pub fn harmed(&self, patience: Duration) -> S3Options {
        let options = options_by(self.proxy.port, &self.prefix);
        S3Options { timeout: Duration::from_secs(1), slowest: 16 << 20, patience, part: self.part, ..options }
    }

    pub fn open(&self, patience: Duration) -> Result<Vault, Error> {
        Vault::open(backend(self.harmed(patience)), &password(), VaultOptions { level: 1, ..options() })
    }

    pub fn try_backup(&self, patience: Duration) -> Result<Sealed, Error> {
        let writer = self.open(patience)?.writer(Cancel::new())?;
        let archived = writer.archive(&Source::new(self.source()), &Meter::new())?;
        let tree = writer.put_tree(vec![archived.node.with_name("source")])?;
        writer.seal(draft(tree))
    }

    /// Restores the newest snapshot that there really is, through the harm. Every file that is not named as a problem
    /// must be right.
    pub fn try_restore(&self, patience: Duration) -> Result<(), String> {
        let newest = self.clean.snapshots().unwrap().pop().unwrap();
        let target = tempfile::tempdir().unwrap();
        let restored = self
            .open(patience)
            .and_then(|vault| vault.restore(&newest.tree, target.path(), RestoreOptions::faithful()))
            .map_err(|error| error.to_string())?;
        let named: Vec<_> = restored.problems.iter().filter_map(|problem| problem.path.clone()).collect();
        let expected = files(&self.place.path("as-sealed"));
        let mut right = 0;
        for (name, content) in &expected {
            let excused = named.iter().any(|path| Path::new("source").join(name).starts_with(path));
            let found = fs::read(target.path().join("source").join(name)).unwrap_or_default();
            assert!(excused || found == *content, "{} is wrong, and nothing is said of it", name.display());
            right += usize::from(!excused);
        }
        if right == expected.len() && restored.problems.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
    }

    /// All that was ever sealed is whole, seen from where no harm is done. Keeps what the newest one should hold.
    pub fn all_sealed_is_whole(&self, sealed: Option<&Sealed>) {
        let report = self.clean.check(CheckScope::AllData, &Cancel::new(), &Meter::new()).unwrap();
        assert_eq!(report.problems, []);
        let snapshots = self.clean.snapshots().unwrap();
        if let Some(sealed) = sealed {
            assert!(snapshots.iter().any(|snapshot| snapshot.id == sealed.snapshot), "a seal that nobody can see");
        }
        self.remove_locks();
    }

    /// What the source holds now is what the newest snapshot holds.
    pub fn keep_copy(&self) {
        let kept = self.place.path("as-sealed");
        let _ = fs::remove_dir_all(&kept);
        run("cp", &["-a".as_ref(), self.source().as_os_str(), kept.as_os_str()]);
    }

    /// A lock whose removal came to harm is ours still; it would be in nobody's way.
    fn remove_locks(&self) {
        let store = backend(options_at(&self.prefix));
        for (name, _) in store.list(FileKind::Lock).unwrap() {
            store.remove(FileKind::Lock, &name).unwrap();
        }
    }

    /// A harm that ends by itself: the backup does not notice. Gives how many requests came to harm.
    pub fn survives_backup(&mut self, verb: Verb, harm: Harm, times: usize) -> usize {
        self.change();
        self.proxy.harm(verb, harm, times);
        let sealed = self.try_backup(PATIENT);
        let harmed = self.proxy.heal();
        let sealed = sealed.unwrap_or_else(|error| panic!("{verb:?} {harm:?}: {error}"));
        self.keep_copy();
        self.all_sealed_is_whole(Some(&sealed));
        harmed
    }

    /// The same for a restore.
    pub fn survives_restore(&mut self, verb: Verb, harm: Harm, times: usize) -> usize {
        self.proxy.harm(verb, harm, times);
        let outcome = self.try_restore(PATIENT);
        let harmed = self.proxy.heal();
        outcome.unwrap_or_else(|error| panic!("{verb:?} {harm:?}: {error}"));
        harmed
    }

    /// A harm that does not end: an error within bounded time, and nothing sealed is touched.
    pub fn fails_cleanly(&mut self, verb: Verb, harm: Harm) -> Result<Sealed, Error> {
        self.change();
        self.proxy.harm(verb, harm, usize::MAX);
        let started = Instant::now();
        let outcome = self.try_backup(BRIEF);
        assert!(started.elapsed() < Duration::from_secs(30), "{verb:?} {harm:?}: {:?}", started.elapsed());
        let harmed = self.proxy.heal();
        assert!(harmed > 0, "{verb:?} {harm:?} was never asked for");
        if outcome.is_ok() {
            self.keep_copy();
        }
        self.all_sealed_is_whole(outcome.as_ref().ok());
        outcome
    }
}

/// Relative paths and contents of all files.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for dir in [root.to_owned(), root.join("more")] {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                found.push((path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 2);
    found
}
