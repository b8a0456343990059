//! A bucket with object lock: what is sealed stays whatever somebody with the credential does, and what is not leaves
//! nothing behind.

use std::fs;
use std::time::{Duration, Instant};

use holdfast_vault::{
    Backend, BackendError, Cancel, Error, FileKind, Id, Meter, PruneOptions, Retention, RetentionMode, S3Backend,
    S3Options, Source, Vault,
};
use time::OffsetDateTime;

use super::support::*;
use super::weed::*;
use super::{all_is_well, backend, restic_in};

fn locked(prefix: &str, period: Duration) -> S3Options {
    let retention = Some(Retention { mode: RetentionMode::Compliance, period });
    S3Options { bucket: LOCKED.into(), retention, ..options_at(prefix) }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Keys and ids of all versions below a prefix, and of all markers.
type Versions = Vec<(String, String)>;

fn versions(bucket: &str, prefix: &str) -> (Versions, Versions) {
    let (mut objects, mut markers) = (Vec::new(), Vec::new());
    run_async(async {
        let mut pages =
            client(weed().port).list_object_versions().bucket(bucket).prefix(format!("{prefix}/")).send().await;
        loop {
            let page = pages.unwrap();
            let entry = |key: Option<&str>, id: Option<&str>| (key.unwrap().to_owned(), id.unwrap().to_owned());
            objects.extend(page.versions().iter().map(|of| entry(of.key(), of.version_id())));
            markers.extend(page.delete_markers().iter().map(|of| entry(of.key(), of.version_id())));
            if page.is_truncated() != Some(true) {
                break;
            }
            let more = client(weed().port).list_object_versions().bucket(bucket).prefix(format!("{prefix}/"));
            let more = more.set_key_marker(page.next_key_marker).set_version_id_marker(page.next_version_id_marker);
            pages = more.send().await;
        }
    });
    (objects, markers)
}

fn run_async<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn the_self_test_says_whether_a_bucket_holds_what_is_sealed() {
    let store = backend(locked("self", HOUR));
    let results = store.self_test().unwrap();
    assert!(results.iter().all(|result| result.ok), "{results:#?}");
    for name in ["object lock", "lock file", "sealed object"] {
        assert!(results.iter().any(|result| result.name == name && result.required), "{results:#?}");
    }
    assert_eq!(versions(LOCKED, "self"), (Vec::new(), Vec::new()), "nothing of it stays");
    // Elsewhere it says how such a bucket is made.
    let plain = backend(S3Options { bucket: BUCKET.into(), ..locked("self-plain", HOUR) });
    let results = plain.self_test().unwrap();
    let lock = results.iter().find(|result| result.name == "object lock").unwrap();
    assert!(!lock.ok && lock.mend.as_ref().unwrap().contains("--object-lock-enabled-for-bucket"), "{lock:?}");
    assert!(results.iter().any(|result| result.name == "sealed object" && !result.ok));
}

#[test]
fn a_vault_comes_back_after_somebody_has_removed_and_overwritten_everything() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(9 << 20)).unwrap();
    // Packs go up in parts: these are held too.
    let options_here = || S3Options { part: 5 << 20, ..locked("attack", HOUR) };
    let vault = Vault::init(backend(options_here()), &password(), options()).unwrap();
    let (_, sealed) = backup(&vault, &source);
    drop(vault);
    let (objects, markers) = versions(LOCKED, "attack");
    assert!(markers.is_empty() && !objects.iter().any(|(key, _)| key.contains("/locks/")), "{objects:?} {markers:?}");

    let owner = client(weed().port);
    run_async(async {
        for (key, id) in &objects {
            let gone = owner.delete_object().bucket(LOCKED).key(key).version_id(id).send().await;
            assert_eq!(gone.unwrap_err().raw_response().unwrap().status().as_u16(), 403, "{key}");
            owner.delete_object().bucket(LOCKED).key(key).send().await.unwrap();
        }
        let one = |part: &str| objects.iter().find(|(key, _)| key.contains(part)).unwrap().0.clone();
        for key in [one("/data/"), one("/config"), one("/snapshots/")] {
            owner.put_object().bucket(LOCKED).key(&key).body(b"worth nothing".to_vec().into()).send().await.unwrap();
        }
        let index = one("/index/");
        owner.put_object().bucket(LOCKED).key(&index).body(b"nor this".to_vec().into()).send().await.unwrap();
        owner.delete_object().bucket(LOCKED).key(&index).send().await.unwrap();
    });
    let lost = Vault::open(backend(options_here()), &password(), options());
    assert!(lost.is_err());

    let store = backend(options_here());
    let nothing = store.undelete(Some(OffsetDateTime::now_utc() + HOUR)).unwrap();
    assert_eq!(nothing, holdfast_vault::Undeleted::default(), "none of it was so late");
    let undone = store.undelete(None).unwrap();
    assert_eq!(undone.written_again.len(), 4, "{undone:?}");
    assert_eq!(undone.seen_again.len(), objects.len() - 4, "{undone:?}");
    assert_eq!(undone.lost, Vec::<String>::new());
    let vault = Vault::open(backend(options_here()), &password(), options()).unwrap();
    all_is_well(&vault);
    assert_eq!(vault.snapshots().unwrap()[0].id, sealed.snapshot);
    let said = restic_in(&place, "restic", &options_here().location(), &["check", "--read-data"]);
    assert!(said.contains("no errors"), "{said}");
    let again = store.undelete(None).unwrap();
    assert!(again.seen_again.is_empty() && again.written_again.is_empty(), "{again:?}");

    // What we are asked to remove stays, and says until when; it is not even hidden.
    match vault.forget(&sealed.snapshot) {
        Err(Error::Backend(BackendError::Held { until, .. })) => assert!(until > OffsetDateTime::now_utc()),
        other => panic!("{other:?}"),
    }
    assert_eq!(vault.snapshots().unwrap().len(), 1);
}

