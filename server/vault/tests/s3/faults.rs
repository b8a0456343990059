//! Everything that a way to a store can do to a request, for every verb: nothing wrong is restored, nothing is sealed
//! that is not there, and what passes by itself is not even noticed.

use std::fs;
use std::time::{Duration, Instant};

use holdfast_vault::{Backend, BackendError, Checksum, Error, FileKind, Id, S3Options, Vault};

use super::backend;
use super::proxy::{Harm, Verb};
use super::scene::{BRIEF, PATIENT, Scene};
use super::support::*;
use super::weed::*;

/// What passes by itself, whatever was asked.
const PASSING: [Harm; 5] = [Harm::Timeout, Harm::Lost, Harm::Status(500), Harm::Status(503), Harm::Reset];

/// What mostly waits is done side by side.
fn together(works: &[&(dyn Fn() + Sync)]) {
    std::thread::scope(|scope| {
        for work in works {
            scope.spawn(work);
        }
    });
}

#[test]
fn uploads() {
    together(&[
        &|| {
            let mut scene = Scene::new("uploads-pass");
            for harm in PASSING.into_iter().chain([Harm::Bent]) {
                assert_eq!(scene.survives_backup(Verb::Put, harm, 2), 2, "{harm:?}");
            }
        },
        &|| {
            let mut scene = Scene::new("uploads-fail");
            for harm in [Harm::Status(500), Harm::Timeout, Harm::Reset, Harm::Short, Harm::Bent] {
                assert!(scene.fails_cleanly(Verb::Put, harm).is_err(), "{harm:?}");
            }
        },
        &|| {
            let mut scene = Scene::new("uploads-end");
            // Every write is heard and no answer comes: whatever we say, what is sealed is whole.
            let _ = scene.fails_cleanly(Verb::Put, Harm::Lost);
            let denied = scene.fails_cleanly(Verb::Put, Harm::Status(403)).unwrap_err();
            assert!(denied.to_string().contains("s3:PutObject"), "{denied}");
            let full = scene.fails_cleanly(Verb::Put, Harm::Status(507)).unwrap_err();
            assert!(matches!(full, Error::NoSpace { .. }), "{full}");
        },
    ]);
}

#[test]
fn uploads_in_parts() {
    let pack = random((5 << 20) + 20_000);
    let name = Id::of(&pack).to_string();
    let harm_all = |verb: Verb, harms: &[Harm]| {
        let scene = Scene::new(&format!("multipart/{verb:?}"));
        let to = |patience| backend(S3Options { part: 5 << 20, ..scene.harmed(patience) });
        let clean = backend(options_at(&scene.prefix));
        for harm in harms {
            scene.proxy.harm(verb, *harm, 1);
            let written = to(PATIENT).write(FileKind::Pack, &name, &pack);
            written.unwrap_or_else(|error| panic!("{verb:?} {harm:?}: {error}"));
            assert_eq!(scene.proxy.heal(), 1, "{verb:?} {harm:?}");
            assert!(clean.read(FileKind::Pack, &name).unwrap() == pack, "{verb:?} {harm:?}");
            clean.remove(FileKind::Pack, &name).unwrap();
        }
        for (harm, why) in [(Harm::Status(500), "500"), (Harm::Status(403), "s3:AbortMultipartUpload")] {
            scene.proxy.harm(verb, harm, usize::MAX);
            let error = to(BRIEF).write(FileKind::Pack, &name, &pack).unwrap_err().to_string();
            assert!(error.contains(why) && scene.proxy.heal() > 0, "{verb:?} {harm:?}: {error}");
            let missing = clean.read(FileKind::Pack, &name).unwrap_err();
            assert!(matches!(missing, BackendError::NotFound { .. }), "{verb:?} {harm:?}: {missing}");
        }
    };
    let bent: Vec<Harm> = PASSING.into_iter().chain([Harm::Bent]).collect();
    together(&[&|| harm_all(Verb::Begin, &PASSING), &|| harm_all(Verb::Part, &bent), &|| {
        harm_all(Verb::Complete, &PASSING)
    }]);
    let mut scene = Scene::new("multipart");
    // Nothing of all that costs money.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let left = client(weed().port).list_multipart_uploads().bucket(BUCKET).prefix(&scene.prefix);
    let left = runtime.block_on(left.send()).unwrap();
    assert_eq!(left.uploads().len(), 0, "{left:?}");
    // The whole way of a backup whose packs go up in parts.
    scene.part = 5 << 20;
    fs::write(scene.place.path("source/large"), random(6 << 20)).unwrap();
    assert_eq!(scene.survives_backup(Verb::Complete, Harm::Lost, 1), 1);
    assert_eq!(scene.survives_restore(Verb::Get, Harm::Reset, 1), 1);
}

#[test]
fn downloads() {
    let passing = || {
        let mut scene = Scene::new("downloads-pass");
        scene.keep_copy();
        for harm in PASSING {
            assert_eq!(scene.survives_restore(Verb::Get, harm, 2), 2, "{harm:?}");
        }
        for harm in [Harm::Status(503), Harm::Reset, Harm::Short] {
            assert_eq!(scene.survives_backup(Verb::Get, harm, 2), 2, "{harm:?}");
        }
    };
    together(&[&passing, &downloads_that_fail]);
}

fn downloads_that_fail() {
    let scene = Scene::new("downloads-fail");
    scene.keep_copy();
    for harm in [Harm::Status(500), Harm::Bent, Harm::Short, Harm::Reset, Harm::Timeout] {
        scene.proxy.harm(Verb::Get, harm, usize::MAX);
        let started = Instant::now();
        assert!(scene.try_restore(BRIEF).is_err(), "{harm:?}");
        assert!(started.elapsed() < Duration::from_secs(20) && scene.proxy.heal() > 0);
    }
    scene.proxy.harm(Verb::Get, Harm::Status(403), usize::MAX);
    let denied = scene.try_restore(PATIENT).unwrap_err();
    assert!(denied.contains("s3:GetObject"), "{denied}");
}

#[test]
fn a_download_that_comes_bent_or_short_once_is_asked_for_again_whichever_it_is() {
    let mut scene = Scene::new("bent");
    scene.keep_copy();
    let mut last = 0;
    // Config, key, index, trees and packs, whole and in ranges, one after the other until there is no further one.
    for spared in 0.. {
        for harm in [Harm::Bent, Harm::Short] {
            scene.proxy.harm_after(spared, Verb::Get, harm, 1);
            let outcome = scene.try_restore(PATIENT);
            last = scene.proxy.heal();
            outcome.unwrap_or_else(|error| panic!("request {spared} {harm:?}: {error}"));
        }
        if last == 0 {
            assert!(spared > 4, "{spared} requests are no restore");
            break;
        }
    }
    assert_eq!(scene.survives_backup(Verb::Get, Harm::Bent, 1), 1);
}

#[test]
fn lists() {
    let passing = || {
        let mut scene = Scene::new("lists-pass");
        for harm in PASSING.into_iter().chain([Harm::Short, Harm::Bent]) {
            assert_eq!(scene.survives_backup(Verb::List, harm, 2), 2, "{harm:?}");
        }
    };
    let (lacking, stale) = (|| untrue_lists("lacking", Harm::Lacking), || untrue_lists("stale", Harm::Stale));
    together(&[&passing, &lists_that_fail, &lacking, &stale]);
}

fn lists_that_fail() {
    let mut scene = Scene::new("lists-fail");
    for harm in [Harm::Status(500), Harm::Short, Harm::Bent, Harm::Reset] {
        assert!(scene.fails_cleanly(Verb::List, harm).is_err(), "a list that {harm:?} was taken for one");
    }
    let denied = scene.fails_cleanly(Verb::List, Harm::Status(403)).unwrap_err();
    assert!(denied.to_string().contains("s3:ListBucket"), "{denied}");
    let missing = scene.fails_cleanly(Verb::List, Harm::Status(404)).unwrap_err();
    assert!(!matches!(missing, Error::NotAVault { .. }), "{missing}");
}

/// Well-formed and untrue: a seal may be refused, or happen and be whole.
fn untrue_lists(name: &str, harm: Harm) {
    let mut scene = Scene::new(name);
    scene.keep_copy();
    for times in [1, 2, 3, 4, usize::MAX] {
        scene.change();
        scene.proxy.harm(Verb::List, harm, times);
        let outcome = scene.try_backup(BRIEF);
        assert!(scene.proxy.heal() > 0);
        if outcome.is_ok() {
            scene.keep_copy();
        }
        scene.all_sealed_is_whole(outcome.as_ref().ok());
        scene.proxy.harm(Verb::List, harm, times);
        let _ = scene.try_restore(BRIEF);
        scene.proxy.heal();
    }
}