#[test]
fn a_snapshot_is_held_for_longer_and_nobody_is_asked_twice() {
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(2 << 20)).unwrap();
    let store = backend(locked("retain", HOUR));
    let vault = Vault::init(store.clone(), &password(), options()).unwrap();
    let (_, first) = backup(&vault, &source);
    // Another pack and another index file, which the first snapshot does not need.
    fs::write(source.join("more"), random(2 << 20)).unwrap();
    backup(&vault, &source);
    let retain = |until, known: &dyn Fn(FileKind, &str) -> Option<OffsetDateTime>| {
        vault.retain(&first.snapshot, until, known, &Cancel::new(), &Meter::new()).unwrap()
    };
    let now = OffsetDateTime::now_utc();
    // Sealed for an hour already.
    let early = retain(now + HOUR / 2, &|_, _| None);
    assert_eq!(early.extended, []);
    // Config, key, snapshot, index, a pack of trees and one of data.
    assert_eq!(early.untouched, 6);
    let later = now + 3 * HOUR;
    let held = retain(later, &|_, _| None);
    assert_eq!((held.extended.len(), held.untouched), (6, 0));
    let mut kinds: Vec<FileKind> = held.extended.iter().map(|(kind, ..)| *kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds[..4], [FileKind::Config, FileKind::Key, FileKind::Snapshot, FileKind::Index]);
    for (kind, name, until) in &held.extended {
        assert_eq!(store.held_until(*kind, name).unwrap(), Some(*until), "{name}");
        assert!(*until >= later);
    }
    // What is known is not asked: here it is not even true.
    let believed = retain(now + 9 * HOUR, &|_, _| Some(now + 10 * HOUR));
    assert_eq!((believed.extended.len(), believed.untouched), (0, 6));
    let remembered = |kind, name: &str| {
        let found = held.extended.iter().find(|(of, known, _)| *of == kind && known == name);
        found.map(|(.., until)| *until)
    };
    assert_eq!(retain(later, &remembered).untouched, 6);
    // Never for less long.
    let (kind, name, until) = &held.extended[0];
    assert!(store.retain(*kind, name, now + HOUR).is_err());
    assert_eq!(store.held_until(*kind, name).unwrap(), Some(*until));
    // Where nothing is held, that is said.
    let plain = super::init("retain-plain");
    let (_, sealed) = backup(&plain, &source);
    let refused = plain.retain(&sealed.snapshot, later, &|_, _| None, &Cancel::new(), &Meter::new());
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[test]
fn a_prune_waits_for_what_is_held_and_then_leaves_nothing_of_it() {
    let period = Duration::from_secs(12);
    let place = Place::new();
    let source = place.path("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), random(3 << 20)).unwrap();
    let vault = Vault::init(backend(locked("prune", period)), &password(), options()).unwrap();
    backup(&vault, &source);
    // Nobody's pack.
    let writer = vault.writer(Cancel::new()).unwrap();
    fs::write(source.join("file"), random(20 << 20)).unwrap();
    writer.archive(&Source::new(&source), &Meter::new()).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    writer.abandon();
    let started = Instant::now();
    let prune = || {
        let grace = Duration::ZERO;
        let how = PruneOptions { grace, unused_share: 0.0, ..PruneOptions::default() };
        vault.prune(&how, &Cancel::new(), &Meter::new(), &|| false).unwrap()
    };
    let first = prune();
    assert!(first.is_done() && first.packs_marked > 0 && first.packs_removed == 0, "{first:?}");
    let second = prune();
    assert!(second.is_done() && second.packs_removed == 0, "{second:?}");
    assert_eq!(second.packs_waiting, first.packs_marked);
    let due = second.next_removal.unwrap();
    let now = OffsetDateTime::now_utc();
    assert!(due > now && due <= now + period + Duration::from_secs(1), "{due} {now}");
    assert!(started.elapsed() < period, "too slow to tell: {:?}", started.elapsed());
    all_is_well(&vault);

    let free = due - OffsetDateTime::now_utc() + Duration::from_secs(1);
    std::thread::sleep(free.try_into().unwrap_or_default());
    let third = prune();
    assert_eq!((third.packs_removed, third.packs_waiting), (first.packs_marked, 0), "{third:?}");
    all_is_well(&vault);
    let (objects, _) = versions(LOCKED, "prune/data");
    let seen = backend(locked("prune", period)).list(FileKind::Pack).unwrap();
    assert_eq!(objects.len(), seen.len(), "no version stays of what was removed");
    // Index files that were replaced are hidden until they are free, and the next prune after that removes them.
    std::thread::sleep(period + Duration::from_secs(1));
    assert!(prune().is_done());
    let (objects, markers) = versions(LOCKED, "prune/index");
    let seen = backend(locked("prune", period)).list(FileKind::Index).unwrap();
    assert_eq!((objects.len(), markers), (seen.len(), Vec::new()));
    all_is_well(&vault);
}

#[test]
fn what_is_removed_leaves_no_version() {
    for (bucket, retention) in [(VERSIONED, false), (LOCKED, false), (BUCKET, false), (LOCKED, true)] {
        let mut here = locked(&format!("gone-{bucket}-{retention}"), Duration::from_secs(2));
        here.bucket = bucket.into();
        here.retention = here.retention.filter(|_| retention);
        let store: std::sync::Arc<S3Backend> = backend(here.clone());
        for kind in [FileKind::Lock, FileKind::Pack] {
            let bytes = random(1000);
            let name = Id::of(&bytes).to_string();
            for _ in 0..2 {
                store.write(kind, &name, &bytes).unwrap();
            }
            if retention && kind == FileKind::Pack {
                assert!(matches!(store.remove(kind, &name), Err(BackendError::Held { .. })));
                assert_eq!(store.read(kind, &name).unwrap(), bytes);
                // Hidden, if it is not to be seen any more.
                store.withdraw(kind, &name).unwrap();
                store.withdraw(kind, &name).unwrap();
                assert_eq!(store.list(kind).unwrap(), []);
                std::thread::sleep(Duration::from_secs(4));
            }
            store.remove(kind, &name).unwrap();
            assert!(matches!(store.read(kind, &name), Err(BackendError::NotFound { .. })));
            store.remove(kind, &name).unwrap();
        }
        assert_eq!(versions(bucket, &here.prefix), (Vec::new(), Vec::new()), "{bucket}");
    }
}