#[test]
fn a_list_of_many_pages_is_whole_or_an_error() {
    let scene = Scene::new("pages");
    let store = backend(options_at(&scene.prefix));
    let written: u32 = 1010;
    let all = written as usize;
    std::thread::scope(|scope| {
        for from in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for n in (from..written).step_by(8).map(u32::to_le_bytes) {
                    store.write(FileKind::Lock, &Id::of(&n).to_string(), &n).unwrap();
                }
            });
        }
    });
    let far = backend(S3Options { timeout: PATIENT, ..scene.harmed(PATIENT) });
    assert_eq!(far.list(FileKind::Lock).unwrap().len(), all);
    for harm in [Harm::Lost, Harm::Status(503), Harm::Reset, Harm::Short, Harm::Bent] {
        scene.proxy.harm(Verb::List, harm, 1);
        assert_eq!(far.list(FileKind::Lock).unwrap().len(), all, "{harm:?}");
        assert_eq!(scene.proxy.heal(), 1);
    }
    let far = backend(S3Options { timeout: BRIEF, ..scene.harmed(BRIEF) });
    for harm in [Harm::Short, Harm::Status(500), Harm::Reset] {
        scene.proxy.harm(Verb::List, harm, usize::MAX);
        far.list(FileKind::Lock).unwrap_err();
        scene.proxy.heal();
    }
}

#[test]
fn removals_and_questions() {
    let mut scene = Scene::new("removals");
    for harm in PASSING {
        assert_eq!(scene.survives_backup(Verb::Delete, harm, 1), 1, "{harm:?}");
    }
    // A lock that cannot be removed does not make a seal undone.
    for harm in [Harm::Status(403), Harm::Status(500)] {
        scene.fails_cleanly(Verb::Delete, harm).unwrap();
    }
    let newest = scene.clean.snapshots().unwrap().pop().unwrap();
    scene.proxy.harm(Verb::Delete, Harm::Status(403), usize::MAX);
    let denied = scene.open(Duration::from_secs(5)).unwrap().forget(&newest.id).unwrap_err();
    assert!(denied.to_string().contains("s3:DeleteObject"), "{denied}");
    scene.proxy.harm(Verb::Delete, Harm::Lost, 2);
    scene.open(PATIENT).unwrap().forget(&newest.id).unwrap();
    assert_eq!(scene.proxy.heal(), 2);
    // Is there a config? Whatever happens to the question, no second vault is made over the first.
    for verb in [Verb::Head, Verb::List, Verb::Put] {
        for harm in [Harm::Status(404), Harm::Status(403), Harm::Lacking, Harm::Lost, Harm::Timeout] {
            scene.proxy.harm(verb, harm, usize::MAX);
            let brief = Duration::from_millis(300);
            let far = backend(S3Options { timeout: brief, ..scene.harmed(brief) });
            assert!(Vault::init(far, &password(), options()).is_err(), "{verb:?} {harm:?}");
            scene.proxy.heal();
        }
    }
    scene.all_sealed_is_whole(None);
}

#[test]
fn an_upload_that_was_bent_is_refused_by_its_checksum() {
    let scene = Scene::new("bent-uploads");
    let (small, large) = (random(10_000), random((5 << 20) + 20_000));
    for checksum in [Checksum::Md5, Checksum::Crc32, Checksum::Crc32c, Checksum::Sha256] {
        for (verb, bytes) in [(Verb::Put, &small), (Verb::Part, &large)] {
            let far = backend(S3Options { part: 5 << 20, checksum, ..scene.harmed(PATIENT) });
            scene.proxy.harm(verb, Harm::Bent, 1);
            let name = Id::of(bytes).to_string();
            far.write(FileKind::Pack, &name, bytes).unwrap();
            assert_eq!(scene.proxy.heal(), 1, "{checksum:?} {verb:?}");
            assert!(far.read(FileKind::Pack, &name).unwrap() == *bytes, "{checksum:?} {verb:?}");
            far.remove(FileKind::Pack, &name).unwrap();
        }
    }
}
